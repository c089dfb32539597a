"""The losses: contrastive over a many-to-many adjacency, and self-adversarial margin."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kgclip.models.triplet import TripletEncoder


def soft_cross_entropy(logits: Float[Tensor, "N P"], weights: Float[Tensor, "N P"]) -> Float[Tensor, ""]:
    """Mean over rows of ``CE(q, softmax(logits))`` with q the row-normalized weights; rows without weight do not count.

    Args:
        logits: any real values.
        weights: non-negative; zero where there is no edge.
    """
    mass = weights.sum(dim=1)
    known = mass > 0
    if not known.any():
        return logits.sum() * 0.0
    log_probability = F.log_softmax(logits[known].float(), dim=1)
    q = weights[known] / mass[known, None]
    return -(q * log_probability).sum(dim=1).mean()


def two_sided(
    cosine: Float[Tensor, "N P"], weights: Float[Tensor, "N P"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """``ℓ(x, y) = ½ [ CE(q_xy, τ cos(x, y)) + CE(q_yx, τ cos(y, x)) ]`` (Eq. 4 of docs/method.md)."""
    logits = scale * cosine
    return 0.5 * (soft_cross_entropy(logits, weights) + soft_cross_entropy(logits.T, weights.T))


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


@dataclass(frozen=True)
class LossWeights:
    """How the terms of Eq. 5 are weighed: ``L = Σ_g w_g ( L_tri(g) + λ L_mm(g) )``.

    Attributes:
        performs, shows, consists_of: w_g of each relation.
        mm: λ, the weight of the contrastive loss on the embeddings themselves.
        margin: γ of the margin loss on the triplet's distance form; None takes the contrastive form.
    """

    performs: float = 1.0
    shows: float = 1.0
    consists_of: float = 1.0
    mm: float = 1.0
    margin: float | None = None


def triplet_loss(
    encoder: TripletEncoder,
    relation: int,
    pair: tuple[Float[Tensor, "N D"], Float[Tensor, "P D"]],
    weights: Float[Tensor, "N P"],
    scale: Float[Tensor, ""],
    margin: float | None = None,
) -> Float[Tensor, ""]:
    """``L_tri(g) = ½ [ ℓ(h', t') + ℓ of the inverse relation ]`` (Eq. 5), or its margin form on distances."""
    heads, tails = pair
    forward = encoder(heads, relation, tails)
    backward = encoder(tails, encoder.inverse(relation), heads)
    if margin is not None:
        return 0.5 * (
            margin_loss(forward.distance(), weights, margin) + margin_loss(backward.distance(), weights.T, margin)
        )
    return 0.5 * (two_sided(forward.cosine(), weights, scale) + two_sided(backward.cosine(), weights.T, scale))
