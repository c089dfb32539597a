"""Ridge regression in closed form, its penalty chosen by exact leave-one-out error."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# How much a copy of a row counts beside the row itself: all copies together less than the row.
COPY_WEIGHT = 1 / 6
# From nearly no shrinkage to nearly nothing else, for standardized inputs, as multiples of their number.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class RidgeFit:
    """A fitted linear map ``y = W x + b``.

    Attributes:
        weight, bias: W and b.
        leave_one_out: what each row would be given by a fit without that row.
        penalty: the chosen one.
    """

    weight: Float[Tensor, "P S"]
    bias: Float[Tensor, " P"]
    leave_one_out: Float[Tensor, "N P"]
    penalty: float


def fit_ridge(
    x: Float[Tensor, "N S"], y: Float[Tensor, "N P"], copies: Float[Tensor, "C N S"] | None = None
) -> RidgeFit:
    """Minimize ``‖y − x Wᵀ − b‖² + λ ‖W‖²`` with the λ of the least leave-one-out error.

    The error without row i is ``(y_i − ŷ_i) / (1 − H_ii)`` with the hat matrix H of the full fit (Golub, Heath and
    Wahba, 1979), so that one eigendecomposition serves every λ.

    Args:
        x: inputs, standardized.
        y: targets.
        copies: other views of the same rows, such as the clips seen with fewer frames; they join the fit at the λ that
            ``x`` alone chose, each row of a copy with weight COPY_WEIGHT, and λ grows with the sum of the weights.
    """
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    centered, target = x - x_mean, y - y_mean
    squares, u = _left_singular(centered)
    projected = u.T @ target

    def error(penalty: float) -> Tensor:
        shrinkage = squares / (squares + penalty)
        # The mean is fitted too: it takes 1/N of every row's leverage.
        leverage = (u.square() * shrinkage).sum(dim=1) + 1 / len(x)
        residual = target - u @ (shrinkage[:, None] * projected)
        return residual / (1 - leverage).clamp(min=1e-6)[:, None]

    errors = {share * x.shape[1]: error(share * x.shape[1]) for share in PENALTIES}
    best = min(errors, key=lambda penalty: float(errors[penalty].square().mean()))
    if copies is None:
        weight = (centered.T @ (u @ (projected / (squares + best)[:, None]))).T
        bias = y_mean - weight @ x_mean
    else:
        rows = torch.cat([x, copies.flatten(0, 1)])
        counts = torch.full((len(rows), 1), COPY_WEIGHT, device=x.device)
        counts[: len(x)] = 1.0
        weight, bias = _solve(rows, y.repeat(1 + len(copies), 1), counts, best * (1 + COPY_WEIGHT * len(copies)))
    return RidgeFit(weight, bias, y - errors[best], best)


def _left_singular(x: Float[Tensor, "N S"]) -> tuple[Float[Tensor, " Q"], Float[Tensor, "N Q"]]:
    """The squared singular values above rounding, and their left singular vectors, from the smaller Gram matrix."""
    wide = x.double()
    if len(x) > x.shape[1]:
        values, vectors = torch.linalg.eigh(wide.T @ wide)
        vectors = wide @ vectors / values.clamp(min=1e-30).sqrt()
    else:
        values, vectors = torch.linalg.eigh(wide @ wide.T)
    kept = values > 1e-9 * values[-1].clamp(min=1e-30)
    return values[kept].to(x.dtype), vectors[:, kept].to(x.dtype)


def _solve(
    x: Float[Tensor, "N S"], y: Float[Tensor, "N P"], counts: Float[Tensor, "N 1"], penalty: float
) -> tuple[Float[Tensor, "P S"], Float[Tensor, " P"]]:
    """Weight and bias for one penalty with weighed rows, from the smaller of the two systems of equations."""
    x_mean, y_mean = ((counts * values).sum(dim=0) / counts.sum() for values in (x, y))
    x, y = counts.sqrt() * (x - x_mean), counts.sqrt() * (y - y_mean)
    if len(x) > x.shape[1]:
        factor = torch.linalg.cholesky(x.T @ x + penalty * torch.eye(x.shape[1], device=x.device))
        weight = torch.cholesky_solve(x.T @ y, factor).T
    else:
        factor = torch.linalg.cholesky(x @ x.T + penalty * torch.eye(len(x), device=x.device))
        weight = torch.cholesky_solve(y, factor).T @ x
    return weight, y_mean - weight @ x_mean
