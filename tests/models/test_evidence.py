"""Path evidence against plain loops: weights, the fusion by z-scores, and actions known by their definition alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kgclip.models import evidence
from kgclip.models.evidence import COVARIANCE_FLOOR, PathEvidence, discriminant_weights

DEFINITIONS = torch.tensor([[0.5, 0.0, 0.25, 0.0, 1.0, 0.0], [0.0] * 6, [0.1, 0.9, 0.0, 0.3, 0.0, 0.7]])
SHOWN = torch.rand(12, 6, generator=torch.Generator().manual_seed(4))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fitted(weight: float = 0.5, definitions: Tensor = DEFINITIONS) -> PathEvidence:
    path = PathEvidence(*definitions.shape)
    path.fit(definitions, SHOWN, weight)
    return path


def z_scores(row: list[float]) -> np.ndarray:
    values = np.array(row, dtype=np.float64)
    return (values - values.mean()) / values.std()


def test_weights_rank_by_the_cosine_of_whitened_shares():
    """Whitened by hand through the eigenvectors of the covariance, in float64."""
    shown = SHOWN.double().numpy()
    mean = shown.mean(axis=0)
    covariance = np.zeros((6, 6))
    for row in shown:
        covariance += np.outer(row - mean, row - mean) / len(shown)
    values, vectors = np.linalg.eigh(covariance + COVARIANCE_FLOOR * np.eye(6))
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    path = fitted()(SHOWN)
    for i, row in enumerate(shown):
        clip = whiten @ (row - mean)
        for a in (0, 2):
            action = whiten @ (DEFINITIONS[a].double().numpy() - mean)
            cosine = clip @ action / np.linalg.norm(clip) / np.linalg.norm(action)
            assert path[i, a].item() == pytest.approx(cosine * np.linalg.norm(clip), abs=1e-4)
        assert path[i, 1] == 0  # of the second action nothing is known


def test_path_evidence_is_a_sum_over_movements():
    path, shares = fitted(), random(4, 6)
    for b in range(4):
        for a in range(3):
            by_hand = sum(
                w * (e - p)
                for w, e, p in zip(path.weights[a].tolist(), shares[b].tolist(), path.baseline.tolist(), strict=True)
            )
            assert path(shares)[b, a].item() == pytest.approx(by_hand, abs=1e-5)
    # The average clip is evidence for nothing.
    assert path(SHOWN.mean(dim=0, keepdim=True)).abs().max() < 1e-6


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


@pytest.mark.parametrize("num_clips", [2, 5, 40])
def test_many_movements_are_weighed_as_few(num_clips: int, monkeypatch: pytest.MonkeyPatch):
    shares, shown = torch.rand(3, 12).double(), torch.rand(num_clips, 12).double()
    direct = discriminant_weights(shares, shown)
    monkeypatch.setattr(evidence, "FEW_MOVEMENTS", 0)
    torch.testing.assert_close(discriminant_weights(shares, shown), direct, atol=1e-6, rtol=0)


@pytest.mark.parametrize("clips", [0, 1])
def test_fewer_than_two_annotated_clips_teach_nothing(clips: int):
    path = PathEvidence(3, 6)
    path.fit(DEFINITIONS, SHOWN[:clips], 0.5)
    assert not path.readable
    assert torch.equal(path.definitions, DEFINITIONS)
    assert fitted().readable


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_fusion_ranks_as_the_sum_of_z_scores(weight: float):
    output, evidence = 0.1 * random(5, 7, seed=1), 40 * random(5, 7, seed=2)
    factor = fitted(weight).factor(output, evidence)
    total = output + factor * (evidence - evidence.mean(dim=1, keepdim=True))
    for b in range(5):
        by_hand = z_scores(output[b].tolist()) + weight * z_scores(evidence[b].tolist())
        values = np.array(output[b].tolist())  # the unit is that of the output
        assert total[b].tolist() == pytest.approx((values.mean() + values.std() * by_hand).tolist(), abs=1e-5)


def test_evidence_that_is_the_same_for_all_actions_and_a_weight_of_zero_change_nothing():
    output = random(3, 4)
    for constant in (torch.zeros(3, 4), torch.full((3, 4), 0.3), torch.tensor([[0.1], [-2.0], [5.0]]).expand(3, 4)):
        assert (fitted(1.0).factor(output, constant) == 0).all()
    assert (fitted(0.0).factor(output, random(3, 4, seed=1)) == 0).all()
    assert (fitted(1.0).factor(output, random(3, 4, seed=1)) > 0).all()


def test_contributions_sum_to_what_the_path_adds():
    path, shares, output = fitted(0.8), random(9, 6), random(9, 3, seed=1)
    evidence = path(shares)
    factor = path.factor(output, evidence)
    added = factor * (evidence - evidence.mean(dim=1, keepdim=True))
    for a in range(3):
        contributions = path.contributions(shares, factor, a)
        torch.testing.assert_close(contributions.sum(dim=1), added[:, a], atol=1e-5, rtol=0)
        for m, w in enumerate(path.weights[a].tolist()):
            by_hand = (w - path.weights[:, m].mean().item()) * (shares[0, m] - path.baseline[m]).item()
            assert contributions[0, m].item() == pytest.approx(factor[0].item() * by_hand, abs=1e-5)


@pytest.fixture
def defined() -> tuple[PathEvidence, Tensor, Tensor, Tensor]:
    """The last of four actions has no clips: path, S_output, S_path and labels of 40 clips."""
    definitions = torch.cat([DEFINITIONS, DEFINITIONS[:1].flip(1)])
    path = fitted(0.5, definitions)
    output = random(40, 4, seed=1) * 0.3 + 2
    performs = torch.eye(4)[torch.arange(40) % 3]
    output[performs > 0] += 50  # clips of an action say nothing of how it scores the clips of others
    output[:, 3] = -99
    evidence = path(random(40, 6, seed=2))
    path.fit_defined(torch.tensor([False, False, False, True]), output, evidence, performs)
    return path, output, evidence, performs


def test_a_defined_action_has_mean_and_deviation_of_the_others(defined: tuple[PathEvidence, Tensor, Tensor, Tensor]):
    path, output, evidence, performs = defined
    whole = path.with_defined(output, evidence)
    assert torch.equal(whole[:, :3], output[:, :3])
    others = np.array([output[i, a].item() for i in range(40) for a in range(3) if performs[i, a] == 0])
    assert whole[:, 3].mean().item() == pytest.approx(others.mean(), abs=1e-4)
    assert whole[:, 3].std(correction=0).item() == pytest.approx(others.std(), abs=1e-4)
    # It ranks clips as its path evidence does.
    assert torch.equal(whole[:, 3].argsort(), evidence[:, 3].argsort())
    assert path.gain[:3].tolist() == path.offset[:3].tolist() == [0, 0, 0]


def test_contributions_to_a_defined_action_are_all_that_speaks_for_it(
    defined: tuple[PathEvidence, Tensor, Tensor, Tensor],
):
    path = defined[0]
    shares, output = random(9, 6, seed=5), random(9, 4, seed=6)
    evidence = path(shares)
    output = path.with_defined(output, evidence)
    factor = path.factor(output, evidence)
    total = output + factor * (evidence - evidence.mean(dim=1, keepdim=True))
    contributions = path.contributions(shares, factor, 3).sum(dim=1)
    torch.testing.assert_close(contributions, total[:, 3] - path.offset[3], atol=1e-5, rtol=0)


def test_where_every_action_is_defined_alone_the_path_ranks_them():
    path = fitted()
    evidence = path(SHOWN)
    nothing = torch.zeros(12, 3)
    path.fit_defined(torch.ones(3, dtype=torch.bool), nothing, evidence, nothing)
    output = path.with_defined(nothing, evidence)
    assert output[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert torch.equal(output[:, 0].argsort(), evidence[:, 0].argsort())


def test_it_is_saved_whole(defined: tuple[PathEvidence, Tensor, Tensor, Tensor]):
    fresh = PathEvidence(4, 6)
    fresh.load_state_dict(defined[0].state_dict())
    shares = random(3, 6)
    assert torch.equal(fresh(shares), defined[0](shares))
    assert torch.equal(fresh.with_defined(fresh(shares), fresh(shares)), defined[0].with_defined(*[fresh(shares)] * 2))
    assert not list(fresh.parameters())
