"""Baselines where clips have keypoints, on figures."""

from pathlib import Path

import pytest
import torch

from experiments.arms import ARMS, BASELINES
from experiments.data import OpenData, open_data, open_setting
from experiments.family import TrainedFit
from experiments.hold_out import hold_out
from experiments.pose_baselines import POSE_BASELINES, pose_vectors, sum_of
from experiments.protocol import DataSpec, Point
from experiments.setting import Setting
from experiments.unseen import NOVEL_SCALE, UNSEEN_POSE_BASELINES, Readings, UnseenFit, with_pose
from kgclip.engine.metrics import top_k


@pytest.fixture(scope="module")
def data(figures: Path, synthetic_features: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenData:
    spec = DataSpec("figures", figures, synthetic_features, keypoints=figures / "keypoints.parquet")
    return open_data(spec, 0, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def setting(data: OpenData, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return open_setting(data, Point("all", frames=4), 0, 0, tmp_path_factory.mktemp("scratch"))


def accuracy(setting: Setting, arm: str) -> float:
    test = setting.prepared.split.test
    return top_k(ARMS[arm](setting).scores(test, 4), setting.labels(test))


@pytest.mark.parametrize("arm", POSE_BASELINES)
def test_poses_tell_the_actions_and_are_no_graph(setting: Setting, arm: str):
    assert accuracy(setting, arm) > 3 / 24
    assert arm in BASELINES


def test_poses_are_standardized_by_training_clips_with_unknown_numbers_at_the_mean(setting: Setting):
    train = setting.prepared.split.train
    vectors = pose_vectors(setting, train)
    assert vectors.shape == setting.numbers(train).shape
    assert (vectors[setting.numbers(train).isnan()] == 0).all()
    assert vectors.abs().max() <= 4


def test_added_scores_are_those_of_equal_loudness():
    quiet, loud = torch.tensor([[0.0, 0.1, 0.2]]), torch.tensor([[30.0, 10.0, 20.0]])
    torch.testing.assert_close(sum_of(quiet, loud), sum_of(10 * quiet, loud - 7))
    assert sum_of(quiet, loud).argmax() == 2


@pytest.mark.parametrize(("arm", "reads"), [("KG-CLIP", True), ("KG-CLIP, frames alone", False)])
def test_kg_clip_reads_pose_where_there_are_keypoints_and_an_arm_leaves_it_out(
    arm: str, reads: bool, data: OpenData, tmp_path: Path
):
    setting = open_setting(data, Point("all", frames=4), 0, 0, tmp_path)
    fit = ARMS[arm](setting)
    assert isinstance(fit, TrainedFit)
    assert (fit.checkpoint.model.pose is not None) == reads


def test_other_keypoints_are_other_data(figures: Path, synthetic_features: Path, data: OpenData, tmp_path: Path):
    plain = open_data(DataSpec("figures", figures, synthetic_features), 0, tmp_path)
    assert plain.hash != data.hash


@pytest.mark.parametrize("arm", UNSEEN_POSE_BASELINES)
def test_unseen_actions_are_read_by_frames_and_pose(arm: str, data: OpenData, tmp_path: Path):
    setting = hold_out(open_setting(data, Point("all", frames=4), 0, 0, tmp_path), 0.5, 3)
    both, test = ARMS[arm](setting), setting.prepared.split.test
    assert isinstance(both, UnseenFit)
    assert both.pose is not None
    (frames, _), (pose, known) = both.frames.read(test), both.pose.read(test)
    assert known.all()
    torch.testing.assert_close(both.movements(test, 4), pose.shares)
    base, looks = both.known.base, (frames.looks + pose.looks) / 2
    scores = both.scores(test, 4)
    torch.testing.assert_close(scores[:, base], looks)
    novel = (both.describe(Readings(looks, pose.shares), both.known) - both.mean) / both.scale
    torch.testing.assert_close(scores[:, ~base], NOVEL_SCALE * novel + both.offset)
    assert not torch.allclose(frames.looks, pose.looks, atol=0.01)
    assert arm in BASELINES


def test_a_clip_without_pose_is_read_by_its_frames():
    frames, pose = (Readings(torch.full((2, 3), value), torch.full((2, 4), value)) for value in (1.0, 3.0))
    read = with_pose(frames, pose, torch.tensor([True, False]))
    assert read.looks[:, 0].tolist() == [2, 1]
    assert read.shares[:, 0].tolist() == [3, 1]
