"""Solving a model: definitions from clips, completed labels, actions known by definition, calibration."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.features import FeatureFile
from kgclip.engine.frames import RunFrames
from kgclip.engine.metrics import fit_temperature, top_k
from kgclip.engine.prepare import GraphTargets
from kgclip.engine.solve import PRIOR_CLIPS, PRIOR_TEMPERATURE, SolvedModel, path_of_left_out, solve
from kgclip.engine.train import train
from kgclip.engine.unknown import rates_at
from kgclip.models import fit_head, sums
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.completion import complete_labels
from kgclip.models.evidence import COVARIANCE_FLOOR
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import Score

K, N, T, DIM = 4, 48, 4, 6
MOVEMENTS = ("left arm bend", "left arm raise", "hip stoop", "right leg bend")
DEFINITIONS = torch.tensor([[0.9, 0.1, 0.0, 0.5], [0.1, 0.8, 0.2, 0.5], [0.0, 0.1, 0.9, 0.4], [0.8, 0.1, 0.9, 0.1]])
LABELS = torch.arange(N) % K


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shares(seed: int = 1) -> Tensor:
    """Movements of clips, about those of their actions."""
    return (DEFINITIONS[LABELS] + 0.2 * normal(N, 4, seed=seed)).clamp(0, 1)


def frames(seed: int = 1) -> Tensor:
    """What a clip looks like is given by its movements."""
    return 2 * (shares(seed) @ normal(4, DIM))[:, None] + 0.2 * normal(N, T, DIM, seed=seed + 1)


def targets() -> GraphTargets:
    shows = shares()
    names = {"video": tuple(map(str, range(N))), "action": tuple("abcd"), "movement": MOVEMENTS}
    edges = {"performs": torch.eye(K)[LABELS], "shows": shows, "consists_of": DEFINITIONS.clone()}
    return GraphTargets(names, edges, torch.arange(N) // (2 * K), torch.full((4,), -1))


def solved(goal: GraphTargets, weight: float = 0.5) -> SolvedModel:
    return solve(load_backbone(f"features:{DIM}"), frames(), goal, T, weight)


def score_of(result: SolvedModel) -> Score:
    return result.model(frames(seed=9))


def test_it_recognizes_clips_it_never_saw():
    result = solved(targets())
    assert top_k(score_of(result).total, LABELS) > 0.7
    assert result.left_out_top1 is not None
    assert 0.6 < result.left_out_top1 < 1


def test_the_threshold_of_unknown_holds_on_clips_it_was_not_chosen_on():
    def hard(seed: int) -> Tensor:
        return frames(seed) + normal(N, 1, DIM, seed=seed + 100)

    result = solve(load_backbone(f"features:{DIM}"), hard(1), targets(), T, 0.5)
    unknown = result.unknown
    assert unknown is not None
    assert unknown.num_clips == N
    assert 0 < unknown.value < 1
    rates = []
    for seed in range(20, 50):
        probability = result.model.probability(result.model(hard(seed)))
        rates.append(rates_at(unknown.value, probability, LABELS))
    coverage = sum(rate.coverage for rate in rates)
    assert coverage / len(rates) > 0.2
    # One in ten where it was chosen, on 48 clips; these are 1,440 others.
    assert sum(rate.coverage * (1 - rate.answered_top1) for rate in rates) / coverage < 0.2
    assert sum(rate.false_accept for rate in rates) / len(rates) == pytest.approx(unknown.false_accept, abs=0.15)
    assert sum(rate.false_reject for rate in rates) / len(rates) == pytest.approx(unknown.false_reject, abs=0.15)


def test_without_clips_of_two_sources_nothing_is_said_to_be_unknown():
    goal = targets()
    goal.edges["performs"].zero_()
    assert solved(goal).unknown is None


def test_definitions_are_the_means_of_annotated_clips_and_of_the_graph_as_ten_clips():
    goal = targets()
    goal.edges["shows"][LABELS == 3] = 0
    path = solved(goal).model.path
    for action in range(3):
        shown = goal.edges["shows"][action == LABELS]
        mean = torch.cat([shown, DEFINITIONS[action].expand(10, -1)]).mean(dim=0)
        torch.testing.assert_close(path.definitions[action], mean, atol=1e-4, rtol=0)
    goal.edges["consists_of"] = torch.zeros_like(DEFINITIONS)
    path_without = solved(goal).model.path
    torch.testing.assert_close(path_without.definitions[0], goal.edges["shows"][LABELS == 0].mean(dim=0))
    torch.testing.assert_close(path.definitions[3], DEFINITIONS[3])  # nobody annotated its clips
    shown = goal.edges["shows"][LABELS != 3]
    torch.testing.assert_close(path.baseline, shown.mean(dim=0))


@pytest.mark.parametrize("unlabeled", [False, True])
def test_an_action_by_definition_alone_is_recognized(unlabeled: bool):
    """Also beside annotated clips without a label, which get labels of the other actions."""
    goal = targets()
    goal.edges["performs"][LABELS == 3] = 0
    goal.edges["shows"][LABELS == 3] = 0
    if unlabeled:
        goal.edges["performs"][:8] = 0
    result = solved(goal)
    assert result.model.path.defined.tolist() == [False, False, False, True]
    torch.testing.assert_close(result.model.path.definitions[3], DEFINITIONS[3])
    predicted = score_of(result).total.argmax(dim=1)
    assert (predicted == LABELS)[LABELS == 3].float().mean() > 0.4
    assert (predicted == LABELS)[LABELS != 3].float().mean() > 0.5


def test_actions_by_definitions_alone_are_told_apart():
    goal = targets()
    goal.edges["performs"].zero_()
    result = solved(goal)
    assert result.left_out_top1 is None
    assert result.model.path.defined.all()
    assert top_k(score_of(result).total, LABELS) > 0.6


def test_contributions_sum_to_what_the_path_adds_over_all_clips():
    goal = targets()
    goal.edges["performs"][LABELS == 3] = 0
    model = solved(goal).model
    score = model(frames(seed=9))
    for action in range(K):
        contributions = model.contributions(score, action)
        assert contributions is not None
        output = model.path.offset[3] if action == 3 else score.output[:, action]
        torch.testing.assert_close(contributions.sum(dim=1), score.total[:, action] - output, atol=1e-4, rtol=1e-4)


def test_the_temperature_is_that_of_sources_left_out(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(logits: Tensor, labels: Tensor) -> float:
        seen.append((logits, labels))
        return fit_temperature(logits, labels)

    monkeypatch.setattr("kgclip.engine.solve.fit_temperature", spy)
    goal = targets()
    goal.edges["performs"][:5] = 0
    result = solved(goal)
    (logits, labels), fit = seen[0], result.model(frames()).total
    # Clips without a label count with that of completion, by as much as it says.
    assert torch.equal(labels[5:], goal.edges["performs"][5:])
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(N), atol=1e-4, rtol=0)
    assert (labels[:5].max(dim=1).values < 1).any()
    recognized = sum(labels[i, logits[i].argmax()].item() for i in range(N)) / N
    assert result.left_out_top1 == pytest.approx(recognized, abs=1e-5)
    # In log, the temperature of N clips is drawn to the prior's by as many clips as that counts for.
    logs = N * math.log(fit_temperature(logits, labels)) + PRIOR_CLIPS * math.log(PRIOR_TEMPERATURE)
    expected = math.exp(logs / (N + PRIOR_CLIPS))
    assert result.model.temperature.item() == pytest.approx(expected, rel=1e-5)
    # They are not what the fit gives the clips that it saw.
    assert (logits - fit).abs().max() > 0.05


@pytest.mark.parametrize("empty", [False, True])
def test_a_left_out_clip_says_nothing_of_its_action_through_the_graph(empty: bool):
    """The graph's shares are means over annotated clips, also over one that shows nothing; they count as ten clips."""
    goal = targets()
    goal = replace(goal, sources=torch.arange(N) // 2)
    if empty:
        goal.edges["shows"][:K] = 0
    performs, shows = goal.edges["performs"], goal.edges["shows"]
    goal.edges["consists_of"] = performs.T @ shows / performs.sum(dim=0)[:, None]
    path = solved(goal).model.path
    found = path_of_left_out(path, shares(seed=7), performs, goal)
    covariance = torch.cov(shows[goal.annotated].T, correction=0) + COVARIANCE_FLOOR * torch.eye(4)
    for row in (K, 2 * K + 1, N - 1):
        kept, action = goal.sources != goal.sources[row], int(LABELS[row])
        rows = kept & (action == LABELS)
        shown = rows & goal.annotated
        # Of the others alone: those that show something, and ten clips of the graph's mean.
        share = (shows[shown].sum(dim=0) + 10 * shows[rows].mean(dim=0)) / (shown.sum() + 10)
        directions = [torch.linalg.solve(covariance, p - path.baseline) for p in (share, path.definitions[action])]
        spread = (directions[1] @ path.read_covariance @ directions[1]).sqrt()
        expected = (shares(seed=7)[row] - path.baseline) @ directions[0] / spread
        assert found[row, action].item() == pytest.approx(expected.item(), abs=0.01)
    assert (found - path(shares(seed=7))).abs().max() > 0.1


def test_an_action_of_one_source_does_not_count_in_calibration():
    goal = targets()
    goal.edges["performs"][(LABELS == 3) & (goal.sources > 0)] = 0
    goal.edges["shows"][(LABELS == 3) & (goal.sources > 0)] = 0
    assert solved(goal).left_out_top1 is not None
    goal.sources.zero_()
    result = solved(goal)
    assert result.left_out_top1 is None
    assert result.model.temperature == pytest.approx(PRIOR_TEMPERATURE)
    assert top_k(score_of(result).total, LABELS) > 0.6


def test_without_movements_there_is_no_path_and_no_triplet():
    goal = targets()
    names, edges = goal.names | {"movement": ()}, dict(goal.edges)
    edges["shows"], edges["consists_of"] = edges["shows"][:, :0], edges["consists_of"][:, :0]
    result = solved(GraphTargets(names, edges, goal.sources, goal.mirror[:0]))
    score = score_of(result)
    assert score.tri is None
    assert score.path is None
    assert torch.equal(score.total, score.mm)
    assert top_k(score.total, LABELS) > 0.6


def test_beside_a_trained_head_only_movements_are_solved():
    backbone, goal = load_backbone(f"features:{DIM}"), targets()
    head = GradientHead(DIM, backbone.embedding_dim, 2.0, HeadOptions("projected"))
    names = torch.nn.functional.normalize(normal(K, backbone.embedding_dim), dim=1)
    result = solve(backbone, frames(), goal, T, 0.5, (head, names))
    assert torch.equal(result.model.action_embeddings, names)
    # The path is weighed against the scores of the trained head.
    mm, tri = head(frames(), names)
    output = (mm + tri) / 2
    path = result.model(frames()).path
    assert result.model.path.weight > 0
    spread = 0.5 * output.std(dim=1, correction=0).mean() / path.std(dim=1, correction=0).mean()
    assert result.model.path.weight.item() == pytest.approx(spread.item(), rel=0.3)  # readings of seen clips are larger
    assert result.left_out_top1 is None
    assert result.model.solved.solution(T).weight.numel() == 0
    torch.testing.assert_close(result.model.path.definitions, DEFINITIONS)
    shares = result.model.solved(frames(seed=9)).shares
    for m in range(4):
        assert torch.corrcoef(torch.stack([shares[:, m], DEFINITIONS[LABELS][:, m]]))[0, 1] > 0.5


def poses(seed: int = 3, *, told: bool = True) -> Tensor:
    """Pose numbers that tell the actions well, or nothing."""
    told_by = torch.eye(K)[LABELS] @ (3 * normal(K, 5, seed=11))
    return (told_by if told else 0) + normal(N, 5, seed=seed)


def solved_with(pose: Tensor, goal: GraphTargets | None = None) -> SolvedModel:
    return solve(load_backbone(f"features:{DIM}"), frames(), goal or targets(), T, 0.5, pose=pose)


def test_a_pose_adds_to_what_frames_say_by_as_much_as_it_is_worth():
    useful, useless = solved_with(poses()), solved_with(poses(told=False))
    assert useful.left_out_top1 is not None
    assert useful.left_out_top1 > (solved(targets()).left_out_top1 or 1) + 0.05
    assert float(useless.model.pose_weight) < 0.5 < float(useful.model.pose_weight)
    score = useful.model(frames(seed=9), poses(seed=4))
    assert score.pose is not None
    assert score.tri is not None
    expected = (score.mm + score.tri) / 2 + useful.model.pose_weight * score.pose
    torch.testing.assert_close(score.output, expected)
    torch.testing.assert_close(score.total, expected + useful.model.path.weight * useful.model.path(score.shares))
    assert top_k(score.total, LABELS) > top_k(useful.model(frames(seed=9)).total, LABELS)


def test_movements_are_read_from_the_pose_where_there_is_one():
    model = solved_with(poses()).model
    assert model.pose is not None
    values = poses(seed=4)
    values[:5] = torch.nan
    score = model(frames(seed=9), values)
    torch.testing.assert_close(score.shares[:5], model.solved(frames(seed=9)).shares[:5])
    torch.testing.assert_close(score.shares[5:], model.pose(values).shares[5:])
    assert score.pose is not None
    assert (score.pose[:5] == 0).all()
    torch.testing.assert_close(model(frames(seed=9)).total[:5], score.total[:5])


def test_labels_are_completed_by_poses_too():
    goal = targets()
    goal.edges["performs"][8:] = 0
    unlabeled = torch.arange(8, N)
    goal.edges["shows"] = torch.full_like(goal.edges["shows"], 0.5)  # movements that tell nothing
    goal.edges["consists_of"] = torch.zeros_like(DEFINITIONS)

    def right(pose: Tensor | None) -> float:
        completed = complete_labels(normal(N, T, DIM), goal.edges, MOVEMENTS, pose)
        return float((completed.argmax(dim=1) == LABELS)[unlabeled].float().mean())

    assert right(poses()) > 0.7 > right(None) + 0.2
    nobody = torch.full((N, 5), torch.nan)
    assert right(nobody) == right(None)


def test_features_of_many_clips_are_read_as_they_are_needed(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fit_head, "MOST_PHASES", 1)
    whole = train(tiny_config(tmp_path / "whole"), show_progress=False)
    monkeypatch.setattr(fit_head, "MOST_AT_ONCE", 20)
    monkeypatch.setattr(sums, "BATCH", 16)
    # Nothing reads the features of all clips at once.
    monkeypatch.setattr(RunFrames, "embeddings", None)
    parts = train(tiny_config(tmp_path / "parts"), show_progress=False)
    assert parts.summary["left_out_top1"] == pytest.approx(whole.summary["left_out_top1"], abs=1e-3)
    features = FeatureFile(tiny_config(tmp_path).features)
    new = torch.stack([features[clip][0] for clip in features.clips[:8]]).float()
    score, expected = parts.model(new), whole.model(new)
    torch.testing.assert_close(score.total, expected.total, rtol=1e-2, atol=1e-2)


def test_clips_that_the_tower_did_not_learn_from_tell_how_good_it_is():
    """The others show their labels, as a tower makes them that has learned from them."""
    fresh = torch.arange(N) // (2 * K) >= 3
    learned = frames()
    learned[~fresh] += 4 * normal(K, 1, DIM, seed=5)[LABELS[~fresh]]
    backbone = load_backbone(f"features:{DIM}")
    whole, alone, none = (
        solve(backbone, learned, targets(), T, 0.5, fresh=rows) for rows in (None, fresh, torch.zeros_like(fresh))
    )
    assert alone.left_out is not None
    assert torch.equal(alone.left_out.judged, fresh)
    assert alone.unknown is not None
    assert alone.unknown.num_clips == fresh.sum()
    assert alone.left_out_top1 is not None
    assert whole.left_out_top1 is not None
    assert alone.left_out_top1 < whole.left_out_top1 - 0.1
    assert alone.model.temperature > whole.model.temperature
    assert not torch.equal(alone.model.path.seen_from, whole.model.path.seen_from)
    torch.testing.assert_close(score_of(alone).total, score_of(whole).total)
    assert none.left_out_top1 == whole.left_out_top1
    assert torch.equal(none.model.path.seen_from, whole.model.path.seen_from)


@pytest.mark.parametrize("sizes", [(5, 4), (10, 11), (30, 30)])
@pytest.mark.parametrize("whole", [4000, 0])
def test_of_actions_with_one_recording_each_no_answer_is_certain(
    sizes: tuple[int, int], whole: int, monkeypatch: pytest.MonkeyPatch
):
    """Without its recording an action has no clip, so that left-out scores say nothing: not even how far they lie."""
    monkeypatch.setattr(fit_head, "MOST_AT_ONCE", whole)
    labels = torch.tensor([0] * sizes[0] + [1] * sizes[1])
    looks = 0.3 * normal(2, 1, DIM, seed=1)
    clips = looks[labels] + normal(len(labels), 1, DIM, seed=2) + 0.3 * normal(len(labels), T, DIM, seed=3)
    names = {"video": tuple(map(str, range(len(labels)))), "action": ("a", "b"), "movement": MOVEMENTS[:2]}
    edges = {"performs": torch.eye(2)[labels], "shows": torch.eye(2)[labels], "consists_of": torch.eye(2)}
    goal = GraphTargets(names, edges, labels.clone(), torch.full((2,), -1))
    result = solve(load_backbone(f"features:{DIM}"), clips, goal, T, 0.5)
    assert result.left_out_top1 is None
    fresh = looks[torch.arange(200) % 2] + normal(200, 1, DIM, seed=4) + 0.3 * normal(200, T, DIM, seed=5)
    score = result.model(fresh)
    assert score.total.abs().max() < 10
    assert 0.5 < result.model.probability(score).amax(dim=1).mean() < 0.85
