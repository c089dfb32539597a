"""Which movements a clip shows, read from the statistics of its frames by a linear map fitted in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.models.ridge import RidgeFit, fit_ridge
from kgclip.models.statistics import NUM_STATISTICS, ClipStatistics


class MovementReadout(nn.Module):
    """Estimates every movement's share of a clip: ``e = W z + b`` with z the clip's :class:`ClipStatistics`.

    Shares come with annotated clips and need no action label, so that it learns from clips of unknown action as well.
    It has no trained parameters: :meth:`fit` solves for W and b.

    Args:
        frame_dim: F, dimension of a frame's embedding.
        num_movements: M.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, frame_dim: int, num_movements: int):
        super().__init__()
        self.statistics = ClipStatistics(frame_dim)
        self.register_buffer("weight", torch.zeros(num_movements, NUM_STATISTICS * frame_dim))
        self.register_buffer("bias", torch.zeros(num_movements))

    @torch.no_grad()
    def fit(self, frames: Float[Tensor, "N T F"], shares: Float[Tensor, "N M"]) -> RidgeFit:
        """Solve for the map.

        Args:
            frames: embeddings of the frames of clips whose movements are known.
            shares: of their frames that show each movement, in [0, 1].
        """
        statistics = ClipStatistics(frames.shape[2]).to(frames.device)
        statistics.fit(frames)
        solution = fit_ridge(statistics(frames), shares, statistics.glances(frames))
        self.set(statistics, solution)
        return solution

    @torch.no_grad()
    def set(self, statistics: ClipStatistics, solution: RidgeFit) -> None:
        """Take a solution that was fitted on those statistics."""
        self.statistics.load_state_dict(statistics.state_dict())
        self.weight.copy_(solution.weight)
        self.bias.copy_(solution.bias)

    def forward(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B M"]:
        """The estimated shares; an estimate may lie a little outside [0, 1]."""
        return nn.functional.linear(self.statistics(frames), self.weight, self.bias)
