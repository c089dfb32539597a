"""Metrics against scikit-learn, calibration against torchmetrics and a fine grid."""

import math
from dataclasses import astuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from kgclip.engine.metrics import (
    HIGHEST,
    LOWEST,
    area_under_risk_coverage,
    classification_report,
    coverage_deciles,
    expected_calibration_error,
    fit_temperature,
    macro_f1,
    negative_log_likelihood,
    risk_coverage,
    top_k,
    unknown_below,
)
from kgclip.engine.unknown import choose_threshold, rates_at

ACTIONS = ["lunge", "pull up", "push up", "rest", "run", "squat", "swim"]


def case(seed: int = 0, clips: int = 60, labelled: int = 7) -> tuple[Tensor, Tensor]:
    """Scores that know half of the answer, and labels from the first actions only."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(labelled, (clips,), generator=generator)
    scores = torch.randn(clips, len(ACTIONS), generator=generator)
    scores[torch.arange(clips), labels] += 1
    return scores, labels


@given(st.integers(0, 1000), st.integers(1, 6))
def test_top_k_equals_scikit_learn(seed: int, k: int):
    scores, labels = case(seed)
    expected = metrics.top_k_accuracy_score(labels.numpy(), scores.numpy(), k=k, labels=range(7))
    assert top_k(scores, labels, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [7, 8, 100])
def test_every_label_is_among_all_scores(k: int):
    assert top_k(*case(), k) == 1


def test_best_and_worst():
    labels = torch.arange(7)
    assert top_k(torch.eye(7), labels) == 1
    assert top_k(-torch.eye(7), labels) == 0
    assert top_k(-torch.eye(7), labels, 6) == 0


@pytest.mark.parametrize("labelled", [7, 4])
def test_the_report_equals_scikit_learn(labelled: int):
    scores, labels = case(1, labelled=labelled)
    report = classification_report(scores, labels, ACTIONS)
    truth, predicted = labels.numpy(), scores.argmax(dim=1).numpy()
    confusion = metrics.confusion_matrix(truth, predicted, labels=range(7))
    assert report["top1"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert report["top5"] == pytest.approx(metrics.top_k_accuracy_score(truth, scores.numpy(), k=5, labels=range(7)))
    recall = (confusion.diagonal() / confusion.sum(axis=1).clip(1))[:labelled]
    macro = metrics.recall_score(truth, predicted, labels=range(labelled), average="macro")
    assert report["mean_class_accuracy"] == pytest.approx(macro)
    assert report["macro_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    counts = {true: dict(zip(ACTIONS, row, strict=True)) for true, row in zip(ACTIONS, confusion.tolist(), strict=True)}
    found = {true: {given: n for given, n in row.items() if n} for true, row in counts.items()}
    assert report["recognized_as"] == {true: row for true, row in found.items() if row}
    for row in report["recognized_as"].values():
        assert list(row.values()) == sorted(row.values(), reverse=True)
    assert report["num_clips"] == 60
    assert list(report["per_class"]) == ACTIONS[:labelled]  # an action without a clip has no accuracy
    for row, (action, entry) in enumerate(report["per_class"].items()):
        assert entry["accuracy"] == pytest.approx(recall[row]), action
        assert entry["clips"] == (truth == row).sum()


def test_mean_class_accuracy_counts_every_class_once():
    labels = torch.tensor([0, 0, 0, 1])
    scores = torch.tensor([[1.0, 0.0]] * 4)  # always the first
    report = classification_report(scores, labels, ["run", "squat"])
    assert report["top1"] == 0.75
    assert report["mean_class_accuracy"] == 0.5
    assert report["recognized_as"] == {"run": {"run": 3}, "squat": {"run": 1}}


def test_macro_f1_by_hand():
    predicted, labels = torch.tensor([0, 0, 0, 2]), torch.tensor([0, 0, 1, 1])
    # 0: 2 right, 1 too many; 1: none of 2; 2: one too many; 3 occurs nowhere and does not count.
    assert macro_f1(predicted, labels, 4) == pytest.approx((4 / 5 + 0 + 0) / 3)


def test_negative_log_likelihood_equals_scikit_learn():
    scores, labels = case(2)
    probability = scores.double().softmax(dim=1).numpy()
    expected = metrics.log_loss(labels.numpy(), probability, labels=range(7))
    assert negative_log_likelihood(scores, labels) == pytest.approx(expected, rel=1e-5)
    assert negative_log_likelihood(torch.zeros(3, 7), torch.tensor([0, 3, 6])) == pytest.approx(math.log(7))


def logits_case(seed: int, clips: int = 80, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits of 5 actions that know half of the answer."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(5, (clips,), generator=generator)
    logits = torch.randn(clips, 5, generator=generator)
    logits[torch.arange(clips), labels] += 1
    return scale * logits, labels


@given(st.integers(0, 1000), st.sampled_from([0.01, 1.0, 300.0]))
def test_temperature_has_the_least_likelihood_of_a_grid(seed: int, scale: float):
    logits, labels = logits_case(seed, scale=scale)
    best = negative_log_likelihood(logits.double() / fit_temperature(logits, labels), labels)
    spread = float(logits.std(dim=1, correction=0).mean())
    for temperature in torch.logspace(-1.6, 1.6, 200).tolist():
        assert best <= negative_log_likelihood(logits.double() / (spread * temperature), labels) + 1e-6


def test_temperature_by_hand():
    # Three of four clips are right, with logits (1, 0): softmax(1/T) is 3/4 at T = 1 / log 3.
    logits, labels = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(1 / math.log(3), rel=1e-3)
    assert fit_temperature(10 * logits, labels) == pytest.approx(10 / math.log(3), rel=1e-3)


def test_temperature_has_bounds():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # a spread of 1
    assert fit_temperature(logits, torch.tensor([0, 1])) == pytest.approx(LOWEST, rel=1e-3)
    assert fit_temperature(logits, torch.tensor([1, 0])) == pytest.approx(HIGHEST, rel=1e-3)
    assert fit_temperature(torch.ones(2, 3), torch.tensor([0, 1])) == 1


def test_calibration_error_by_hand():
    probability = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = torch.tensor([0, 1, 1, 1])
    # Said 0.9 with 1 of 2 right, said 0.6 with 2 of 2 right.
    assert expected_calibration_error(probability, labels) == pytest.approx((0.4 + 0.4) / 2)
    assert expected_calibration_error(torch.eye(3), torch.arange(3)) == 0


@given(st.integers(0, 1000))
def test_calibration_error_equals_torchmetrics(seed: int):
    logits, labels = logits_case(seed)
    probability = logits.softmax(dim=1)
    expected = multiclass_calibration_error(probability, labels, num_classes=5, n_bins=15, norm="l1")
    assert expected_calibration_error(probability, labels) == pytest.approx(float(expected), abs=1e-6)


def test_risk_and_coverage_by_hand():
    probability = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    labels = torch.tensor([1, 0, 1, 1])  # right: 0.9 and 0.8; wrong: 0.7 and 0.6
    assert risk_coverage(probability, labels).tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert area_under_risk_coverage(probability, labels) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_the_threshold_of_unknown_by_hand():
    probability = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    labels = torch.tensor([1, 0, 1, 1])  # right: 0.9 and 0.8; wrong: 0.7 and 0.6
    # Of the answers 0, 0, 1 in 3, 2 in 4 are wrong.
    found = [unknown_below(probability, labels, share) for share in (0.0, 0.3, 0.4, 0.5)]
    assert found == pytest.approx([0.8, 0.8, 0.7, 0.0])
    soft = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    assert unknown_below(probability, soft, 0.24) == pytest.approx(0.9)  # then ½ of 2, ½ + ½ of 3, as much of 4
    assert unknown_below(probability, soft, 0.25) == 0.0
    assert unknown_below(probability, 1 - labels, 0.1) == 1.0  # the surest answers are wrong


def test_a_threshold_needs_clips_and_a_wrong_guess():
    probability, labels = torch.tensor([[0.9, 0.1]]).repeat(20, 1), torch.zeros(20, dtype=torch.int64)
    assert choose_threshold(probability, labels, "validation") is None
    labels[0] = 1
    chosen = choose_threshold(probability, labels, "validation")
    assert chosen is not None
    assert (chosen.value, chosen.num_clips) == (0.0, 20)
    assert choose_threshold(probability[:19], labels[:19], "validation") is None


@given(st.integers(0, 1000), st.sampled_from([0.05, 0.1, 0.3]))
def test_no_lower_threshold_keeps_the_share_of_wrong_answers(seed: int, share: float):
    logits, labels = logits_case(seed)
    probability = logits.softmax(dim=1)
    value = unknown_below(probability, labels, share)
    confidence, predicted = probability.max(dim=1)

    def wrong_answers(threshold: float) -> float:
        answered = confidence >= threshold
        return float((predicted != labels)[answered].double().mean()) if answered.any() else 0.0

    assert wrong_answers(value) <= share + 1e-6
    assert all(wrong_answers(float(lower)) > share for lower in confidence[confidence < value])


def test_rates_of_a_threshold_by_hand():
    probability = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    rates = rates_at(0.75, probability, torch.tensor([0, 0, 0, 1]))  # right: 0.6 and 0.9
    assert astuple(rates) == pytest.approx((1 / 2, 1 / 2, 1 / 2, 1 / 2))
    assert astuple(rates_at(0.0, probability, torch.tensor([0, 0, 0, 1]))) == pytest.approx((1, 1 / 2, 1, 0))


@given(st.permutations(range(6)))
def test_the_order_of_equally_confident_clips_has_no_influence(order: list[int]):
    probability = torch.tensor([[0.5, 0.5]] * 4 + [[1.0, 0.0]] * 2)
    labels = torch.tensor([0, 1, 1, 1, 0, 1])
    curve = risk_coverage(probability[order], labels[order]).tolist()
    assert curve == pytest.approx([1 / 2, 1 / 2, 1.25 / 3, 1.5 / 4, 1.75 / 5, 2 / 6])


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_the_share_of_wrong_answers_is_a_share(share: float):
    with pytest.raises(ValueError, match="share in"):
        unknown_below(torch.ones(2, 2) / 2, torch.tensor([0, 1]), share)


def test_deciles_of_the_curve():
    probability = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.55, 0.45]])
    labels = torch.tensor([0, 1, 0, 0, 1])
    curve = risk_coverage(probability, labels)
    expected = [curve[0], curve[0], curve[1], curve[1], curve[2], curve[2], curve[3], curve[3], curve[4], curve[4]]
    assert coverage_deciles(probability, labels) == pytest.approx([float(value) for value in expected])
