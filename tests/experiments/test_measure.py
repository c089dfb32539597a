"""The figures of a cell on a data set small enough to compute them by hand."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from sklearn.metrics import average_precision_score
from torch import Tensor

from experiments.controls import TrueMovementsFit
from experiments.family import TrainedFit
from experiments.measure import base_to_novel, cell_metrics, harmonic_mean, mean_average_precision
from experiments.setting import Setting
from kgclip.config import TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.prepare import Prepared, graph_of_split
from kgclip.kg.build import MovementRule

RULE = MovementRule(min_support=0.5)
# What each clip shows, frame by frame: an arm raised (a), a leg bent (l), or nothing.
CLIPS = {
    "jump": {"j1": "aa", "j2": "a", "j3": "a", "j4": "a-", "j5": "al"},
    "run": {"r1": "l", "r2": "ll", "r3": "l", "r4": "a--", "r5": ""},
}
RECORDS = {"a": {"left_arm": {"verb": "raise"}}, "l": {"left_leg": {"verb": "bend"}}, "-": {}}
SPLIT = Split(train=("j1", "j2", "r1", "r2"), val=("j3", "r3"), test=("j4", "j5", "r4", "r5"), labelled=("j1", "r1"))


@dataclass
class Table:
    """An arm that has learned its answers by heart."""

    scored: Mapping[str, Sequence[float]]
    shown: Mapping[str, Sequence[float]] | None = None

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        assert num_frames == 8
        return torch.tensor([self.scored[clip] for clip in clips])

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        assert num_frames == 8
        return None if self.shown is None else torch.tensor([self.shown[clip] for clip in clips])


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    root = tmp_path_factory.mktemp("tiny")
    for action, clips in CLIPS.items():
        for clip, frames in clips.items():
            video = root / "train_videos" / action / f"{clip}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            video.touch()
            folder = root / "train_annotations" / action / clip
            folder.mkdir(parents=True)
            for number, shown in enumerate(frames, start=1):
                frame = {"humans": [{"box": [0, 0, 9, 9], "parts": RECORDS[shown]}]}
                (folder / f"img_{number:05}.json").write_text(json.dumps(frame))
    dataset = open_dataset(root)
    graph = graph_of_split(dataset, SPLIT, RULE, workers=1, keep_going=False)
    return Setting(TrainConfig(data=root, out=root / "out", rule=RULE), Prepared(dataset, SPLIT, graph))


# Logits of (jump, run): j4 and r4 right, j5 wrong, r5 right and most sure.
SCORED = {"j3": (1, 0), "r3": (0.5, 0), "j4": (2, 0), "j5": (0, 1), "r4": (0, 3), "r5": (0, 4)}
SCORED = {clip: [float(value) for value in values] for clip, values in SCORED.items()}


def test_classification_by_hand(setting: Setting):
    metrics = cell_metrics(setting, Table(SCORED), 8)
    assert metrics["top1"] == 0.75
    assert metrics["top5"] == 1
    assert metrics["mean_class_accuracy"] == 0.75
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.keys() == {"top1", "top5", "mean_class_accuracy", "macro_f1"}


@dataclass(frozen=True, eq=False)
class Stated(TrainedFit):
    """A trained model with the logits of :data:`SCORED`."""

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        return torch.tensor([SCORED[clip] for clip in clips])

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        return None


def test_a_trained_model_is_taken_at_its_word(setting: Setting):
    metrics = cell_metrics(setting, Stated(setting, Mock(spec=Checkpoint)), 8)
    margins = torch.tensor([2.0, -1.0, 3.0, 4.0])
    assert metrics["nll"] == pytest.approx(float(-margins.sigmoid().log().mean()))
    # Errors: only the least sure of the four clips.
    assert metrics["aurc"] == pytest.approx((0 + 0 + 0 + 1 / 4) / 4)
    assert 0 < metrics["ece"] < 1


def test_sums_of_scores_are_no_probabilities(setting: Setting):
    parts = [Stated(setting, Mock(spec=Checkpoint), lambda _, score: score.total)]
    parts.append(type("Bound", (Stated, TrueMovementsFit), {})(setting, Mock(spec=Checkpoint)))
    for fitted in parts:
        assert not {"nll", "ece", "aurc"} & cell_metrics(setting, fitted, 8).keys()


def test_movements_by_hand(setting: Setting):
    assert setting.targets.movements == ("left arm raise", "left leg bend")
    # Annotated test clips: j4 shows the arm in 1 of 2 frames, j5 both in 1 of 2, r4 the arm in 1 of 3, which is less
    # than the rule asks; r5 has no annotation and is never asked for.
    shown = {"j4": [0.3, 0.2], "j5": [0.1, 0.4], "r4": [0.2, 0.3]}
    metrics = cell_metrics(setting, Table(SCORED, shown), 8)
    # Arm: j4 (+), r4, j5 (+). Leg: j5 (+), r4, j4.
    assert metrics["movement_map"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)


def test_a_threshold_is_the_rules(setting: Setting):
    low = dataclasses.replace(setting, config=dataclasses.replace(setting.config, rule=MovementRule(min_support=0.3)))
    shown = {"j4": [0.3, 0.2], "j5": [0.1, 0.4], "r4": [0.2, 0.3]}
    # Now r4 shows the arm too: all three are positives.
    assert cell_metrics(low, Table(SCORED, shown), 8)["movement_map"] == 1


def test_test_clips_without_annotations_have_no_movement_figures(setting: Setting):
    split = dataclasses.replace(SPLIT, test=("r5",))
    alone = dataclasses.replace(setting, prepared=dataclasses.replace(setting.prepared, split=split))
    assert "movement_map" not in cell_metrics(alone, Table(SCORED, {}), 8)


def test_base_to_novel(setting: Setting):
    novel = dataclasses.replace(setting, novel=("run",))
    metrics = cell_metrics(novel, Table(SCORED), 8)
    # One action on either side: nothing to confuse it with, unless all are candidates.
    assert (metrics["base_top1"], metrics["novel_top1"], metrics["harmonic_mean"]) == (1, 1, 1)
    assert metrics["generalized_harmonic_mean"] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_base_to_novel_by_hand():
    labels = torch.tensor([0, 1, 2, 3])
    scores = torch.tensor([[3.0, 1, 4, 0], [2, 1, 0, 0], [5, 0, 4, 3], [0, 0, 2, 3]])
    metrics = base_to_novel(scores, labels, torch.tensor([False, False, True, True]))
    assert (metrics["base_top1"], metrics["novel_top1"]) == (0.5, 1)
    assert metrics["harmonic_mean"] == pytest.approx(2 / 3)
    assert metrics["generalized_harmonic_mean"] == 0  # no base clip is right among all


def test_harmonic_mean():
    assert harmonic_mean(0.5, 0.5) == 0.5
    assert harmonic_mean(1.0, 0.5) == pytest.approx(2 / 3)
    assert harmonic_mean(0.0, 0.0) == 0


@given(st.integers(0, 1000), st.sampled_from([2, 5, 1000]))
def test_mean_average_precision_equals_scikit_learn(seed: int, distinct: int):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(distinct, (12, 5), generator=generator).float()
    positive = torch.rand(12, 5, generator=generator) < 0.4
    positive[:, 3] = False  # a column without a positive does not count
    positive[0, 0] = True
    columns = [c for c in range(5) if positive[:, c].any()]
    expected = [average_precision_score(positive[:, c], scores[:, c]) for c in columns]
    assert mean_average_precision(scores, positive) == pytest.approx(sum(expected) / len(expected))


def test_average_precision_by_hand():
    positive = torch.tensor([[True], [False], [True], [False]])
    assert mean_average_precision(torch.tensor([[4.0], [3.0], [2.0], [1.0]]), positive) == pytest.approx(
        (1 + 2 / 3) / 2
    )
    assert mean_average_precision(torch.zeros(4, 1), positive) == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="positive"):
        mean_average_precision(torch.zeros(4, 1), torch.zeros(4, 1, dtype=torch.bool))
