"""The figures of one cell: what an arm gets right on the test clips."""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from experiments.family import TrainedFit
from experiments.setting import Fitted, Setting
from kgclip.data.annotations import read_observations
from kgclip.data.dataset import DataSet
from kgclip.engine.metrics import (
    area_under_risk_coverage,
    expected_calibration_error,
    macro_f1,
    mean_class_accuracy,
    negative_log_likelihood,
    top_k,
)
from kgclip.kg.build import MovementRule, build_graph
from kgclip.kg.graph import KnowledgeGraph


def cell_metrics(setting: Setting, fitted: Fitted, num_frames: int) -> dict[str, float]:
    """Measure a fitted arm on the test part; docs/metrics.md defines the figures.

    Always there: top1, top5, mean_class_accuracy, macro_f1. For a trained model, by the probabilities that it states,
    which are those of its whole score: nll, ece, aurc. For an arm that reads movements, where test clips are annotated:
    movement_map. With novel actions: base_top1, novel_top1, harmonic_mean, generalized_harmonic_mean.

    Args:
        setting: the data of the cell.
        fitted: what the arm has made of it.
        num_frames: T in the test.

    Returns:
        Shares in [0, 1]; nll in nats.
    """
    clips = setting.prepared.split.test
    scores, labels = fitted.scores(clips, num_frames).cpu(), setting.labels(clips)
    predicted, num = scores.argmax(dim=1), len(setting.actions)
    metrics = {
        "top1": top_k(scores, labels),
        "top5": top_k(scores, labels, 5),
        "mean_class_accuracy": mean_class_accuracy(predicted, labels, num),
        "macro_f1": macro_f1(predicted, labels, num),
    }
    if isinstance(fitted, TrainedFit) and fitted.states_probabilities:
        probability = scores.softmax(dim=1)
        metrics |= {
            "nll": negative_log_likelihood(scores, labels),
            "ece": expected_calibration_error(probability, labels),
            "aurc": area_under_risk_coverage(probability, labels),
        }
    metrics |= _movements(setting, fitted, num_frames)
    if setting.novel:
        novel = torch.tensor([action in setting.novel for action in setting.actions])
        metrics |= base_to_novel(scores, labels, novel)
    return metrics


def _movements(setting: Setting, fitted: Fitted, num_frames: int) -> dict[str, float]:
    clips, shown = _shown(setting)
    if not clips:
        return {}
    values = fitted.movements(clips, num_frames)
    if values is None:
        return {}
    return {"movement_map": mean_average_precision(values.cpu(), shown)}


def _shown(setting: Setting) -> tuple[tuple[str, ...], Bool[Tensor, "B M"]]:
    """The annotated test clips, and which movements of the training graph they show; no clips if none shows any."""
    movements, dataset = setting.targets.movements, setting.prepared.dataset
    nothing = (), torch.zeros(0, len(movements), dtype=torch.bool)
    if dataset.annotations is None or not movements:
        return nothing
    annotated, graph = _observed(dataset, setting.config.rule.min_support, setting.config.keep_going)
    clips = tuple(clip for clip in setting.prepared.split.test if clip in annotated)
    shown = torch.from_numpy(graph.adjacency("shows", clips, movements)) > 0
    return (clips, shown) if shown.any() else nothing


@lru_cache(maxsize=4)
def _observed(dataset: DataSet, min_support: float, keep_going: bool) -> tuple[frozenset[str], KnowledgeGraph]:
    """All annotated clips, and what each shows: for measuring only, since it holds the test clips."""
    observations = read_observations(dataset, keep_going=keep_going, progress=False)
    clips = observations.frames["clip"].unique().to_list()
    graph = build_graph(dict.fromkeys(clips), observations, MovementRule(min_support, max_clip_share=1.0))
    return frozenset(clips), graph


def base_to_novel(
    scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], novel: Bool[Tensor, " K"]
) -> dict[str, float]:
    """Accuracy on clips of base actions and of novel ones, each among its own actions, and harmonic means of both.

    In ``generalized_harmonic_mean`` all actions are candidates for every clip.

    Args:
        scores: of every action.
        labels: of the clips; there are some of both kinds.
        novel: which actions are novel.
    """
    is_novel = novel[labels]

    def accuracy(kind: bool, candidates: Bool[Tensor, " K"]) -> float:
        chosen = is_novel == kind
        return top_k(scores[chosen].masked_fill(~candidates, -torch.inf), labels[chosen])

    base, new, every = accuracy(False, ~novel), accuracy(True, novel), torch.ones_like(novel)
    return {
        "base_top1": base,
        "novel_top1": new,
        "harmonic_mean": harmonic_mean(base, new),
        "generalized_harmonic_mean": harmonic_mean(accuracy(False, every), accuracy(True, every)),
    }


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
