"""Classification metrics of a set of clips."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)


def top_k(scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], k: int = 1) -> float:
    """Share of clips whose label is among the k highest scores, in [0, 1]."""
    k = min(k, scores.shape[1])
    return float((scores.topk(k, dim=1).indices == labels[:, None]).any(dim=1).double().mean())


def mean_class_accuracy(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"], num_actions: int) -> float:
    """Mean, over the actions that have a clip, of the share of their clips that are recognized; in [0, 1]."""
    per_class = multiclass_accuracy(predicted, labels, num_classes=num_actions, average="none")
    return float(per_class[labels.unique()].mean())


def macro_f1(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"], num_actions: int) -> float:
    """Mean, over the actions that have or are given a clip, of ``2 TP / (2 TP + FP + FN)``; in [0, 1]."""
    return float(multiclass_f1_score(predicted, labels, num_classes=num_actions, average="macro"))


def classification_report(
    scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], actions: Sequence[str]
) -> dict[str, Any]:
    """Top-1, top-5, mean class accuracy, macro F1, accuracy per class and the confusion matrix.

    Rows of the confusion matrix are the true actions.
    """
    num = len(actions)
    predicted = scores.argmax(dim=1)
    confusion = multiclass_confusion_matrix(predicted, labels, num_classes=num)
    clips = confusion.sum(dim=1)
    return {
        "top1": top_k(scores, labels),
        "top5": top_k(scores, labels, 5),
        "mean_class_accuracy": mean_class_accuracy(predicted, labels, num),
        "macro_f1": macro_f1(predicted, labels, num),
        "num_clips": len(labels),
        "per_class": {
            actions[i]: {"accuracy": float(confusion[i, i] / clips[i]), "clips": int(clips[i])}
            for i in labels.unique().tolist()
        },
        "confusion": confusion.tolist(),
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
