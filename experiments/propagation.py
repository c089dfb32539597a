"""Labels that spread from clips that have one to clips that resemble them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

NEIGHBORS = 10


def propagate(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"], reach: float) -> Float[Tensor, "N K"]:
    """Spread labels over the nearest neighbors by cosine: ``(I − α D^−½ W D^−½)⁻¹ Y`` (Zhou et al., NIPS 2003).

    Each action's total is scaled to 1, so that frequent ones do not flood the graph.

    Args:
        x: features of all training clips.
        onehot: zero rows for those without a label.
        reach: α in (0, 1); the more, the further labels travel.
    """
    unit = F.normalize((x - x.mean(dim=0)).double(), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(-torch.inf)
    least = cosine.topk(min(NEIGHBORS, len(x) - 1), dim=1).values[:, -1:]
    one_way = cosine.where(cosine >= least, 0).clamp(min=0)
    weights = torch.maximum(one_way, one_way.T)
    scale = weights.sum(dim=1).clamp(min=1e-6).rsqrt()
    links = reach * scale[:, None] * weights * scale
    spread = torch.linalg.solve(torch.eye(len(x), dtype=links.dtype) - links, onehot.double())
    return (spread / spread.sum(dim=0).clamp(min=1e-9)).to(onehot.dtype)
