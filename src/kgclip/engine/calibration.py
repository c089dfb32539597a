"""Whether stated probabilities can be believed, and what to leave as unknown."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.engine.metrics import negative_log_likelihood

NUM_BINS = 15

# Temperatures that are tried, in units of the logits' spread. The least of them bounds what a wrong answer costs where
# the validation clips are all right, so that their likelihood alone would take ever lower ones.
LOWEST, HIGHEST = 1 / 50, 50.0
_TOLERANCE = 1e-4
_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """The T > 0 with the least mean of ``−log softmax(logits / T)[label]`` (arXiv 1706.04599), by golden section.

    It lies between ``LOWEST`` and ``HIGHEST`` times the mean standard deviation of a clip's logits. The mean is convex
    in 1/T, so that it has one minimum in log T. Logits that are all equal have T = 1.
    """
    logits = logits.double()
    spread = float(logits.std(dim=1, correction=0).mean())
    if spread == 0:
        return 1.0

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(logits / math.exp(log_temperature), labels)

    low, high = math.log(spread * LOWEST), math.log(spread * HIGHEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    cost_left, cost_right = cost(left), cost(right)
    while high - low > _TOLERANCE:
        if cost_left <= cost_right:
            high, right, cost_right = right, left, cost_left
            left = high - _GOLDEN * (high - low)
            cost_left = cost(left)
        else:
            low, left, cost_left = left, right, cost_right
            right = low + _GOLDEN * (high - low)
            cost_right = cost(right)
    return math.exp((low + high) / 2)


def expected_calibration_error(probability: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """``Σ_b n_b / B · |accuracy_b − confidence_b|`` over 15 bins (low, high] of the top probability; in [0, 1]."""
    confidence, predicted = probability.double().max(dim=1)
    right = (predicted == labels).double()
    bins = (confidence * NUM_BINS).ceil().long().clamp(1, NUM_BINS) - 1
    gaps = torch.zeros(NUM_BINS, dtype=torch.float64, device=right.device).index_add_(0, bins, right - confidence)
    return float(gaps.abs().sum() / len(labels))


def risk_coverage(probability: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Accuracy of the n clips with the highest top probability, n = 1 … B; the rest are left as unknown.

    Among clips of equal confidence it is the expectation over their orders.
    """
    confidence, predicted = probability.max(dim=1)
    _, group = (-confidence).unique(return_inverse=True)
    sizes = group.bincount()
    right = torch.zeros(len(sizes), dtype=torch.float64, device=group.device)
    right.index_add_(0, group, (predicted == labels).double())
    accuracy = (right / sizes).repeat_interleave(sizes)
    return accuracy.cumsum(0) / torch.arange(1, len(labels) + 1, device=group.device)


def area_under_risk_coverage(probability: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """AURC: the mean over n of the share of errors among the n most confident clips; in [0, 1], 0 is best."""
    return float((1 - risk_coverage(probability, labels)).mean())


def coverage_deciles(probability: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> list[float]:
    """The risk–coverage curve at a coverage of 0.1, 0.2 … 1."""
    curve = risk_coverage(probability, labels)
    return [float(curve[math.ceil(tenth * len(curve) / 10) - 1]) for tenth in range(1, 11)]


def unknown_below(probability: Float[Tensor, "B K"], coverage: float) -> float:
    """The top probability that a share ``coverage`` of the clips reaches: clips below it are left as unknown.

    Raises:
        ValueError: the share is not in (0, 1].
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}, expected a share in (0, 1]")
    confidence = probability.max(dim=1).values.sort(descending=True).values
    return float(confidence[math.ceil(coverage * len(confidence)) - 1])
