"""Path evidence: from a clip over the movements it shows to the actions that consist of them."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Keeps the logarithm finite for movements an action never shows; value of the exploration in docs/method.md.
LOG_FLOOR = 0.05
# Keeps the covariance of the movements invertible: two movements that always come together count as one.
COVARIANCE_FLOOR = 0.02
# Up to that many, the system of movements × movements takes no time worth saving.
FEW_MOVEMENTS = 1024


def part_softmax(logits: Float[Tensor, "B M"], parts: Int[Tensor, " M"]) -> Float[Tensor, "B M"]:
    """Probability of each movement among the movements of its body part.

    Args:
        logits: of clip and movement.
        parts: index of each movement's body part, ≥ 0.
    """
    num_parts = int(parts.max()) + 1 if len(parts) else 0
    # Per-part maxima keep exp() in range whatever the scale of the logits.
    peak = logits.new_full((len(logits), num_parts), float("-inf"))
    peak = peak.scatter_reduce(1, parts.expand_as(logits), logits, "amax")
    weight = (logits - peak[:, parts]).exp()
    total = logits.new_zeros(len(logits), num_parts).index_add(1, parts, weight)
    return weight / total[:, parts]


def action_weights(shares: Float[Tensor, "K M"], form: Literal["plain", "log"]) -> Float[Tensor, "K M"]:
    """What each movement counts for each action, from its shares in [0, 1].

    ``plain``: ``w_am = share / Σ_m share``, so that every action's weights sum to one. ``log``: ``log(share + 0.05)``
    less its mean over the actions, which changes no ranking and makes a contribution's sign mean for or against.
    An action without any movement gets zero weights: nothing is known for or against it.
    """
    known = shares.sum(dim=1, keepdim=True) > 0
    if form == "plain":
        return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-12)
    logs = (shares + LOG_FLOOR).log()
    center = (logs * known).sum(dim=0) / known.sum().clamp(min=1)
    return (logs - center) * known


def discriminant_weights(shares: Float[Tensor, "K M"], shown: Float[Tensor, "N M"]) -> Float[Tensor, "K M"]:
    """Weights for the ``shares`` form: ``w_a = C⁻¹ (p_a − p̄) / ‖p_a − p̄‖_{C⁻¹}``.

    With e the shares of a clip, ``w_a · (e − p̄)`` ranks the actions by the cosine between the clip's and the action's
    shares after whitening: what every clip shows counts nothing, and movements that come together count once.

    Args:
        shares: p, of each movement in each action.
        shown: shares of each movement in each training clip; p̄ is their mean, C their covariance.
    """
    if len(shown) < 2:
        return action_weights(shares, "plain")
    known = shares.sum(dim=1, keepdim=True) > 0
    distance = (shares - shown.mean(dim=0)) * known
    weights = _whiten(shown, distance.T).T
    return weights / (weights * distance).sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()


def _whiten(shown: Float[Tensor, "N M"], values: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    """``C⁻¹ y`` with C the covariance of ``shown`` plus f I.

    With many movements and fewer clips: ``( y − Xᵀ (X Xᵀ + N f I)⁻¹ X y ) / f`` with X centered (Woodbury), whose
    matrix is clips × clips.
    """
    num, width = shown.shape
    if width <= max(num, FEW_MOVEMENTS):
        covariance = torch.cov(shown.T, correction=0) + COVARIANCE_FLOOR * torch.eye(width, device=shown.device)
        return torch.linalg.solve(covariance, values)
    centered = shown - shown.mean(dim=0)
    gram = centered @ centered.T + num * COVARIANCE_FLOOR * torch.eye(num, device=shown.device)
    inner = torch.cholesky_solve(centered @ values, torch.linalg.cholesky(gram))
    return (values - centered.T @ inner) / COVARIANCE_FLOOR


def path_evidence(evidence: Float[Tensor, "B M"], weights: Float[Tensor, "K M"]) -> Float[Tensor, "B K"]:
    """``S_path(v, a) = Σ_m w_am · e_vm`` (Eq. 7 of docs/method.md)."""
    return evidence @ weights.T


def fuse(
    output: Float[Tensor, "B K"], path: Float[Tensor, "B K"], weight: float
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B 1"]]:
    """Add path evidence to S_output, both on the same spread over a clip's actions.

    ``S = S_output + w · (σ_output / σ_path) · (S_path − mean)`` with σ over the K actions of the clip: the ranking is
    that of the sum of z-scores, the unit stays that of S_output.

    Returns:
        The fused values and the factor ``w · σ_output / σ_path`` of each clip, with which contributions of single
        movements add up to the path's share in the result.
    """
    spread = path.std(dim=1, correction=0, keepdim=True)
    # Evidence that says the same of every action (none known, or a single action) must not be blown up to noise.
    usable = spread > 1e-6
    factor = torch.where(
        usable, weight * output.std(dim=1, correction=0, keepdim=True) / spread.clamp(min=1e-6), torch.zeros(())
    )
    return output + factor * (path - path.mean(dim=1, keepdim=True)), factor
