"""Ridge regression from sums over clips, which add up over batches, shards and processes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.models.ridge import left_out_errors

# Clips of a batch; a source with more of them is a batch of its own.
BATCH = 4096


def batches_of_sources(sources: Int[Tensor, " N"]) -> list[Int[Tensor, " _"]]:
    """Rows in batches of up to BATCH; rows of one source are in one batch, unless all rows are of one source."""
    if (sources == sources[0]).all():
        return list(torch.arange(len(sources)).split(BATCH))
    order = sources.argsort(stable=True)
    ends = sources[order].unique_consecutive(return_counts=True)[1].cumsum(0).tolist()
    sizes, start, last = [], 0, 0
    for end in ends:
        if end - start > BATCH and last > start:
            sizes.append(last - start)
            start = last
        last = end
    return list(order.split([*sizes, len(order) - start]))


@dataclass(frozen=True)
class SummedFit:
    """A solution ``y = φ w + b``, and what gives each clip's value by the fit without its source.

    Attributes:
        weight, bias: w and b.
        center, mean: of φ and y over all rows.
        factor: lower Cholesky factor of the penalized Gram matrix.
        count: number of rows.
    """

    weight: Float[Tensor, "P Q"]
    bias: Float[Tensor, " Q"]
    center: Float[Tensor, " P"]
    mean: Float[Tensor, " Q"]
    factor: Float[Tensor, "P P"]
    count: int

    @property
    def outputs(self) -> int:
        """Q."""
        return len(self.bias)

    def left_out(
        self, phi: Float[Tensor, "B P"], y: Float[Tensor, "B Q"], sources: Int[Tensor, " B"]
    ) -> Float[Tensor, "B Q"]:
        """As of :func:`kgclip.models.ridge.fit_ridge`, for rows of the fit that hold their sources whole."""
        centered, target = phi - self.center, y - self.mean
        half = torch.linalg.solve_triangular(self.factor, centered.T, upper=False)
        numbers = sources.unique(return_inverse=True)[1]
        sums = target.new_zeros(int(numbers.max()) + 1, y.shape[1]).index_add(0, numbers, target)
        without = (self.count - numbers.bincount()).clamp(min=1)[:, None]
        errors = left_out_errors(half, target - centered @ self.weight, sources, self.count)
        return y - (errors - (sums / without)[numbers])


class RidgeSums:
    """Sums over rows of ``[φ − s, y, 1]ᵀ [φ − s, 1]``, in double precision.

    Args:
        shift: s, near the mean of φ, so that little is lost where the mean is taken away.
        outputs: Q.
    """

    def __init__(self, shift: Float[Tensor, " P"], outputs: int):
        self.shift, self.outputs = shift, outputs
        self.sums = torch.zeros(len(shift) + outputs + 1, len(shift) + 1, dtype=torch.float64)

    def add(self, phi: Float[Tensor, "B P"], y: Float[Tensor, "B Q"]) -> None:
        """Count these rows in."""
        ones = phi.new_ones(len(phi), 1)
        shifted = torch.cat([phi - self.shift, ones], dim=1)
        self.sums += (torch.cat([shifted[:, :-1], y, ones], dim=1).T @ shifted).double()

    def over(self, total: Callable[[Tensor], Tensor]) -> "RidgeSums":
        """These sums over all that ``total`` sums up."""
        self.sums = total(self.sums)
        return self

    def solve(self, penalty: float) -> SummedFit:
        """What :func:`kgclip.models.ridge.fit_ridge` solves for; zeros where there are no rows.

        Args:
            penalty: in units of the mean squared length of a row.
        """
        size, dtype = len(self.shift), self.shift.dtype
        count = self.sums[-1, -1]
        rows = count.clamp(min=1)
        center, mean = self.sums[-1, :size] / rows, self.sums[size:-1, -1] / rows
        gram = self.sums[:size, :size] - rows * torch.outer(center, center)
        cross = (self.sums[size:-1, :size] - rows * torch.outer(mean, center)).T
        ridge = penalty * (gram.trace() / rows).clamp(min=1e-12)
        factor = torch.linalg.cholesky(gram + ridge * torch.eye(size, dtype=torch.float64))
        weight = torch.cholesky_solve(cross, factor).to(dtype)
        whole = center.to(dtype) + self.shift
        bias = mean.to(dtype) - whole @ weight
        return SummedFit(weight, bias, whole, mean.to(dtype), factor.to(dtype), int(count))
