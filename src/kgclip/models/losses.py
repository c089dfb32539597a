"""The losses: contrastive over a many-to-many adjacency, and self-adversarial margin."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kgclip.models.triplet import TripletEncoder


def soft_cross_entropy(logits: Float[Tensor, "*S N P"], weights: Float[Tensor, "N P"]) -> Float[Tensor, "*S"]:
    """Mean over rows of ``CE(q, softmax(logits))`` with q the row-normalized weights; rows without weight do not count.

    Args:
        logits: any real values; several matrices at once give as many losses.
        weights: non-negative; zero where there is no edge.
    """
    mass = weights.sum(dim=1, keepdim=True)
    known = mass > 0
    q = weights / mass.where(known, torch.ones_like(mass))
    # Rows without weight add nothing to the sum, so that the shapes need not depend on which rows have some.
    return -(q * F.log_softmax(logits.float(), dim=-1)).sum(dim=(-2, -1)) / known.sum().clamp(min=1)


def two_sided(
    cosine: Float[Tensor, "*S N P"], weights: Float[Tensor, "N P"], scale: Float[Tensor, ""]
) -> Float[Tensor, "*S"]:
    """``ℓ(x, y) = ½ [ CE(q_xy, τ cos(x, y)) + CE(q_yx, τ cos(y, x)) ]`` (Eq. 7 of docs/method.md)."""
    logits = scale * cosine
    return 0.5 * (soft_cross_entropy(logits, weights) + soft_cross_entropy(logits.mT, weights.T))


def margin_loss(
    distance: Float[Tensor, "N P"], weights: Float[Tensor, "N P"], margin: float, temperature: float = 1.0
) -> Float[Tensor, ""]:
    """Self-adversarial margin loss on distances with filtered negatives (RotatE, arXiv 1902.10197, Eq. 5).

    ``−log σ(γ − d(h, t)) − Σ_i p_i log σ(d(h, t_i) − γ)`` with ``p_i ∝ exp(α (γ − d(h, t_i)))`` over the pairs of the
    row that are no edge; the weights of a row's edges share its positive term.

    Args:
        distance: ≥ 0.
        weights: non-negative; zero where there is no edge.
        margin: γ, in units of distance.
        temperature: α.
    """
    edge = weights > 0
    rows = edge.any(dim=1) & (~edge).any(dim=1)
    if not rows.any():
        return distance.sum() * 0.0
    gap, edge, weights = margin - distance[rows], edge[rows], weights[rows]
    positive = -(F.logsigmoid(gap) * weights / weights.sum(dim=1, keepdim=True)).sum(dim=1)
    with torch.no_grad():
        adversary = (temperature * gap).masked_fill(edge, float("-inf")).softmax(dim=1)
    negative = -(F.logsigmoid(-gap) * adversary).sum(dim=1)
    return (positive + negative).mean()


def triplet_loss(
    encoder: TripletEncoder,
    relation: int,
    pair: tuple[Float[Tensor, "N D"], Float[Tensor, "P D"]],
    weights: Float[Tensor, "N P"],
    scale: Float[Tensor, ""],
    margin: float | None = None,
) -> Float[Tensor, ""]:
    """``L_tri(g) = ½ [ ℓ(h', t') + ℓ of the inverse relation ]`` (Eq. 8), or its margin form on distances."""
    heads, tails = pair
    if margin is None:
        # ℓ(t', h') with the transposed weights is ℓ(h', t'): both directions are one batch.
        return two_sided(encoder.cosines(heads, relation, tails), weights, scale).mean()
    forward = encoder(heads, relation, tails)
    backward = encoder(tails, encoder.inverse(relation), heads)
    return 0.5 * (
        margin_loss(forward.distance(), weights, margin) + margin_loss(backward.distance(), weights.T, margin)
    )
