"""Ridge regression in closed form, its penalty chosen by exact leave-one-out error."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

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


def fit_ridge(x: Float[Tensor, "N S"], y: Float[Tensor, "N P"]) -> RidgeFit:
    """Minimize ``‖y − x Wᵀ − b‖² + λ ‖W‖²`` with the λ of the least leave-one-out error.

    The error without row i is ``(y_i − ŷ_i) / (1 − H_ii)`` with the hat matrix H of the full fit (Golub, Heath and
    Wahba, 1979), so that one singular value decomposition serves every λ.
    """
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    u, s, vt = torch.linalg.svd(x - x_mean, full_matrices=False)
    target = y - y_mean
    projected = u.T @ target

    def fit(penalty: float) -> Tensor:
        shrinkage = s.square() / (s.square() + penalty)
        # The mean is fitted too: it takes 1/N of every row's leverage.
        leverage = (u.square() * shrinkage).sum(dim=1) + 1 / len(x)
        residual = target - u @ (shrinkage[:, None] * projected)
        return residual / (1 - leverage).clamp(min=1e-6)[:, None]

    penalties = [share * x.shape[1] for share in PENALTIES]
    errors = {penalty: fit(penalty) for penalty in penalties}
    best = min(penalties, key=lambda penalty: float(errors[penalty].square().mean()))
    weight = (vt.T @ ((s / (s.square() + best))[:, None] * projected)).T
    return RidgeFit(weight, y_mean - weight @ x_mean, y - errors[best], best)
