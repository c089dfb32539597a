"""Classification metrics of a set of clips."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


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


def negative_log_likelihood(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """Mean of ``−log softmax(logits)[label]``, in nats."""
    return float(torch.nn.functional.cross_entropy(logits, labels))


def harmonic_mean(a: float, b: float) -> float:
    """``2ab / (a + b)``, 0 where both are 0."""
    return 2 * a * b / (a + b) if a + b else 0.0


def mean_average_precision(scores: Float[Tensor, "B M"], positive: Bool[Tensor, "B M"]) -> float:
    """Mean, over the columns that have a positive, of average precision; in [0, 1].

    A column's average precision is the mean, over its positives, of the share of positives among all that score at
    least as high: equal scores count as one step, so that the order of rows has no influence.

    Raises:
        ValueError: nothing is positive, or a score is not finite.
    """
    if not positive.any() or not scores.isfinite().all():
        raise ValueError("mean average precision needs a positive and finite scores")
    columns = scores.T.contiguous()
    candidates = columns.sort(dim=1).values
    positives = columns.masked_fill(~positive.T, -torch.inf).sort(dim=1).values
    num = len(scores)
    at_least = num - torch.searchsorted(candidates, columns)
    positive_at_least = num - torch.searchsorted(positives, columns)
    precision = (positive_at_least / at_least).T.where(positive, 0).sum(dim=0)
    count = positive.sum(dim=0)
    return float((precision / count)[count > 0].mean())
