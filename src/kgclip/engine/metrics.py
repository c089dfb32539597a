"""Metrics of a set of clips, and whether stated probabilities can be believed."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

Labels = Int[Tensor, " B"] | Float[Tensor, "B K"]
"""The label of each clip, or how far it has each label."""

NUM_BINS = 15

# Temperatures that are tried, in units of the logits' spread. The least of them bounds what a wrong answer costs where
# the validation clips are all right, so that their likelihood alone would take ever lower ones.
LOWEST, HIGHEST = 1 / 50, 50.0
_TOLERANCE = 1e-4
_GOLDEN = (math.sqrt(5) - 1) / 2


def top_k(scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], k: int = 1) -> float:
    """Share of clips whose label is among the k highest scores, in [0, 1]."""
    k = min(k, scores.shape[1])
    return float((scores.topk(k, dim=1).indices == labels[:, None]).any(dim=1).double().mean())


def mean_class_accuracy(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"], num_actions: int) -> float:
    """Mean, over the actions that have a clip, of the share of their clips that are recognized; in [0, 1]."""
    clips, right, _ = _counts(predicted, labels, num_actions)
    return float((right / clips)[clips > 0].mean())


def macro_f1(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"], num_actions: int) -> float:
    """Mean, over the actions that have or are given a clip, of ``2 TP / (2 TP + FP + FN)``; in [0, 1]."""
    clips, right, given = _counts(predicted, labels, num_actions)
    occurring = clips + given
    return float((2 * right / occurring)[occurring > 0].mean())


def _counts(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"], num_actions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each action the clips, those of them that are recognized, and those that it is given to; each [K].

    Counted action by action: a matrix of actions × actions, as torchmetrics makes, would grow with their square.
    """
    kinds = (labels, labels[predicted == labels], predicted)
    clips, right, given = (kind.bincount(minlength=num_actions).double() for kind in kinds)
    return clips, right, given


def classification_report(
    scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], actions: Sequence[str]
) -> dict[str, Any]:
    """Top-1, top-5, mean class accuracy, macro F1, and per class the accuracy and what its clips are recognized as.

    ``recognized_as`` is the confusion matrix without its zeros: of each true action with clips, the actions they were
    given, the most frequent first, with the number of clips.
    """
    num = len(actions)
    predicted = scores.argmax(dim=1)
    clips, right, _ = _counts(predicted, labels, num)
    pairs, counts = torch.stack([labels, predicted]).unique(dim=1, return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    names: list[str] = [actions[int(i)] for i in labels.unique()]
    recognized_as: dict[str, dict[str, int]] = {name: {} for name in names}
    for true, given, count in zip(*pairs[:, order].tolist(), counts[order].tolist(), strict=True):
        recognized_as[actions[int(true)]][actions[int(given)]] = count
    return {
        "top1": top_k(scores, labels),
        "top5": top_k(scores, labels, 5),
        "mean_class_accuracy": mean_class_accuracy(predicted, labels, num),
        "macro_f1": macro_f1(predicted, labels, num),
        "num_clips": len(labels),
        "per_class": {
            actions[i]: {"accuracy": float(right[i] / clips[i]), "clips": int(clips[i])}
            for i in labels.unique().tolist()
        },
        "recognized_as": recognized_as,
    }


def negative_log_likelihood(logits: Float[Tensor, "B K"], labels: Labels) -> float:
    """Mean of ``−log softmax(logits)[label]``, in nats; of soft labels, the mean cross entropy."""
    labels = labels.to(logits.dtype) if labels.is_floating_point() else labels
    return float(torch.nn.functional.cross_entropy(logits, labels))


def fit_temperature(logits: Float[Tensor, "B K"], labels: Labels) -> float:
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


def unknown_below(probability: Float[Tensor, "B K"], labels: Labels, wrong_answers: float) -> float:
    """The least threshold of the top probability at which at most a share ``wrong_answers`` of the answers is wrong.

    Clips below it are left as unknown. By soft labels, an answer is wrong by what they say of other actions. It is 0
    where all clips may be answered, and 1 where even the surest answers are wrong more often.

    Raises:
        ValueError: the share is not in [0, 1).
    """
    if not 0 <= wrong_answers < 1:
        raise ValueError(f"wrong_answers is {wrong_answers}, expected a share in [0, 1)")
    values, group, counts = probability.max(dim=1).values.unique(return_inverse=True, return_counts=True)
    wrong = counts.new_zeros(len(values), dtype=torch.float64)
    wrong.index_add_(0, group, 1 - rightness(probability, labels))
    answered, wrong = (x.flip(0).cumsum(0).flip(0) for x in (counts, wrong))
    enough = (wrong <= (wrong_answers + 1e-9) * answered).nonzero()[:, 0]
    if not len(enough):
        return 1.0
    return float(values[enough[0]]) if enough[0] else 0.0


def rightness(probability: Float[Tensor, "B K"], labels: Labels) -> Float[Tensor, " B"]:
    """1 where the first guess is the label, else 0; by soft labels, what they say of the first guess."""
    predicted = probability.argmax(dim=1)
    if labels.is_floating_point():
        return labels.gather(1, predicted[:, None])[:, 0].double()
    return (predicted == labels).double()
