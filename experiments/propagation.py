"""Labels that spread from clips that have one to clips that resemble them."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional as F

NEIGHBORS = 10
# Clips whose neighbors are looked for at once, so that memory does not grow with the square of the clips.
CHUNK = 256
# Share of the right side that the equations may be off by, and steps after which they must have been solved.
TOLERANCE, MOST_STEPS = 1e-10, 1000


def propagate(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"], reach: float) -> Float[Tensor, "N K"]:
    """Spread labels over the nearest neighbors by cosine: ``(I − α D^−½ W D^−½)⁻¹ Y`` (Zhou et al., NIPS 2003).

    Each action's total is scaled to 1, so that frequent ones do not flood the graph. Every clip is compared with every
    other, but W is sparse and the equations are solved by conjugate gradients: memory is linear in the clips.

    Args:
        x: features of all training clips.
        onehot: zero rows for those without a label.
        reach: α in (0, 1); the more, the further labels travel.
    """
    weights = _neighbors(F.normalize(x - x.mean(dim=0), dim=1))
    scale = weights.sum(dim=1).to_dense().clamp(min=1e-6).rsqrt()
    heads, tails = weights.indices()
    values = reach * scale[heads] * weights.values() * scale[tails]
    links = torch.sparse_coo_tensor(weights.indices(), values, weights.shape, is_coalesced=True, check_invariants=False)
    spread = _solve(links, onehot.double()).to(onehot.dtype)
    return spread / spread.sum(dim=0).clamp(min=1e-9)


def _neighbors(unit: Float[Tensor, "N S"]) -> Float64[Tensor, "N N"]:
    """The cosines of neighbors, sparse and symmetric; 0 where a cosine is negative."""
    num, near = len(unit), min(NEIGHBORS, len(unit) - 1)
    pairs, cosines = [], []
    for start in range(0, num, CHUNK):
        cosine = unit[start : start + CHUNK] @ unit.T
        rows = torch.arange(len(cosine), device=unit.device)
        cosine[rows, start + rows] = float("-inf")
        found = cosine.topk(near, dim=1)
        pairs.append(torch.stack([(start + rows).repeat_interleave(near), found.indices.flatten()]))
        cosines.append(found.values.flatten().clamp(min=0).double())
    one_way, values = torch.cat(pairs, dim=1), torch.cat(cosines)
    # An edge that both ends found is the greater of two cosines that differ by rounding alone.
    keys = torch.cat([one_way[0] * num + one_way[1], one_way[1] * num + one_way[0]])
    distinct, position = keys.unique(return_inverse=True)
    greatest = values.new_zeros(len(distinct)).scatter_reduce(0, position, values.repeat(2), "amax")
    indices = torch.stack([distinct // num, distinct % num])
    return torch.sparse_coo_tensor(indices, greatest, (num, num), is_coalesced=True, check_invariants=False)


def _solve(links: Float64[Tensor, "N N"], right: Float64[Tensor, "N K"]) -> Float64[Tensor, "N K"]:
    """``(I − links)⁻¹ right`` by conjugate gradients, every column by itself; links is symmetric, its norm below 1."""
    solution, residual = torch.zeros_like(right), right.clone()
    direction = residual.clone()
    squares = residual.square().sum(dim=0)
    goal = TOLERANCE**2 * squares
    for _ in range(MOST_STEPS):
        if (squares <= goal).all():
            break
        image = direction - links @ direction
        step = squares / (direction * image).sum(dim=0).clamp(min=1e-300)
        solution += step * direction
        residual -= step * image
        before, squares = squares, residual.square().sum(dim=0)
        direction = residual + squares / before.clamp(min=1e-300) * direction
    return solution
