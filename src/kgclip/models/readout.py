"""Which movements a clip shows, read from the statistics of its frames by a linear map fitted in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.models.ridge import RidgeFit, fit_ridge
from kgclip.models.temporal import NUM_STATISTICS, frame_statistics


class MovementReadout(nn.Module):
    """Estimates every movement's share of a clip: ``e = W z + b`` with z the clip's standardized frame statistics.

    Shares come with annotated clips and need no action label, so that it learns from clips of unknown action as well.
    It has no trained parameters: :meth:`fit` solves for W and b.

    Args:
        frame_dim: F, dimension of a frame's embedding.
        num_movements: M.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, frame_dim: int, num_movements: int):
        super().__init__()
        width = NUM_STATISTICS * frame_dim
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("weight", torch.zeros(num_movements, width))
        self.register_buffer("bias", torch.zeros(num_movements))

    def standardize(self, statistics: Float[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        """Statistics on the scale of the clips that the readout was fitted on."""
        return (statistics - self.mean) / self.scale

    @torch.no_grad()
    def fit(self, statistics: Float[Tensor, "N S"], shares: Float[Tensor, "N M"]) -> RidgeFit:
        """Solve for the map.

        Args:
            statistics: :func:`frame_statistics` of clips whose movements are known.
            shares: of their frames that show each movement, in [0, 1].
        """
        self.mean.copy_(statistics.mean(dim=0))
        self.scale.copy_(statistics.std(dim=0, correction=0).clamp(min=1e-4))
        solution = fit_ridge(self.standardize(statistics), shares)
        self.weight.copy_(solution.weight)
        self.bias.copy_(solution.bias)
        return solution

    def forward(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B M"]:
        """The estimated shares; an estimate may lie a little outside [0, 1]."""
        return nn.functional.linear(self.standardize(frame_statistics(frames)), self.weight, self.bias)
