"""Ridge regression on kernel features, with what each recording would be given by a fit that never saw it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Clips that span the solution. With fewer training clips it is exact; beyond them cost grows linearly with clips.
LANDMARKS = 1024
# Penalty as a share of the kernel's mean diagonal. Fixed: choosing it by leave-one-source-out gained nothing, by
# leave-one-clip-out it lost up to 6 points on real clips, because clips of one source resemble each other.
PENALTY = 0.3
# Added to a Gram matrix, as a share of its mean diagonal, so that it has an inverse.
JITTER = 1e-5
# Width of the radial-basis kernel, as a share of the median squared distance between clips.
WIDTH = 0.5


@dataclass(frozen=True)
class RidgeFit:
    """A solution ``y = φ(x) w + b``.

    Attributes:
        weight, bias: w and b, b what centers the targets.
        left_out: what each row would be given by a fit without the rows of its source.
    """

    weight: Float[Tensor, "P Q"]
    bias: Float[Tensor, " Q"]
    left_out: Float[Tensor, "N Q"]


@dataclass(frozen=True)
class RidgeSystem:
    """``min ‖y − φ w − b‖² + λ ‖w‖²`` factorized, λ = a penalty times the mean squared length of a row.

    Attributes:
        centered, target: rows and targets minus their means.
        center, bias: these means.
        factor: of ``φᵀ φ + λ``, by Cholesky.
        weight: w.
        changes: by source, what w changes by without its rows; of large sources alone, kept from the first use.
    """

    centered: Float[Tensor, "N P"]
    target: Float[Tensor, "N Q"]
    center: Float[Tensor, " P"]
    bias: Float[Tensor, " Q"]
    factor: Float[Tensor, "P P"]
    weight: Float[Tensor, "P Q"]
    changes: dict[int, Float[Tensor, "P Q"]] = field(default_factory=dict)

    @classmethod
    def of(cls, phi: Float[Tensor, "N P"], y: Float[Tensor, "N Q"], penalty: float) -> "RidgeSystem":
        """The system of these rows and targets."""
        center, bias = phi.mean(dim=0), y.mean(dim=0)
        centered, target = phi - center, y - bias
        ridge = penalty * centered.square().sum(dim=1).mean().clamp(min=1e-12)
        identity = torch.eye(centered.shape[1], dtype=torch.float64, device=phi.device)
        factor = torch.linalg.cholesky((centered.T @ centered).double() + ridge * identity)
        weight = torch.cholesky_solve((centered.T @ target).double(), factor).to(y.dtype)
        return cls(centered, target, center, bias, factor, weight)

    def left_out(self, sources: Int[Tensor, " N"]) -> Float[Tensor, "N Q"]:
        """What each row would be given by a fit without the rows of its source, as :func:`fit_ridge` says."""
        half = torch.linalg.solve_triangular(self.factor.to(self.target.dtype), self.centered.T, upper=False)
        numbers = sources.unique(return_inverse=True)[1]
        sums = self.target.new_zeros(int(numbers.max()) + 1, self.target.shape[1]).index_add(0, numbers, self.target)
        without = (len(sources) - numbers.bincount()).clamp(min=1)[:, None]
        residual = self.target - self.centered @ self.weight
        errors = left_out_errors(half, residual, sources, len(sources)) - (sums / without)[numbers]
        return self.target + self.bias - errors

    def of_others(
        self, asked: Float[Tensor, "B P"], own: Int[Tensor, " B"], sources: Int[Tensor, " N"]
    ) -> Float[Tensor, "B Q"]:
        """What each row would be given by a fit without the rows of its source, around the means of all rows.

        Args:
            asked: the rows, which may have moved since the fit; gradients flow back to them.
            own: their sources.
            sources: of the rows of the fit.
        """
        shifted = asked - self.center.to(asked.dtype)
        given = shifted @ self.weight.to(asked.dtype) + self.bias.to(asked.dtype)
        owners, width = own.unique(), self.centered.shape[1]
        large = torch.stack([sources == owner for owner in owners]).sum(dim=1) > width
        few = torch.isin(sources, owners[~large])
        gains = torch.cholesky_solve(self.centered[few].T, self.factor.to(self.centered.dtype))
        rows, changes = [], []
        for owner, is_large in zip(owners, large.tolist(), strict=True):
            if is_large:
                change = self._change(int(owner), sources)
            else:
                out, gain = self.centered[sources == owner], gains[:, sources[few] == owner]
                remaining = torch.eye(len(out), dtype=out.dtype, device=out.device) - out @ gain
                errors = self.target[sources == owner] - out @ self.weight
                change = gain @ torch.linalg.solve(remaining, errors)
            mine = (own == owner).nonzero()[:, 0]
            rows.append(mine)
            changes.append(shifted[mine] @ change.to(asked.dtype))
        return given - torch.cat(changes)[torch.cat(rows).argsort()]

    def _change(self, owner: int, sources: Int[Tensor, " N"]) -> Float[Tensor, "P Q"]:
        """What w changes by without a source: the same solution by a system of the features, which are fewer."""
        if owner not in self.changes:
            out = self.centered[sources == owner]
            remaining = (self.factor @ self.factor.T).to(out.dtype) - out.T @ out
            errors = self.target[sources == owner] - out @ self.weight
            self.changes[owner] = torch.linalg.solve(remaining, out.T @ errors)
        return self.changes[owner]


def fit_ridge(
    phi: Float[Tensor, "N P"], y: Float[Tensor, "N Q"], sources: Int[Tensor, " N"], penalty: float = PENALTY
) -> RidgeFit:
    """Minimize ``‖y − φ w − b‖² + λ ‖w‖²`` with λ = ``penalty`` times the mean squared length of a row.

    Without the rows I of a source, their error is ``(I − H_II)⁻¹ (y − ŷ)_I`` with the hat matrix H of the full fit
    (block leave-one-out), so that one factorization serves the fit and every source. The intercept of such a fit is
    then set to the mean of all rows: without a source its action is rarer, which would speak against the very clips
    that are left out.

    Args:
        phi: features of the rows.
        y: targets.
        sources: rows of equal numbers are left out together; of a single source they are left out one by one, since
            nothing would remain without it.
        penalty: in units of the mean squared length of a row.
    """
    system = RidgeSystem.of(phi, y, penalty)
    return RidgeFit(system.weight, system.bias - system.center @ system.weight, system.left_out(apart(sources)))


def apart(sources: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
    """What is left out together: sources, or single rows where there is one source."""
    return torch.arange(len(sources), device=sources.device) if (sources == sources[0]).all() else sources


def judged(performs: Float[Tensor, "N K"], sources: Int[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Clips whose left-out scores say how good a model is.

    Clips of an action that has a single source say nothing of it: without that source it has no clip.
    """
    position = sources.unique(return_inverse=True)[1]
    mass = performs.new_zeros(int(position.max()) + 1, performs.shape[1]).index_add(0, position, performs)
    elsewhere = performs.sum(dim=0) - mass[position] > 0.5
    return (elsewhere & (performs > 0)).any(dim=1)


def left_out_errors(
    half: Float[Tensor, "P N"], residual: Float[Tensor, "N Q"], sources: Int[Tensor, " N"], num: int
) -> Float[Tensor, "N Q"]:
    """``(I − H_II)⁻¹ r_I`` of every source; sources of equal size are solved together. ``H = halfᵀ half + 1/num``.

    Args:
        half, residual, sources: of all rows of some sources.
        num: rows of the whole fit.
    """
    order = sources.argsort(stable=True)
    _, sizes = sources[order].unique_consecutive(return_counts=True)
    starts = sizes.cumsum(0) - sizes
    errors = torch.empty_like(residual)
    for size in sizes.unique().tolist():
        rows = order[starts[sizes == size][:, None] + torch.arange(size, device=order.device)]
        block = half.T[rows]
        # A single row has nothing to be fitted on without it: so the identity is a little more than one.
        if size <= len(half):
            remaining = (1 + 1e-6) * torch.eye(size, dtype=half.dtype, device=half.device) - block @ block.mT - 1 / num
            errors[rows] = torch.linalg.solve(remaining, residual[rows])
            continue
        # The same by a system of the features, which are fewer (Woodbury).
        wide = torch.cat([block, torch.full_like(block[..., :1], num**-0.5)], dim=2)
        identity = (1 + 1e-6) * torch.eye(wide.shape[2], dtype=half.dtype, device=half.device)
        inner = torch.linalg.solve(identity - wide.mT @ wide, wide.mT @ residual[rows])
        errors[rows] = (residual[rows] + wide @ inner) / (1 + 1e-6)
    return errors


def squared_distances(
    x: Float[Tensor, "B S"], landmarks: Float[Tensor, "L S"], products: Float[Tensor, "B L"] | None = None
) -> Float[Tensor, "B L"]:
    """``‖x − x'‖²``, from the products ``x · x'`` where they are at hand."""
    products = x @ landmarks.T if products is None else products
    return (x.square().sum(dim=1, keepdim=True) + landmarks.square().sum(dim=1) - 2 * products).clamp(min=0)


def radial_scale(distances: Float[Tensor, "L L"]) -> Float[Tensor, ""]:
    """What squared distances are divided by in the radial-basis kernel: their median between landmarks, over WIDTH."""
    # A clip's distance from itself is 0 but for rounding.
    pairs = distances[distances > 1e-5 * distances.max()]
    return (pairs.median() if len(pairs) else distances.new_ones(())) / WIDTH


def choose_landmarks(num_clips: int) -> Int[Tensor, " L"]:
    """Which clips span the solution: all, or LANDMARKS of them at equal distances in their order."""
    return torch.linspace(0, num_clips - 1, min(num_clips, LANDMARKS)).round().long().unique()


@dataclass(frozen=True)
class KernelFeatures:
    """Features φ of training clips whose products are a kernel: ``φ(x) = k(x) U``, ``U Uᵀ = G⁻¹`` (Nyström).

    Attributes:
        phi: of the clips, phase after phase.
        whitening: U, of the landmarks' Gram matrix G.
    """

    phi: Float[Tensor, "P L"]
    whitening: Float[Tensor, "L L"]

    @classmethod
    def of(cls, kernel: Float[Tensor, "P L"], landmarks: Int[Tensor, " L"]) -> "KernelFeatures":
        """The features of clips from their kernel with the clips that span the features, and which clips these are."""
        gram = kernel[landmarks].double()
        jitter = JITTER * gram.diagonal().mean().clamp(min=1e-12)
        identity = torch.eye(len(gram), dtype=torch.float64, device=gram.device)
        factor = torch.linalg.cholesky(gram + jitter * identity)
        whitening = torch.linalg.solve_triangular(factor, identity, upper=False).T.to(kernel.dtype)
        return cls(kernel @ whitening, whitening)

    def solve(
        self,
        targets: Float[Tensor, "N Q"],
        sources: Int[Tensor, " N"],
        rows: Bool[Tensor, " N"],
        penalty: float = PENALTY,
    ) -> RidgeFit:
        """Ridge regression on those clips, each seen in V phases that count together as one row.

        What is left out is the mean over the phases. Zeros where there are no clips.
        """
        if not rows.any():
            nothing = self.phi.new_zeros(self.phi.shape[1], targets.shape[1])
            return RidgeFit(nothing, nothing.sum(dim=0), targets[rows])
        count = len(self.phi) // len(rows)
        phi = self.phi[rows.repeat(count)]
        fit = fit_ridge(phi, targets[rows].repeat(count, 1), apart(sources[rows]).repeat(count), count * penalty)
        return RidgeFit(fit.weight, fit.bias, fit.left_out.unflatten(0, (count, -1)).mean(dim=0))
