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
    unit = F.normalize(x - x.mean(dim=0), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(float("-inf"))
    near = cosine.topk(min(NEIGHBORS, len(x) - 1), dim=1)
    weights = torch.zeros_like(cosine).scatter(1, near.indices, near.values.clamp(min=0))
    weights = torch.maximum(weights, weights.T)
    scale = weights.sum(dim=1).clamp(min=1e-6).rsqrt()
    spread = torch.linalg.solve(torch.eye(len(x), device=x.device) - reach * scale[:, None] * weights * scale, onehot)
    return spread / spread.sum(dim=0).clamp(min=1e-9)
