"""Completed labels: whose they are, how many each action gets, and that a clip does not speak for itself."""

import math

import pytest
import torch
from torch import Tensor

from kgclip.models.closed_form import powered_statistics, statistics_scales
from kgclip.models.completion import (
    DEFINITION_CLIPS,
    FLOOR,
    balanced,
    complete_labels,
    left_out_likelihood,
    looks_of,
    with_rest,
    z_score,
)

ACTIONS, CLIPS = 3, 24
MOVEMENTS = ["left arm bend", "left arm raise", "hip stoop", "right leg bend"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def graph(labeled_each: int = 2) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Frames around a center an action, edges with the labels of the first clips alone, and all labels."""
    labels = torch.arange(CLIPS) % ACTIONS
    frames = 2 * normal(ACTIONS, 8)[labels][:, None] + normal(CLIPS, 4, 8, seed=1)
    performs = torch.eye(ACTIONS)[labels]
    performs[labeled_each * ACTIONS :] = 0
    definitions = torch.tensor([[0.9, 0.1, 0.0, 0.5], [0.1, 0.8, 0.2, 0.5], [0.0, 0.1, 0.9, 0.4]])
    shows = (definitions[labels] + 0.05 * normal(CLIPS, 4, seed=2)).clamp(0, 1)
    # The graph knows nothing of the actions but through these clips.
    consists_of = torch.zeros(ACTIONS, len(MOVEMENTS))
    return frames, {"performs": performs, "shows": shows, "consists_of": consists_of}, labels


def test_known_labels_stay_and_the_rest_is_found():
    frames, edges, labels = graph()
    completed = complete_labels(frames, edges, MOVEMENTS)
    assert torch.equal(completed[:6], edges["performs"][:6])
    torch.testing.assert_close(completed.sum(dim=1), torch.ones(CLIPS))
    assert torch.equal(completed.argmax(dim=1), labels)


def test_clips_with_neither_label_nor_movements_stay_without():
    frames, edges, _ = graph()
    edges["shows"][[7, 20]] = 0
    completed = complete_labels(frames, edges, MOVEMENTS)
    assert not completed[[7, 20]].any()
    assert completed[8].sum() == pytest.approx(1)


def test_labeled_clips_that_nobody_annotated_say_nothing_of_movements():
    frames, edges, labels = graph()
    frames = torch.zeros_like(frames)  # movements alone speak
    more = {
        "performs": torch.cat([edges["performs"], torch.eye(ACTIONS).repeat(8, 1)]),
        "shows": torch.cat([edges["shows"], torch.zeros(8 * ACTIONS, len(MOVEMENTS))]),
        "consists_of": edges["consists_of"],
    }
    alone = complete_labels(frames, edges, MOVEMENTS)
    beside = complete_labels(torch.cat([frames, frames]), more, MOVEMENTS)[:CLIPS]
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=1e-4)
    assert torch.equal(beside.argmax(dim=1), labels)


@pytest.mark.parametrize("relation", ["performs", "shows"])
def test_without_labels_or_movements_nothing_is_completed(relation: str):
    frames, edges, _ = graph()
    edges[relation].zero_()
    assert complete_labels(frames, edges, MOVEMENTS) is edges["performs"]


def test_actions_get_as_many_clips_as_the_labels_lead_one_to_expect():
    frames, edges, labels = graph()
    # Of eight known labels four are of the first action.
    edges["performs"][[9, 12]] = torch.eye(ACTIONS)[labels[[9, 12]]]
    completed = complete_labels(frames, edges, MOVEMENTS)
    unlabeled = ~edges["performs"].any(dim=1)
    expected = unlabeled.sum() * torch.tensor([4, 2, 2]) / 8
    torch.testing.assert_close(completed[unlabeled].sum(dim=0), expected, atol=0.05, rtol=0)


def test_an_action_without_labeled_clips_gets_none():
    """It may be known by its definition, which a trace of soft labels must not replace."""
    frames, edges, _ = graph()
    wider = edges | {"performs": torch.cat([edges["performs"], torch.zeros(CLIPS, 1)], dim=1)}
    wider["consists_of"] = torch.cat([edges["consists_of"], torch.tensor([[0.9, 0.0, 0.0, 0.1]])])
    completed = complete_labels(frames, wider, MOVEMENTS)
    assert not completed[:, 3].any()
    assert torch.equal(completed[:, :3], complete_labels(frames, edges, MOVEMENTS))


def test_the_given_edges_are_left_alone():
    frames, edges, _ = graph()
    before = edges["performs"].clone()
    complete_labels(frames, edges, MOVEMENTS)
    assert torch.equal(edges["performs"], before)


def test_every_body_part_has_a_state_for_the_rest():
    states = with_rest(torch.tensor([[0.5, 0.3, 0.0, 1.0], [0.8, 0.9, 0.0, 0.0]]), torch.tensor([1, 1, 0, 2]))
    expected = torch.tensor([[0.5, 0.3, 0.0, 1.0, 1.0, 0.2, 0.0], [0.8, 0.9, 0.0, 0.0, 1.0, 0.0, 1.0]])
    torch.testing.assert_close(states, expected)


def test_a_clip_is_left_out_of_its_own_likelihood():
    """Fitted again without each clip's own label; soft labels count by their share."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(7, 3, generator=generator)
    labels /= labels.sum(dim=1, keepdim=True)
    labels[5], labels[6] = torch.tensor([0.0, 1.0, 0.0]), 0
    states = torch.rand(7, 5, generator=generator)
    prior, counts = torch.rand(3, 5, generator=generator), torch.tensor([[1.0], [10.0], [2.0]])
    result = left_out_likelihood(labels, states, prior, counts)
    for clip in range(7):
        for action in range(3):
            others = [i for i in range(7) if i != clip]
            mass = counts[action].item() + sum(labels[i, action].item() for i in others)
            expected = 0.0
            for s in range(5):
                total = prior[action, s].item() + sum((labels[i, action] * states[i, s]).item() for i in others)
                expected += states[clip, s].item() * math.log(total / mass + FLOOR)
            assert result[clip, action].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("expected", [[10.0, 10.0, 10.0], [27.0, 2.0, 1.0]])
def test_balanced_labels_have_the_expected_sizes(expected: list[float]):
    soft = balanced(2 * normal(30, 3), torch.tensor(expected))
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(30))
    assert soft.sum(dim=0).tolist() == pytest.approx(expected, abs=0.1)


def test_z_scores_of_a_clip_by_hand():
    assert z_score(torch.tensor([[1.0, 3.0], [4.0, 4.0]])).tolist() == [[-1, 1], [0, 0]]


def test_a_definition_that_is_given_counts_as_ten_clips():
    """One labeled clip each of two actions that look alike; what is known of the actions decides for the others."""
    assert DEFINITION_CLIPS == 10
    embeddings = normal(6, 2, 3)
    shows = torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    performs = torch.zeros(6, 2)
    performs[0, 0] = performs[1, 1] = 1
    given = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for definitions, right in ((given, [0, 0, 1, 1]), (given.flip(0), [1, 1, 0, 0])):
        edges = {"performs": performs, "shows": shows, "consists_of": definitions}
        labels = complete_labels(embeddings, edges, ("hip bend", "hip turn"))
        assert labels[2:].argmax(dim=1).tolist() == right


def test_clips_that_are_nearly_the_same_and_far_from_others_have_looks():
    """Their kernel is singular but for rounding."""
    frames = normal(1000, 8, 64)
    frames[:20] = 10 * normal(1, 8, 64, seed=1) + 0.01 * normal(20, 8, 64, seed=2)
    statistics = powered_statistics(frames, 8)
    center, scale = statistics_scales(statistics)
    performs = torch.eye(ACTIONS)[torch.arange(1000) % ACTIONS] * (torch.arange(1000) < 60)[:, None]
    looks = looks_of((statistics - center) / scale, performs)
    assert looks.dtype == frames.dtype
    assert looks.isfinite().all()
