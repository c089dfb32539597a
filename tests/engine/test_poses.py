"""Poses of a run's clips: their numbers, and which estimator a model's poses come from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.engine.poses import Poses, own_files, pose_source, width
from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.pose.annotate import PoseSource
from kgclip.pose.keypoints import ClipPose, Track, write_keypoints
from kgclip.pose.numbers import clip_numbers

ORIGIN = {"pose": "net.tflite", "sha256": "ab", "every": 4, "detector": None}


def pose(seed: int, *, people: int = 1) -> ClipPose:
    keypoints = np.random.default_rng(seed).uniform(10, 90, (6, 17, 3)).astype(np.float32)
    keypoints[..., 2] = 0.8
    tracks = tuple(Track(np.arange(6), keypoints) for _ in range(people))
    return ClipPose(np.arange(6, dtype=np.int32), np.arange(6) / 10, 100, 100, tracks)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    poses = {"a": pose(0), "b": pose(1), "empty": pose(2, people=0)}
    write_keypoints(tmp_path / "keypoints.parquet", poses, ORIGIN)
    return tmp_path / "keypoints.parquet"


def test_numbers_are_those_of_the_clips_and_unknown_elsewhere(file: Path):
    numbers = Poses(file).numbers(["b", "gone", "a", "empty"])
    assert numbers.shape == (4, width())
    expected = clip_numbers([pose(1).body(), pose(0).body()])[0]
    np.testing.assert_array_equal(numbers[[0, 2]], expected)
    assert numbers[[1, 3]].isnan().all()


def test_a_second_question_gives_the_same_numbers(file: Path):
    poses = Poses(file)
    first = poses.numbers(["a"])
    torch.testing.assert_close(poses.numbers(["b", "a"])[1:], first, equal_nan=True)


def test_keypoints_of_other_clips_are_refused(file: Path):
    poses = Poses(file)
    poses.check(["gone", "a"])
    with pytest.raises(KgclipError, match=r"shows nobody in any of 2 clips, such as gone; give the keypoints"):
        poses.check(["gone", "empty"])


@pytest.mark.parametrize(("key", "value"), [("pose", "other.tflite"), ("sha256", "cd")])
def test_keypoints_of_another_estimator_are_refused(file: Path, key: str, value: str):
    poses = Poses(file)
    poses.check_origin(ORIGIN | {"every": 2})
    with pytest.raises(KgclipError, match=r"holds keypoints by net\.tflite, the model was trained on those by"):
        poses.check_origin(ORIGIN | {key: value})


def test_keypoints_that_people_bring_are_taken(file: Path):
    Poses(file).check_origin({"pose": "openpose_output"})


def test_a_model_finds_its_estimator_in_its_folder(tmp_path: Path):
    net = tmp_path / "net.tflite"
    net.write_bytes(b"weights")
    origin = ORIGIN | {"sha256": digest(net), "every": 2}
    assert pose_source(origin, None, tmp_path) == PoseSource(str(net), None, 2)
    assert pose_source(origin, "none", tmp_path) is None
    assert pose_source(origin, str(net), None) == PoseSource(str(net), None, 2)
    assert pose_source(origin, "poses.parquet", None) == PoseSource("poses.parquet")
    assert pose_source(None, None, tmp_path) is None
    name = {"pose": "usyd/vitpose", "detector": "rtdetr", "every": 4}
    assert pose_source(name, None, tmp_path) == PoseSource("usyd/vitpose", "rtdetr", 4)


def test_another_estimator_or_none_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "other.tflite").write_bytes(b"others")

    def refused(sentence: str, origin: dict[str, object] | None, given: str | None) -> None:
        with pytest.raises(KgclipError, match=sentence):
            pose_source(origin, given, tmp_path)

    refused(r"reads pose by net\.tflite, which is not in its folder; give that file", ORIGIN, None)
    refused(r"there is no such file", ORIGIN, "gone.tflite")
    refused(r"is not the file net\.tflite that the model was trained on", ORIGIN, str(tmp_path / "other.tflite"))
    refused(r"the model was trained on poses by usyd/vitpose", {"pose": "usyd/vitpose", "every": 4}, "another/vitpose")
    refused(r"this model reads no pose; leave the option out", None, "net.tflite")
    # Keypoints that people brought for training cannot be made again here.
    refused(r"reads pose by openpose_output, which is not in its folder", {"pose": "openpose_output"}, None)


@pytest.mark.parametrize("name", ["../secret.tflite", "/etc/passwd", "..", ""])
def test_a_model_names_files_of_its_folder_only(name: str, tmp_path: Path):
    """What it names goes where the model goes, to a hub too."""
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.tflite").touch()
    (tmp_path / "model" / "own.tflite").touch()
    assert own_files({"pose": name}, tmp_path / "model") == ()
    assert own_files({}, tmp_path / "model") == ()
    assert own_files({"pose": "own.tflite"}, tmp_path / "model") == (tmp_path / "model" / "own.tflite",)
