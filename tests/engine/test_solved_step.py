"""A tower that trains beneath a solved head: what a step's loss is, and what it must not know."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.nn import functional as F

from kgclip.engine.prepare import GraphTargets
from kgclip.engine.solved_step import SolvedStep, check_goal
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.closed_form import powered_statistics, statistics_scales
from kgclip.models.options import LossWeights
from kgclip.models.ridge import PENALTY

NUM_CLIPS, NUM_FRAMES = 24, 4
MOVEMENTS = ("left arm raise", "right arm raise", "hip bend")
INDEX = torch.tensor([0, 5])
UNFLIPPED = torch.zeros(2, dtype=torch.bool)


def targets(*, labeled: int = NUM_CLIPS, annotated: int = NUM_CLIPS) -> GraphTargets:
    """Two clips a source and three actions; some have no label, and some no movement."""
    generator = torch.Generator().manual_seed(0)
    performs = torch.eye(3)[torch.arange(NUM_CLIPS) // 2 % 3]
    shows = torch.rand(NUM_CLIPS, 3, generator=generator)
    performs[labeled:], shows[annotated:] = 0, 0
    names = {"video": tuple(map(str, range(NUM_CLIPS))), "action": ("a", "b", "c"), "movement": MOVEMENTS}
    edges = {"performs": performs, "shows": shows, "consists_of": torch.zeros(3, 3)}
    return GraphTargets(names, edges, torch.arange(NUM_CLIPS) // 2, torch.tensor([1, 0, 2]))


def frames() -> Tensor:
    return torch.randn(NUM_CLIPS, NUM_FRAMES, 8, generator=torch.Generator().manual_seed(1))


def new_step(goal: GraphTargets, weights: LossWeights | None = None) -> SolvedStep:
    step = SolvedStep(load_backbone("features:8"), goal, NUM_FRAMES, weights or LossWeights(), frames)
    step.begin_epoch()
    return step


def rows() -> np.ndarray:
    """Standardized statistics."""
    statistics = powered_statistics(frames(), NUM_FRAMES)
    center, scale = statistics_scales(statistics)
    return ((statistics - center) / scale).double().numpy()


def of_others(x: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Scores of the clips at INDEX by scikit-learn's ridge on the clips of other sources, with the means of all."""
    centered, scores = x - x.mean(axis=0), []
    alpha = PENALTY * np.square(centered).sum(axis=1).mean()
    for clip, row in zip(INDEX.tolist(), asked, strict=True):
        others = np.arange(NUM_CLIPS) // 2 != clip // 2
        fit = Ridge(alpha=alpha, fit_intercept=False).fit(centered[others], (y - y.mean(axis=0))[others])
        scores.append(fit.coef_ @ (row - x.mean(axis=0)) + y.mean(axis=0))
    return np.stack(scores)


def test_the_loss_is_that_of_solutions_without_the_source_of_each_clip():
    goal = targets()
    step = new_step(goal)
    terms = step(INDEX, frames()[INDEX], UNFLIPPED)
    x = rows()
    performs, shows = goal.edges["performs"], goal.edges["shows"]
    asked = step.embed(frames()[INDEX]).double().numpy()
    # The slope that the power is given at 0 moves its values a little.
    np.testing.assert_allclose(asked, x[INDEX.numpy()], atol=0.2)
    scores = torch.from_numpy(of_others(x, performs.double().numpy(), asked))
    assert step._epoch is not None
    expected = F.cross_entropy(scores / step._epoch.unit, performs[INDEX].double())
    assert float(terms["performs"]) == pytest.approx(float(expected), rel=1e-4)
    errors = np.square(of_others(x, shows.double().numpy(), asked) - shows[INDEX].numpy()).sum(axis=1).mean()
    assert float(terms["shows"]) == pytest.approx(errors / float(shows.var(dim=0, correction=0).sum()), rel=1e-4)


def test_what_a_clip_shows_does_not_reach_the_scores_of_its_own_source():
    """The two clips of a source changed in opposite ways: the means are as before, so that only they could tell."""
    goal = targets()
    changed = goal.edges["shows"].clone()
    changed[0], changed[1] = changed[0] + 0.5, changed[1] - 0.5
    given = []
    for shows in (goal.edges["shows"], changed):
        step = new_step(replace(goal, edges=goal.edges | {"shows": shows}))
        epoch = step._epoch
        assert epoch is not None
        assert epoch.movements is not None
        given.append(epoch.movements.of_others(step.embed(frames()[INDEX]), INDEX, goal.sources))
    torch.testing.assert_close(given[0][0], given[1][0])
    assert (given[0][1] - given[1][1]).abs().max() > 1e-3


def test_a_step_that_holds_clips_of_all_sources_has_a_gradient():
    """As large as that of a few clips: each is judged by the others."""
    norms = []
    for index in (torch.arange(6), torch.arange(NUM_CLIPS)):
        clips = frames()[index].requires_grad_()
        step = new_step(targets())
        torch.stack(list(step(index, clips, torch.zeros(len(index), dtype=torch.bool)).values())).sum().backward()
        assert clips.grad is not None
        norms.append(float(clips.grad[:6].norm() * len(index)))
    assert norms[1] == pytest.approx(norms[0], rel=0.5)


def test_a_mirrored_clip_shows_the_mirrored_movements():
    goal = targets()
    swapped = goal.edges["shows"].clone()
    swapped[0, [0, 1]] = swapped[0, [1, 0]]
    step = new_step(goal)
    flipped = step(INDEX, frames()[INDEX], torch.tensor([True, False]))["shows"]
    step.targets.edges["shows"] = swapped
    torch.testing.assert_close(flipped, step(INDEX, frames()[INDEX], UNFLIPPED)["shows"])


def test_a_step_with_nothing_to_learn_from_moves_nothing():
    step = new_step(targets(labeled=20, annotated=20), LossWeights(shows=0.0))
    clips = frames()[INDEX].requires_grad_()
    terms = step(torch.tensor([20, 23]), clips, UNFLIPPED)
    assert set(terms) == {"performs"}
    terms["performs"].backward()
    assert clips.grad is not None
    assert terms["performs"] == 0
    assert not clips.grad.any()


@pytest.mark.parametrize("goal", [targets(annotated=0), targets(labeled=0)])
def test_either_kind_of_edge_is_enough(goal: GraphTargets):
    clips = frames()[INDEX].requires_grad_()
    torch.stack(list(new_step(goal)(INDEX, clips, UNFLIPPED).values())).sum().backward()
    assert clips.grad is not None
    assert clips.grad.isfinite().all()
    assert clips.grad.any()


@pytest.mark.parametrize(
    ("goal", "weights"),
    [
        (targets(labeled=2, annotated=0), LossWeights()),
        (targets(annotated=0), LossWeights(performs=0.0)),
        (targets(), LossWeights(performs=0.0, shows=0.0)),
    ],
)
def test_a_tower_that_nothing_would_change_is_refused(goal: GraphTargets, weights: LossWeights):
    with pytest.raises(KgclipError, match=r"--model\.tuning: nothing says how the tower should change"):
        check_goal(goal, weights)


@pytest.mark.parametrize(
    ("goal", "weights"),
    [
        (targets(), LossWeights()),
        (targets(annotated=0), LossWeights(shows=0.0)),
        (targets(labeled=0), LossWeights()),
        (targets(labeled=2), LossWeights(shows=0.0)),  # the others are completed
    ],
)
def test_a_tower_that_something_would_change_is_not(goal: GraphTargets, weights: LossWeights):
    check_goal(goal, weights)


def test_the_few_clips_of_a_trial_may_say_nothing():
    terms = new_step(targets(labeled=2, annotated=0))(INDEX, frames()[INDEX], UNFLIPPED)
    assert {name: term.item() for name, term in terms.items()} == {"performs": 0}


def test_frames_that_are_black_have_a_gradient():
    clips = torch.zeros(2, NUM_FRAMES, 8, requires_grad=True)
    torch.stack(list(new_step(targets())(INDEX, clips, UNFLIPPED).values())).sum().backward()
    assert clips.grad is not None
    assert clips.grad.isfinite().all()


def test_clips_are_encoded_once_for_validation_and_the_next_epoch():
    calls = []

    def encode() -> Tensor:
        calls.append(1)
        return frames()

    step = SolvedStep(load_backbone("features:8"), targets(), NUM_FRAMES, LossWeights(), encode)
    for _ in range(2):
        step.encoded()
        step.begin_epoch()
    assert len(calls) == 2
