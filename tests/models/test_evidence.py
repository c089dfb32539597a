"""Path evidence against plain loops: probabilities within parts, weights, and the fusion by z-scores."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from kgclip.models import path as path_module
from kgclip.models.path import (
    COVARIANCE_FLOOR,
    LOG_FLOOR,
    action_weights,
    discriminant_weights,
    fuse,
    part_softmax,
    path_evidence,
)

PARTS = torch.tensor([4, 0, 4, 7, 0, 4])  # six movements of three parts, out of order
SHARES = torch.tensor([[0.5, 0.0, 0.25, 0.0, 1.0, 0.0], [0.0] * 6, [0.1, 0.9, 0.0, 0.3, 0.0, 0.7]])
Form = Literal["plain", "log"]
FORMS: list[Form] = ["plain", "log"]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def z_scores(row: list[float]) -> np.ndarray:
    values = np.array(row, dtype=np.float64)
    return (values - values.mean()) / values.std()


def test_part_softmax_divides_by_the_movements_of_the_same_part():
    logits = random(3, 6)
    probability = part_softmax(logits, PARTS)
    for b in range(3):
        row = logits[b].tolist()
        for m, part in enumerate(PARTS.tolist()):
            total = sum(math.exp(row[j]) for j in range(6) if PARTS[j] == part)
            assert probability[b, m].item() == pytest.approx(math.exp(row[m]) / total, rel=1e-5)
    assert (probability[:, 3] == 1).all()  # the only movement of its part


@given(
    hnp.arrays(np.float32, (2, 6), elements=st.floats(-1e4, 1e4, width=32)),
    st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_part_softmax_sums_to_one_within_each_part_for_any_logits(values: np.ndarray, parts: list[int]):
    probability = part_softmax(torch.from_numpy(values), torch.tensor(parts))
    assert probability.isfinite().all()
    assert probability.min() >= 0
    for part in set(parts):
        columns = [m for m in range(6) if parts[m] == part]
        torch.testing.assert_close(probability[:, columns].sum(dim=1), torch.ones(2))


def test_part_softmax_ignores_a_shift_of_a_part_and_other_parts():
    logits = random(2, 6)
    shifted = logits + 1000.0 * PARTS
    torch.testing.assert_close(part_softmax(shifted, PARTS), part_softmax(logits, PARTS), atol=1e-3, rtol=0)
    changed = torch.where(PARTS == 4, logits, -logits)
    torch.testing.assert_close(part_softmax(changed, PARTS)[:, PARTS == 4], part_softmax(logits, PARTS)[:, PARTS == 4])


def test_a_graph_without_movements_gives_no_evidence():
    nothing = part_softmax(torch.zeros(2, 0), torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (2, 0)
    for form in FORMS:
        assert (path_evidence(nothing, action_weights(torch.zeros(3, 0), form)) == 0).all()


def test_plain_weights_of_an_action_sum_to_one():
    weights = action_weights(SHARES, "plain")
    assert weights.sum(dim=1).tolist() == pytest.approx([1, 0, 1])  # nothing is known of the second action
    for a in (0, 2):
        total = sum(SHARES[a].tolist())
        assert weights[a].tolist() == pytest.approx([share / total for share in SHARES[a].tolist()])


def test_log_weights_are_logs_of_shares_about_the_mean_over_known_actions():
    weights = action_weights(SHARES, "log")
    logs = [[math.log(share + LOG_FLOOR) for share in row] for row in SHARES.tolist()]
    for m in range(6):
        center = (logs[0][m] + logs[2][m]) / 2
        assert weights[:, m].tolist() == pytest.approx([logs[0][m] - center, 0, logs[2][m] - center], abs=1e-6)


def test_centering_the_logs_changes_no_difference_between_known_actions():
    shares = SHARES[[0, 2]]
    evidence = part_softmax(random(4, 6), PARTS)
    path = path_evidence(evidence, action_weights(shares, "log"))
    for b in range(4):
        raw = [
            sum(p * math.log(share + 0.05) for p, share in zip(evidence[b].tolist(), row, strict=True))
            for row in shares.tolist()
        ]
        assert (path[b, 0] - path[b, 1]).item() == pytest.approx(raw[0] - raw[1], abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_path_evidence_is_a_sum_over_movements(form: Form):
    evidence, weights = random(4, 6), action_weights(SHARES, form)
    path = path_evidence(evidence, weights)
    for b in range(4):
        for a in range(3):
            by_hand = sum(w * e for w, e in zip(weights[a].tolist(), evidence[b].tolist(), strict=True))
            assert path[b, a].item() == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_showing_what_only_one_action_consists_of_speaks_for_it(form: Form):
    shares = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    path = path_evidence(torch.tensor([[0.7, 0.3]]), action_weights(shares, form))
    assert path[0, 0] > path[0, 1]


SHOWN = torch.rand(12, 6, generator=torch.Generator().manual_seed(4))


def test_shares_weights_rank_by_the_cosine_of_whitened_shares():
    """Whitened by hand through the eigenvectors of the covariance, in float64."""
    shown = SHOWN.double().numpy()
    mean = shown.mean(axis=0)
    covariance = np.zeros((6, 6))
    for row in shown:
        covariance += np.outer(row - mean, row - mean) / len(shown)
    values, vectors = np.linalg.eigh(covariance + COVARIANCE_FLOOR * np.eye(6))
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    known = [0, 2]
    path = path_evidence(SHOWN - SHOWN.mean(dim=0), discriminant_weights(SHARES, SHOWN))
    for i, row in enumerate(shown):
        clip = whiten @ (row - mean)
        for a in known:
            action = whiten @ (SHARES[a].double().numpy() - mean)
            cosine = clip @ action / np.linalg.norm(clip) / np.linalg.norm(action)
            assert path[i, a].item() == pytest.approx(cosine * np.linalg.norm(clip), abs=1e-4)
        assert path[i, 1] == 0  # of the second action nothing is known


def test_what_every_clip_shows_counts_nothing():
    """Movement 0 is in every clip alike, movement 1 tells the two actions apart."""
    shown = torch.tensor([[0.9, 1.0], [0.9, 0.0], [0.9, 1.0], [0.9, 0.0]])
    weights = discriminant_weights(torch.tensor([[0.9, 1.0], [0.9, 0.0]]), shown)
    torch.testing.assert_close(weights[:, 0], torch.zeros(2), atol=1e-5, rtol=0)
    assert weights[0, 1] > 0 > weights[1, 1]


def test_movements_that_always_come_together_count_about_once():
    shown = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    shares = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    doubled = discriminant_weights(shares[:, [0, 0, 1]], shown[:, [0, 0, 1]])
    single = discriminant_weights(shares, shown)
    assert doubled[0, 0].item() == pytest.approx(doubled[0, 1].item(), abs=1e-5)
    assert doubled[0, :2].sum().item() == pytest.approx(single[0, 0].item(), rel=0.1)


def test_without_clips_to_learn_a_covariance_from_the_weights_are_plain():
    for shown in (torch.zeros(0, 6), SHOWN[:1]):
        assert torch.equal(discriminant_weights(SHARES, shown), action_weights(SHARES, "plain"))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_fusion_ranks_as_the_sum_of_z_scores(weight: float):
    output, path = 0.1 * random(5, 7, seed=1), 40 * random(5, 7, seed=2)
    fused, _ = fuse(output, path, weight)
    for b in range(5):
        by_hand = z_scores(output[b].tolist()) + weight * z_scores(path[b].tolist())
        assert fused[b].argsort().tolist() == by_hand.argsort().tolist()
        values = np.array(output[b].tolist())  # the unit is that of the output
        assert fused[b].tolist() == pytest.approx((values.mean() + values.std() * by_hand).tolist(), abs=1e-5)


def test_contributions_of_movements_add_up_to_the_fused_value():
    output, evidence = random(3, 3, seed=1), part_softmax(random(3, 6), PARTS)
    weights = action_weights(SHARES, "log")
    path = path_evidence(evidence, weights)
    fused, factor = fuse(output, path, 0.8)
    for b in range(3):
        mean = sum(path[b].tolist()) / 3
        for a in range(3):
            contributions = [
                factor[b, 0].item() * w * e for w, e in zip(weights[a].tolist(), evidence[b].tolist(), strict=True)
            ]
            total = output[b, a].item() + sum(contributions) - factor[b, 0].item() * mean
            assert fused[b, a].item() == pytest.approx(total, abs=1e-5)


def test_path_evidence_that_says_the_same_of_all_actions_changes_nothing():
    output = random(3, 4)
    for constant in (torch.zeros(3, 4), torch.full((3, 4), 0.3), torch.tensor([[0.1], [-2.0], [5.0]]).expand(3, 4)):
        fused, factor = fuse(output, constant, 1.0)
        torch.testing.assert_close(fused, output)
        assert (factor == 0).all()


def test_a_single_action_and_a_weight_of_zero_change_nothing():
    output = random(3, 1)
    assert torch.equal(fuse(output, random(3, 1, seed=1), 1.0)[0], output)
    output = random(3, 4)
    assert torch.equal(fuse(output, random(3, 4, seed=1), 0.0)[0], output)


def test_a_clip_is_fused_on_its_own():
    output, path = random(5, 4, seed=1), random(5, 4, seed=2)
    fused, factor = fuse(output, path, 1.0)
    for b in range(5):
        alone, own_factor = fuse(output[b : b + 1], path[b : b + 1], 1.0)
        torch.testing.assert_close(alone[0], fused[b])
        torch.testing.assert_close(own_factor[0], factor[b])


@pytest.mark.parametrize("num_clips", [2, 5, 40])
def test_many_movements_are_weighed_as_few(num_clips: int, monkeypatch: pytest.MonkeyPatch):
    shares, shown = torch.rand(3, 12).double(), torch.rand(num_clips, 12).double()
    direct = discriminant_weights(shares, shown)
    monkeypatch.setattr(path_module, "FEW_MOVEMENTS", 0)
    torch.testing.assert_close(discriminant_weights(shares, shown), direct, atol=1e-6, rtol=0)
