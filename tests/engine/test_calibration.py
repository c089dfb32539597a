"""Calibration by hand, and against torchmetrics and a fine grid."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from kgclip.engine.calibration import (
    HIGHEST,
    LOWEST,
    area_under_risk_coverage,
    coverage_deciles,
    expected_calibration_error,
    fit_temperature,
    risk_coverage,
    unknown_below,
)
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.metrics import negative_log_likelihood


def case(seed: int, clips: int = 80, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits of 5 actions that know half of the answer."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(5, (clips,), generator=generator)
    logits = torch.randn(clips, 5, generator=generator)
    logits[torch.arange(clips), labels] += 1
    return scale * logits, labels


@given(st.integers(0, 1000), st.sampled_from([0.01, 1.0, 300.0]))
def test_temperature_has_the_least_likelihood_of_a_grid(seed: int, scale: float):
    logits, labels = case(seed, scale=scale)
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
    logits, labels = case(seed)
    probability = logits.softmax(dim=1)
    expected = multiclass_calibration_error(probability, labels, num_classes=5, n_bins=15, norm="l1")
    assert expected_calibration_error(probability, labels) == pytest.approx(float(expected), abs=1e-6)


def test_risk_and_coverage_by_hand():
    probability = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    labels = torch.tensor([1, 0, 1, 1])  # right: 0.9 and 0.8; wrong: 0.7 and 0.6
    assert risk_coverage(probability, labels).tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert area_under_risk_coverage(probability, labels) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert [unknown_below(probability, share) for share in (0.25, 0.5, 0.6, 1.0)] == pytest.approx([0.9, 0.8, 0.7, 0.6])


@given(st.permutations(range(6)))
def test_the_order_of_equally_confident_clips_has_no_influence(order: list[int]):
    probability = torch.tensor([[0.5, 0.5]] * 4 + [[1.0, 0.0]] * 2)
    labels = torch.tensor([0, 1, 1, 1, 0, 1])
    curve = risk_coverage(probability[order], labels[order]).tolist()
    assert curve == pytest.approx([1 / 2, 1 / 2, 1.25 / 3, 1.5 / 4, 1.75 / 5, 2 / 6])


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.1])
def test_coverage_is_a_share(coverage: float):
    with pytest.raises(ValueError, match="share in"):
        unknown_below(torch.ones(2, 2) / 2, coverage)


def test_the_report_of_an_evaluation(kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path):
    evaluation = open_evaluation(kg_checkpoint, figures, features=synthetic_features)
    report, scores = evaluate(kg_checkpoint, evaluation)
    logits = kg_checkpoint.model.scale().detach() * scores.fused
    probability = (logits / kg_checkpoint.temperature).softmax(dim=1)
    assert report["ece"] == pytest.approx(expected_calibration_error(probability, evaluation.labels), abs=1e-5)
    assert report["aurc"] == pytest.approx(area_under_risk_coverage(probability, evaluation.labels), abs=1e-5)
    assert 0 < report["macro_f1"] < 1


def test_deciles_of_the_curve():
    probability = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.55, 0.45]])
    labels = torch.tensor([0, 1, 0, 0, 1])
    curve = risk_coverage(probability, labels)
    expected = [curve[0], curve[0], curve[1], curve[1], curve[2], curve[2], curve[3], curve[3], curve[4], curve[4]]
    assert coverage_deciles(probability, labels) == pytest.approx([float(value) for value in expected])
