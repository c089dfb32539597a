"""From frame embeddings to one clip embedding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.models.options import PoolingKind
from kgclip.models.statistics import NUM_STATISTICS, ClipStatistics


def dropout(values: Float[Tensor, "B S"], rate: float) -> Float[Tensor, "B S"]:
    """Dropout as ``torch.nn.functional.dropout`` does it; on CPU the same draws, in less time."""
    kept = torch.rand(values.shape, dtype=torch.float64, device=values.device) < 1 - rate
    return values * (kept / (1 - rate))


class TemporalPooling(nn.Module):
    """One embedding for a clip from those of its frames.

    ``mean`` is the paper's: the mean over frames. ``projected`` adds a linear map, so that something of a clip's
    embedding can be learned on frames that stay as they are. ``statistics`` is a linear map of
    :class:`ClipStatistics`, and ``transformer`` adds a small transformer over time before the mean; all start at the
    mean. Where the frames' dimension F is not D (features of a foreign encoder) they start at a random linear map.

    Args:
        frame_dim: F, dimension of a frame's embedding.
        dim: D, dimension of the clip's embedding.
        kind: the form of pooling.
        dropout: share of the statistics that is left out of a training step; with few clips there are more statistics
            than clips to fit them on.
        max_frames: the longest T that ``transformer`` takes.
    """

    def __init__(
        self, frame_dim: int, dim: int, kind: PoolingKind = "mean", dropout: float = 0.0, max_frames: int = 64
    ):
        super().__init__()
        self.kind = kind
        self.project: nn.Module = nn.Identity()
        if kind == "projected" or (frame_dim != dim and kind != "statistics"):
            self.project = nn.Linear(frame_dim, dim, bias=False)
            if frame_dim == dim:
                nn.init.eye_(self.project.weight)
        if kind == "statistics":
            self.statistics = ClipStatistics(frame_dim)
            self.dropout = dropout
            self.linear = nn.Linear(NUM_STATISTICS * frame_dim, dim)
            nn.init.zeros_(self.linear.bias)
            self._start_at_mean()
        elif kind == "transformer":
            heads = next(n for n in (8, 4, 2, 1) if frame_dim % n == 0)
            self.positions = nn.Parameter(torch.zeros(max_frames, frame_dim))
            self.layer = nn.TransformerEncoderLayer(
                frame_dim, heads, 2 * frame_dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for weight in (self.layer.self_attn.out_proj.weight, self.layer.linear2.weight, self.layer.linear2.bias):
                nn.init.zeros_(weight)

    @torch.no_grad()
    def _start_at_mean(self) -> None:
        """Undo the standardization of the mean in the linear map, where F is D."""
        dim, width = self.linear.weight.shape
        if NUM_STATISTICS * dim == width:
            self.linear.weight.zero_()
            self.linear.weight[:, :dim] = self.statistics.scale[0, :dim].diag()
            self.linear.bias.copy_(self.statistics.mean[0, :dim])

    @torch.no_grad()
    def fit(self, frames: Float[Tensor, "B T F"]) -> None:
        """Learn the scales of the statistics from training clips (no labels), before training; else a no-op."""
        if self.kind == "statistics":
            self.statistics.fit(frames)
            self._start_at_mean()

    def forward(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B D"]:
        """The clips' embeddings, not normalized."""
        if self.kind == "statistics":
            statistics = self.statistics(frames)
            return self.linear(dropout(statistics, self.dropout) if self.training else statistics)
        if self.kind == "transformer":
            frames = self.layer(frames + self.positions[: frames.shape[1]])
        return self.project(frames.mean(dim=1))
