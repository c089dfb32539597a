"""Classification metrics of a set of clips."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix


def top_k(scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], k: int = 1) -> float:
    """Share of clips whose label is among the k highest scores, in [0, 1]."""
    k = min(k, scores.shape[1])
    return float((scores.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean())


def classification_report(
    scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], actions: Sequence[str]
) -> dict[str, Any]:
    """Top-1, top-5, mean class accuracy, accuracy per class and the confusion matrix.

    Mean class accuracy is over the classes that have a clip. Rows of the confusion matrix are the true actions.
    """
    num = len(actions)
    predicted = scores.argmax(dim=1)
    confusion = multiclass_confusion_matrix(predicted, labels, num_classes=num)
    present = labels.unique()
    per_class = multiclass_accuracy(predicted, labels, num_classes=num, average="none")
    return {
        "top1": top_k(scores, labels),
        "top5": top_k(scores, labels, 5),
        "mean_class_accuracy": float(per_class[present].mean()),
        "num_clips": len(labels),
        "per_class": {
            actions[i]: {"accuracy": float(per_class[i]), "clips": int((labels == i).sum())} for i in present.tolist()
        },
        "confusion": confusion.tolist(),
    }


def negative_log_likelihood(logits: Float[Tensor, "B K"], labels: Int[Tensor, " B"]) -> float:
    """Mean of ``−log softmax(logits)[label]``, in nats."""
    return float(torch.nn.functional.cross_entropy(logits, labels))
