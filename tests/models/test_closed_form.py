"""The solved head against scikit-learn: powers, standardized statistics, one subspace a relation, sources left out."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from torch import Tensor

from kgclip.models import closed_form
from kgclip.models.closed_form import (
    POWER,
    SHOWS_PENALTY,
    TIME_SCALE,
    ClosedForm,
    HeadShape,
    Solution,
    SolvedTargets,
    powered_statistics,
    statistics_scales,
)
from kgclip.models.extend import with_action
from kgclip.models.fit_head import fit_closed_form
from kgclip.models.pooling import frame_statistics, phases
from kgclip.models.ridge import PENALTY

N, F, K, M = 20, 3, 2, 4


def frames(num: int = N, count: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(num, count, F, generator=torch.Generator().manual_seed(seed))


def view(clips: Tensor, count: int = 4) -> Tensor:
    """The clips seen once with fewer frames."""
    return phases(clips, count, 1)[0]


def targets(triplet: bool = True) -> SolvedTargets:
    """Every fifth clip has no label, every fourth no annotation; two clips a source."""
    performs = torch.eye(K)[torch.arange(N) % K]
    shows = torch.rand(N, M, generator=torch.Generator().manual_seed(3))
    performs[::5], shows[1::4] = 0, 0
    return SolvedTargets(performs, shows, torch.arange(N) // 2, triplet)


@pytest.fixture
def solution() -> Solution:
    return fit_closed_form(frames(), targets())[0].solution(4)


def test_features_are_drawn_towards_equal_sizes_by_a_power():
    batch = frames()
    by_hand = batch.tolist()
    powered = [[[np.sign(x) * abs(x) ** POWER for x in frame] for frame in clip] for clip in by_hand]
    expected = frame_statistics(torch.tensor(np.array(powered), dtype=torch.float32))
    torch.testing.assert_close(powered_statistics(batch, 8), expected, atol=1e-5, rtol=1e-5)


def test_statistics_are_standardized_and_those_over_time_count_less():
    values = 5 + 3 * torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    values[:, [1, 6]] = 4.0  # what is the same in every clip says nothing
    center, scale = statistics_scales(values)
    standard = (values - center) / scale
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
    expected = torch.tensor([1, 0, *[1 / (1 / TIME_SCALE)] * 4, 0, TIME_SCALE])
    torch.testing.assert_close(standard.std(dim=0, correction=0), expected, atol=1e-4, rtol=0)


def standardized(count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Training clips in all phases and test clips in one, standardized by hand with the numbers of the training clips.

    Also how many phases there are.
    """
    views = phases(frames(), count, 8)
    train = powered_statistics(views.flatten(0, 1), count).double().numpy()
    test = powered_statistics(view(frames(seed=1), count), count).double().numpy()
    scale = train.std(axis=0)
    scale[F:] /= TIME_SCALE
    return (train - train.mean(axis=0)) / scale, (test - train.mean(axis=0)) / scale, len(views)


@pytest.mark.parametrize(("count", "expected_views"), [(4, 1), (2, 3)])
def test_the_linear_part_is_ridge_regression_on_labeled_clips(count: int, expected_views: int):
    goal = targets()
    head = fit_closed_form(frames(), goal)[0]
    train, test, views = standardized(count)
    assert views == expected_views
    labeled = goal.performs.any(dim=1).repeat(views).numpy()
    centered = train[labeled] - train[labeled].mean(axis=0)
    penalty = views * PENALTY * np.square(centered).sum(axis=1).mean()
    solver = Ridge(alpha=penalty).fit(train[labeled], goal.performs.repeat(views, 1).numpy()[labeled])
    solved = head(view(frames(seed=1), count))
    np.testing.assert_allclose((solved.mm * head.solution(count).spread[0]).numpy(), solver.predict(test), atol=1e-3)


@pytest.mark.parametrize(("relation", "share"), [("performs", PENALTY), ("shows", SHOWS_PENALTY)])
def test_a_subspace_is_kernel_ridge_regression_around_the_mean(relation: str, share: float, solution: Solution):
    goal = targets()
    train, test, _ = standardized(4)
    wanted = {"performs": goal.performs, "shows": goal.shows}[relation].double().numpy()
    rows = wanted.any(axis=1)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-np.square(a[:, None] - b).sum(axis=2) / solution.radius.item())

    gram, cross = kernel(train[rows], train[rows]), kernel(test, train[rows])
    mean, whole = gram.mean(axis=1), gram.mean()
    penalty = share * float((np.diag(gram) - 2 * mean + whole).mean())
    solver = KernelRidge(alpha=penalty, kernel="precomputed")
    solver.fit(gram - mean - mean[:, None] + whole, wanted[rows] - wanted[rows].mean(axis=0))
    expected = solver.predict(cross - cross.mean(axis=1, keepdims=True) - mean + whole) + wanted[rows].mean(axis=0)
    solved = solution(powered_statistics(view(frames(seed=1)), 4))
    assert solved.tri is not None
    found = solved.shares if relation == "shows" else solved.tri * solution.spread[1]
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_clips_in_their_middle_phase_span_a_subspace_of_all_phases():
    """Ridge regression on features by the eigenvectors of the Gram matrix of the middle phase, in float64."""
    goal = targets()
    solution = fit_closed_form(frames(), goal)[0].solution(2)
    train, test, views = standardized(2)
    middle = train[N : 2 * N]
    np.testing.assert_allclose(solution.landmarks.numpy(), middle, atol=1e-4)

    def kernel(clips: np.ndarray) -> np.ndarray:
        return np.exp(-np.square(clips[:, None] - middle).sum(axis=2) / solution.radius.item())

    values, vectors = np.linalg.eigh(kernel(middle))
    whiten = vectors @ np.diag(values**-0.5) @ vectors.T
    wanted = goal.shows.repeat(views, 1).double().numpy()
    rows = wanted.any(axis=1)
    phi = (kernel(train) @ whiten)[rows]
    penalty = views * SHOWS_PENALTY * np.square(phi - phi.mean(axis=0)).sum(axis=1).mean()
    expected = Ridge(alpha=penalty).fit(phi, wanted[rows]).predict(kernel(test) @ whiten)
    found = solution(powered_statistics(view(frames(seed=1), 2), 2)).shares
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_the_deviation_centers_a_relation(solution: Solution):
    """Over the clips of a relation, projected heads minus ε have the mean of what they are solved for."""
    goal = targets()
    x = solution.standardize(powered_statistics(view(frames()), 4))
    squared = (x[:, None] - solution.landmarks).square().sum(dim=2)
    projected = (-squared / solution.radius).exp() @ solution.subspaces - solution.deviation
    labeled, annotated = goal.performs.any(dim=1), goal.shows.any(dim=1)
    torch.testing.assert_close(
        projected[labeled, :K].mean(dim=0), goal.performs[labeled].mean(dim=0), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        projected[annotated, K:].mean(dim=0), goal.shows[annotated].mean(dim=0), atol=1e-3, rtol=0
    )
    assert (solution.deviation[:K] - solution.deviation[:1]).abs().max() > 1e-4


def test_scores_have_the_unit_of_their_spread_on_clips_left_out():
    goal = targets()
    left_out = fit_closed_form(frames(), goal)[1][4]
    labeled = goal.performs.any(dim=1)
    assert left_out.tri is not None
    for part in (left_out.mm, left_out.tri):
        assert part[labeled].std(dim=1, correction=0).mean().item() == pytest.approx(1, abs=1e-4)


def test_left_out_clips_never_taught_their_own_scores():
    """Other labels and movements of one source change what other clips are given, and not its own."""
    goal, other = targets(), targets()
    of = goal.sources == 3
    other.shows[of] = 1 - other.shows[of]
    before, after = (fit_closed_form(frames(), t)[1][4].shares for t in (goal, other))
    assert (before - after)[~of].abs().max() > 1e-3
    mean = (goal.shows - other.shows)[goal.shows.any(dim=1)].mean(dim=0)
    annotated = of & goal.shows.any(dim=1)
    # The mean of all clips, around which it is solved, is all that has changed for them.
    weight_of_mean = (before - after)[annotated] / mean
    torch.testing.assert_close(weight_of_mean, weight_of_mean[:, :1].expand(-1, M), atol=1e-3, rtol=0)


def test_clips_without_annotation_or_label_are_given_what_the_fit_gives():
    goal = targets()
    head, left_out = fit_closed_form(frames(), goal)
    fit = head(view(frames()))
    torch.testing.assert_close(left_out[4].shares[1::4], fit.shares[1::4], rtol=0, atol=1e-4)
    torch.testing.assert_close(left_out[4].mm[::5], fit.mm[::5], rtol=0, atol=1e-4)
    assert (left_out[4].mm[1::5] - fit.mm[1::5]).abs().max() > 1e-3


def test_every_number_of_frames_has_its_solution():
    head, left_out = fit_closed_form(frames(), targets())
    assert head.counts == tuple(left_out) == (1, 2, 4)
    assert head.landmarks == {1: N, 2: N, 4: N}
    assert head.solution(1) is not head.solution(2)
    assert head.solution(3) is head.solution(4) is head.solution(64)
    # With one frame nothing is known over time.
    assert head.solution(1).scale[F:].isinf().all()
    still, moving = frames(5, 1, seed=2), frames(5, 8, seed=2)
    assert head(still).shares.isfinite().all()
    assert head(moving).shares.isfinite().all()


def test_a_clip_is_scored_alike_in_any_company():
    head = fit_closed_form(frames(), targets())[0]
    batch = frames(7, 4, seed=5)
    whole = head(batch)
    assert whole.tri is not None
    for b in range(7):
        alone = head(batch[b : b + 1])
        assert alone.tri is not None
        torch.testing.assert_close(alone.mm[0], whole.mm[b], atol=1e-4, rtol=0)
        torch.testing.assert_close(alone.tri[0], whole.tri[b], atol=1e-4, rtol=0)
        torch.testing.assert_close(alone.shares[0], whole.shares[b], atol=1e-4, rtol=0)


def test_without_triplet_there_is_no_second_score():
    goal = targets(triplet=False)
    assert goal.shape == HeadShape(K, 0, M)
    head = fit_closed_form(frames(), goal)[0]
    assert head(frames()).tri is None
    assert torch.equal(head(frames()).mm, fit_closed_form(frames(), targets())[0](frames()).mm)
    assert head.solution(4).subspaces.shape == (N, M)


def test_nothing_is_solved_without_counts():
    solved = ClosedForm(F, {}, HeadShape(0, 0, 0))(frames())
    assert solved.mm.shape == solved.shares.shape == (N, 0)
    assert solved.tri is None


def test_it_is_saved_whole_and_has_nothing_to_train():
    head = fit_closed_form(frames(), targets())[0]
    fresh = ClosedForm(F, head.landmarks, targets().shape)
    fresh.load_state_dict(head.state_dict())
    assert torch.equal(fresh(frames(seed=2)).shares, head(frames(seed=2)).shares)
    assert not list(head.parameters())


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("sources", ["one", "each"])
def test_few_clips_give_finite_scores(num: int, sources: str):
    goal = SolvedTargets(
        torch.eye(3)[:num], torch.rand(num, M), torch.zeros(num).long() if sources == "one" else torch.arange(num)
    )
    head, left_out = fit_closed_form(frames(num), goal)
    for solved in (head(frames(2, seed=1)), *left_out.values()):
        assert solved.tri is not None
        for part in (solved.mm, solved.tri, solved.shares):
            assert part.isfinite().all()
            assert part.abs().max() < 1e3
    if num > 1:
        assert head(view(frames(num))).mm.argmax(dim=1).tolist() == list(range(num))


def test_equal_clips_give_equal_scores():
    still = torch.ones(4, 2, F)
    head, left_out = fit_closed_form(
        still, SolvedTargets(torch.eye(2)[[0, 1, 0, 1]], torch.rand(4, M), torch.arange(4))
    )
    solved = head(still)
    assert solved.mm.isfinite().all()
    torch.testing.assert_close(solved.mm[:, 0], solved.mm[:, 1])
    assert left_out[2].mm.abs().max() < 1e3


def test_the_spread_is_only_of_what_is_solved(monkeypatch: pytest.MonkeyPatch):
    """A head that is trained by gradient leaves no scores to the solution, only shares."""
    goal = targets()
    head, _ = fit_closed_form(frames(), SolvedTargets(goal.performs[:, :0], goal.shows, goal.sources))
    solved = head(frames())
    assert solved.mm.shape == (N, 0)
    assert solved.tri is None
    torch.testing.assert_close(solved.shares, fit_closed_form(frames(), goal)[0](frames()).shares)
    monkeypatch.setattr(closed_form, "POWER", 1.0)
    assert (head(frames()).shares - solved.shares).abs().max() > 1e-3


def test_clips_unlike_all_others_are_added_as_an_action():
    """In single precision the kernel of 605 clips of 16 features is singular."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(600, 4, 16, generator=generator)
    performs = torch.eye(3)[torch.arange(600) % 3]
    head, _ = fit_closed_form(clips, SolvedTargets(performs, torch.zeros(600, 0), torch.arange(600) // 4))
    others = 6 * torch.randn(1, 1, 16, generator=generator) + 0.3 * torch.randn(5, 4, 16, generator=generator)
    grown = with_action(head, others)
    assert grown(others).mm.argmax(dim=1).tolist() == [3] * 5
    torch.testing.assert_close(grown(clips).mm[:, :3], head(clips).mm)
