"""From the embeddings of a clip's frames to one vector: their mean, a map of it, or statistics over time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.models.options import PoolingKind

NUM_STATISTICS = 4
# Numbers of frames that each have a scale and a solution of their own; others take the nearest by ratio.
FRAME_COUNTS = (1, 2, 4, 8, 16, 32)


def frame_statistics(frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
    """Mean, standard deviation, end minus start, and mean absolute difference over time, side by side (S = 4 F).

    End and start are the means of the last and first third (at least one frame), so that one noisy frame does not
    decide the direction of a movement. One frame alone gives zeros for all but the mean.
    """
    # The largest by torch: when a model is exported, the number of frames is a symbol that Python cannot compare.
    third = torch.sym_max(1, frames.shape[1] // 3)
    mean = frames.mean(dim=1)
    spread = ((frames - mean[:, None]).square().mean(dim=1) + 1e-12).sqrt()
    direction = frames[:, -third:].mean(dim=1) - frames[:, :third].mean(dim=1)
    change = frames.diff(dim=1).abs().sum(dim=1) / torch.sym_max(1, frames.shape[1] - 1)
    return torch.cat([mean, spread, direction, change], dim=1)


def phases(frames: Float[Tensor, "N T F"], num_frames: int, most: int) -> Float[Tensor, "V N C F"]:
    """The same clips seen with C fewer frames, V times, each time a little later, around the centers of C segments.

    Args:
        frames: of the clips.
        num_frames: C, at most T.
        most: V is at most this, and at most the number of frames in a segment.
    """
    length = frames.shape[1]
    count = max(1, min(length // num_frames, most))
    # The middle of part p of V in segment i of C lies at (i + (p + ½) / V) T / C.
    halves = 2 * count * torch.arange(num_frames) + 1 + 2 * torch.arange(count)[:, None]
    return torch.stack([frames[:, rows] for rows in halves * length // (2 * count * num_frames)])


def interleaved_statistics(frames: Float[Tensor, "B T F"], most: int) -> Float[Tensor, "B S"]:
    """Statistics of clips with more frames than ``most``: those of interleaved clips of at most so many, averaged.

    Deviation and change depend on how far apart the frames lie; this keeps the distance that a fit has seen.
    """
    parts = math.ceil(frames.shape[1] / most)
    return torch.stack([frame_statistics(frames[:, part::parts]) for part in range(parts)]).mean(dim=0)


def nearest_count(num_frames: int, counts: tuple[int, ...] = FRAME_COUNTS) -> int:
    """The one of these numbers of frames that is nearest to that number by ratio."""
    return min(counts, key=lambda count: abs(math.log2(count / num_frames)))


class TemporalPooling(nn.Module):
    """One embedding for a clip from those of its frames, where it is learned by gradient.

    ``mean`` is the paper's: the mean over frames. ``projected`` adds a linear map, so that a clip's embedding can be
    learned on frames that stay as they are. ``statistics`` is a linear map of :func:`frame_statistics`, standardized.
    All start at the mean; where the frames' dimension F is not D (features of another encoder), at a random linear map.

    Args:
        frame_dim: F, dimension of a frame's embedding.
        dim: D, dimension of the clip's embedding.
        kind: the form of pooling.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, frame_dim: int, dim: int, kind: PoolingKind = "mean"):
        super().__init__()
        self.kind = kind
        width = NUM_STATISTICS * frame_dim if kind == "statistics" else frame_dim
        self.project: nn.Linear | None = None
        if kind != "mean" or frame_dim != dim:
            self.project = nn.Linear(width, dim, bias=kind == "statistics")
        if self.project is not None and frame_dim == dim:
            with torch.no_grad():
                self.project.weight.copy_(torch.eye(dim, width))
        if self.project is not None and self.project.bias is not None:
            nn.init.zeros_(self.project.bias)
        if kind == "statistics":
            self.register_buffer("center", torch.zeros(width))
            self.register_buffer("scale", torch.ones(width))

    @torch.no_grad()
    def fit(self, frames: Float[Tensor, "N T F"]) -> None:
        """Learn the scales of the statistics from training clips (no labels) and start at the mean; else a no-op."""
        if self.kind != "statistics" or self.project is None:
            return
        statistics = frame_statistics(frames)
        self.center.copy_(statistics.mean(dim=0))
        self.scale.copy_(statistics.std(dim=0, correction=0).clamp(min=1e-4))
        dim, width = self.project.weight.shape
        if NUM_STATISTICS * dim == width:
            self.project.weight.zero_()
            self.project.weight[:, :dim] = self.scale[:dim].diag()
            self.project.bias.copy_(self.center[:dim])

    def forward(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B D"]:
        """The clips' embeddings, not normalized."""
        if self.kind == "statistics":
            pooled = (frame_statistics(frames) - self.center) / self.scale
        else:
            pooled = frames.mean(dim=1)
        return pooled if self.project is None else self.project(pooled)
