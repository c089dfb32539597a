"""Path evidence against plain loops: weights, its place beside S_output, and actions known by definition alone."""

import statistics

import numpy as np
import pytest
import torch
from torch import Tensor

from kgclip.models import evidence
from kgclip.models.evidence import COVARIANCE_FLOOR, DEFINED_OFFSET, TAKEN, PathEvidence, may_take, path_weights

DEFINITIONS = torch.tensor([[0.5, 0.0, 0.25, 0.0, 1.0, 0.0], [0.0] * 6, [0.1, 0.9, 0.0, 0.3, 0.0, 0.7]])
SHOWN = torch.rand(12, 6, generator=torch.Generator().manual_seed(4))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


READ = (SHOWN + 0.3 * torch.randn(12, 6, generator=torch.Generator().manual_seed(5))).clamp(-0.2, 1.2)


def fitted(definitions: Tensor = DEFINITIONS) -> PathEvidence:
    path = PathEvidence(*definitions.shape)
    path.fit(definitions, SHOWN, READ)
    return path


def test_weights_are_of_whitened_shares_and_unit_deviation():
    """Whitened by hand through the eigenvectors of the covariance, in float64; of the readings each has deviation 1."""
    shown, read = SHOWN.double().numpy(), READ.double().numpy()
    mean = shown.mean(axis=0)
    covariance = np.zeros((6, 6))
    for row in shown:
        covariance += np.outer(row - mean, row - mean) / len(shown)
    values, vectors = np.linalg.eigh(covariance + COVARIANCE_FLOOR * np.eye(6))
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    path = fitted()(READ)
    for a in (0, 2):
        action = whiten @ (DEFINITIONS[a].double().numpy() - mean)
        products = np.array([whiten @ (row - mean) @ action for row in read])
        expected = products / np.sqrt(np.mean((products - products.mean()) ** 2))
        np.testing.assert_allclose(path[:, a].numpy(), expected, atol=1e-4)
        assert path[:, a].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert (path[:, 1] == 0).all()  # of the second action nothing is known


def test_the_evidence_of_a_left_out_clip_holds_nothing_of_its_source():
    """Against shares of the actions that are counted anew for every source; two actions and one without other clips."""
    sources = torch.tensor([0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8])
    actions = torch.tensor([0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 2, 0])
    counts = torch.eye(3)[actions] * torch.tensor([1.0, 2, 1, 1, 0.5, 1, 1, 1, 1, 1, 1, 1])[:, None]
    shows = SHOWN.clone()
    shows[0], counts[0] = 0, 0  # nobody annotated it
    annotated = shows.any(dim=1)
    prior = 10 * DEFINITIONS * torch.tensor([1.0, 0, 0])[:, None]
    total = counts.sum(dim=0) + torch.tensor([10.0, 0, 0])
    path = PathEvidence(3, 6)
    path.fit((counts.T @ shows + prior) / total[:, None], shows[annotated], READ[annotated])
    found = path.without_sources(READ, shows, counts, total, sources)
    covariance = torch.cov(shows[annotated].T, correction=0) + COVARIANCE_FLOOR * torch.eye(6)
    for row in range(12):
        kept = sources != sources[row]
        left = total - counts[~kept].sum(dim=0)
        for action in range(3):
            if action == 2 and row == 10:
                assert found[row, action] == 0  # no other clip shows it
                continue
            share = (counts[kept].T @ shows[kept] + prior)[action] / left[action]
            direction = torch.linalg.solve(covariance, share - path.baseline)
            whole = torch.linalg.solve(covariance, path.definitions[action] - path.baseline)
            spread = (READ[annotated] @ whole).std(correction=0)
            expected = (READ[row] - path.baseline) @ direction / spread
            assert found[row, action].item() == pytest.approx(expected.item(), abs=1e-3)
    assert (found - path(READ)).abs().max() > 0.1


def test_an_action_whose_evidence_never_varies_has_no_unit():
    """Readings that are the same for every clip: dividing by their deviation would blow noise up."""
    weights = path_weights(DEFINITIONS, SHOWN, READ[:1].expand(12, 6))
    assert weights.isfinite().all()
    assert weights.abs().max() < 1 / COVARIANCE_FLOOR


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
    weights = path_weights(torch.tensor([[0.9, 1.0], [0.9, 0.0]]), shown, shown)
    torch.testing.assert_close(weights[:, 0], torch.zeros(2), atol=1e-5, rtol=0)
    assert weights[0, 1] > 0 > weights[1, 1]


def test_movements_that_always_come_together_count_about_once():
    shown = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    shares = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    doubled = path_weights(shares[:, [0, 0, 1]], shown[:, [0, 0, 1]], shown[:, [0, 0, 1]])
    single = path_weights(shares, shown, shown)
    assert doubled[0, 0].item() == pytest.approx(doubled[0, 1].item(), abs=1e-5)
    assert doubled[0, :2].sum().item() == pytest.approx(single[0, 0].item(), rel=0.1)


@pytest.mark.parametrize("num_clips", [2, 5, 40])
def test_many_movements_are_weighed_as_few(num_clips: int, monkeypatch: pytest.MonkeyPatch):
    shares, shown = torch.rand(3, 12).double(), torch.rand(num_clips, 12).double()
    direct = path_weights(shares, shown, shown)
    monkeypatch.setattr(evidence, "FEW_MOVEMENTS", 0)
    torch.testing.assert_close(path_weights(shares, shown, shown), direct, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("clips", [0, 1])
def test_fewer_than_two_annotated_clips_teach_nothing(clips: int):
    path = PathEvidence(3, 6)
    path.fit(DEFINITIONS, SHOWN[:clips], READ[:clips])
    assert not path.readable
    assert torch.equal(path.definitions, DEFINITIONS)
    assert fitted().readable


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_the_path_is_weighed_by_mean_deviations_over_the_actions(weight: float):
    path, output, path_scores = fitted(), 0.1 * random(5, 7, seed=1), 40 * random(5, 7, seed=2)
    path.fit_weight(weight, output, path_scores)
    spreads = [np.mean([statistics.pstdev(row) for row in values.tolist()]) for values in (output, path_scores)]
    assert path.weight.item() == pytest.approx(weight * spreads[0] / spreads[1], rel=1e-5)


def test_evidence_that_is_the_same_for_all_actions_gives_a_finite_weight():
    path = fitted()
    path.fit_weight(0.5, random(3, 4), torch.full((3, 4), 0.3))
    assert path.weight.isfinite()


DEFINED = torch.tensor([False, False, False, True])


@pytest.fixture
def defined() -> tuple[PathEvidence, Tensor]:
    """The last of four actions has no clips: path evidence fitted, and S_output of 40 clips."""
    path = fitted(torch.cat([DEFINITIONS, DEFINITIONS[:1].flip(1)]))
    output = random(40, 4, seed=1) * 0.3 + 2
    output[:, 3] = -99
    path.fit_defined(DEFINED, output, -9 * path.weights[3].expand(40, 6))
    return path, output


def test_a_defined_action_has_the_unit_of_the_others(defined: tuple[PathEvidence, Tensor]):
    path, output = defined
    shares = random(40, 6, seed=2)
    whole, evidence = path.with_defined(output, path(shares)), path(shares)
    assert torch.equal(whole[:, :3], output[:, :3])
    others = [value for row in output[:, :3].tolist() for value in row]
    mean, deviation = statistics.fmean(others), statistics.pstdev(others)
    expected = [mean + deviation * (value + DEFINED_OFFSET) for value in evidence[:, 3].tolist()]
    assert whole[:, 3].tolist() == pytest.approx(expected, abs=1e-4)
    assert path.gain[:3].tolist() == path.offset[:3].tolist() == [0, 0, 0]


def loud(times: float) -> tuple[PathEvidence, Tensor, Tensor]:
    """Path evidence of four actions, so many times as loud as S_output of 200 clips, which it comes with."""
    path = fitted(torch.cat([DEFINITIONS, DEFINITIONS[:1].flip(1)]))
    path.weights.mul_(times)
    output, shares = random(200, 4, seed=1), SHOWN.mean(dim=0) + random(200, 6, seed=2)
    path.read_covariance.copy_(torch.cov(shares.T, correction=0))
    path.fit_weight(0.5, output, path(shares))
    return path, output, shares


def taken(path: PathEvidence, output: Tensor, shares: Tensor) -> float:
    total = path.with_defined(output, path(shares)) + path.weight * path(shares)
    return float((total.argmax(dim=1) == 3).float().mean())


@pytest.mark.parametrize("times", [0.5, 5.0])
def test_a_defined_action_takes_at_most_a_tenth_of_the_clips_of_others(times: float):
    path, output, shares = loud(times)
    path.fit_defined(DEFINED, output, shares)
    assert taken(path, output, shares) <= TAKEN + 1 / 200
    if times > 1:
        assert path.shift[3] > 0
        assert path.shift[:3].tolist() == [0, 0, 0]
        path.offset += path.shift
        assert taken(path, output, shares) > 2 * TAKEN


LATER = torch.tensor([[0.0, 1.0, 0.0, 0.25, 0.0, 0.5], [0.9, 0.0, 0.6, 0.0, 0.0, 0.8]])


def normal(known: int) -> tuple[PathEvidence, Tensor, Tensor]:
    """Path evidence of actions with clips, S_output and the shares of 2000 clips that differ from the average one."""
    shares = SHOWN.mean(dim=0) + torch.tensor([0.4, -0.2, 0.1, 0.3, -0.3, 0.2]) + random(2000, 6, seed=2)
    path = fitted(DEFINITIONS[:known])
    path.read_covariance.copy_(torch.cov(shares.T, correction=0))
    output = random(2000, known, seed=1) + 0.5 * path(shares)
    path.fit_weight(0.5, output, path(shares))
    path.fit_defined(torch.zeros(known, dtype=torch.bool), output, shares)
    return path, output, shares


def later(path: PathEvidence, rows: Tensor) -> PathEvidence:
    """With one action more after the other, known by these definitions alone."""
    for row in rows:
        path = path.with_definitions(torch.cat([path.definitions, row[None]]), SHOWN)
        path.set_defined(torch.cat([path.defined[:-1], torch.tensor([True])]))
    return path


def taken_by(path: PathEvidence, action: int, output: Tensor, shares: Tensor) -> float:
    """Share of the clips that the action takes from those with clips."""
    known = output.shape[1]
    whole = path.with_defined(
        torch.cat([output, output[:, :1].expand(-1, len(path.weights) - known)], dim=1), path(shares)
    )
    total = whole + path.weight * path(shares)
    return float((total[:, action] > total[:, :known].amax(dim=1)).float().mean())


@pytest.mark.parametrize("known", [1, 3])
@pytest.mark.parametrize("row", [0, 1])
def test_an_action_defined_later_takes_about_as_many(known: int, row: int):
    """By the moments of the clips that the path keeps; without them half as many more, or several times."""
    path, output, shares = normal(known)
    path = later(path, LATER[row : row + 1])
    assert taken_by(path, known, output, shares) == pytest.approx(TAKEN, abs=0.03)
    path.offset += path.shift
    assert taken_by(path, known, output, shares) > 1.5 * TAKEN


def test_several_actions_defined_later_share_what_they_may_take_in_any_order():
    path, output, shares = normal(3)
    one, other = later(path, LATER), later(path, LATER.flip(0))
    torch.testing.assert_close(one.shift[3:], other.shift[3:].flip(0))
    for action in (3, 4):
        assert taken_by(one, action, output, shares) == pytest.approx(may_take(2, 5) / 2, abs=0.03)
    many = later(path, LATER.repeat(5, 1))
    assert (many.shift[3:5] > one.shift[3:]).all()
    assert taken_by(many, 3, output, shares) == pytest.approx(may_take(10, 13) / 10, abs=0.03)


def test_an_action_defined_otherwise_gets_what_its_new_definition_needs():
    path, *_ = normal(3)
    first = later(path, LATER[:1])
    other = first.with_definitions(torch.cat([DEFINITIONS, LATER[1:]]), SHOWN)
    torch.testing.assert_close(other.shift, later(path, LATER[1:]).shift)
    assert other.shift[3] != first.shift[3]
    again = other.with_definitions(first.definitions, SHOWN)
    torch.testing.assert_close(again.shift, first.shift)


def test_where_no_action_had_clips_an_action_defined_later_gets_no_less():
    path = fitted()
    path.fit_defined(torch.ones(3, dtype=torch.bool), torch.zeros(12, 3), READ)
    assert later(path, LATER).shift.tolist() == [0] * 5


def test_several_defined_actions_take_a_tenth_each_up_to_their_share():
    assert [may_take(1, actions) for actions in (2, 4, 22)] == [0.1, 0.1, 0.1]
    assert [may_take(2, actions) for actions in (4, 8, 40)] == [0.2, 0.2, 0.1]
    assert may_take(5, 20) == 0.25
    assert may_take(10, 20) == 0.5


def test_half_of_the_actions_may_take_half_of_the_clips():
    """Each takes about a tenth of these clips by chance; together that is more than a tenth, and stays so."""
    output, shares = random(200, 8, seed=1), random(200, 8, seed=2)
    path, defined = PathEvidence(8, 8), torch.arange(8) < 4
    path.weights.copy_(torch.eye(8))
    path.fit_weight(0.5, output, path(shares))
    path.fit_defined(defined, output, shares)
    total = path.with_defined(output, path(shares)) + path.weight * path(shares)
    assert 0.2 < float(defined[total.argmax(dim=1)].float().mean()) <= 0.4 + 1 / 200


def test_where_every_action_is_defined_alone_the_path_ranks_them():
    path = fitted()
    evidence, nothing = path(READ), torch.zeros(12, 3)
    path.fit_defined(torch.ones(3, dtype=torch.bool), nothing, READ)
    torch.testing.assert_close(path.with_defined(nothing, evidence), evidence + DEFINED_OFFSET)


def test_it_is_saved_whole(defined: tuple[PathEvidence, Tensor]):
    path = defined[0]
    path.fit_weight(0.5, random(5, 4), random(5, 4, seed=1))
    fresh = PathEvidence(4, 6)
    fresh.load_state_dict(path.state_dict())
    evidence = path(random(3, 6))
    assert torch.equal(fresh(random(3, 6)), evidence)
    assert torch.equal(fresh.with_defined(evidence, evidence), path.with_defined(evidence, evidence))
    assert fresh.weight == path.weight != 0
    assert not list(fresh.parameters())
