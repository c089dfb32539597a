"""Keypoints of other tools: each layout gives the same people, and what cannot be read says so."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.pose.brought import OPENPOSE_ORDER, BroughtKeypoints, is_keypoints
from kgclip.pose.keypoints import write_keypoints
from kgclip.video.encode import write_video
from tests.pose.figures import figure, line

FRAMES = 6


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of six frames of 400 by 400 pixels at 30 a second."""
    path = tmp_path_factory.mktemp("clips") / "clip_7.mp4"
    write_video(path, np.zeros((FRAMES, 400, 400, 3), np.uint8), 30)
    return path


def walk() -> np.ndarray:
    keypoints = figure(FRAMES, left_wrist=line((200, 205), (3, 0), FRAMES))
    keypoints[:, :, 2] = np.linspace(0.5, 1, 17)
    return keypoints


def flat(pose: np.ndarray) -> list[float]:
    return pose.ravel().tolist()


def openpose(pose: np.ndarray, joints: int) -> list[float]:
    theirs = np.zeros((joints, 3))
    theirs[list(OPENPOSE_ORDER[joints])] = pose
    return flat(theirs)


def coco_results(folder: Path, clip: str) -> Path:
    rows = [{"image_id": f"img_{t + 1:05d}.jpg", "category_id": 1, "keypoints": flat(p)} for t, p in enumerate(walk())]
    (folder / f"{clip}.json").write_text(json.dumps(rows))
    return folder


def coco_data_set(folder: Path, clip: str) -> Path:
    images = [{"id": t + 40, "file_name": f"{clip}/img_{t + 1:05d}.jpg"} for t in range(FRAMES)]
    rows = [{"image_id": t + 40, "keypoints": flat(p)} for t, p in enumerate(walk())]
    file = folder / "all.json"
    file.write_text(json.dumps({"images": images, "annotations": rows}))
    return file


def alphapose(folder: Path, clip: str) -> Path:
    halpe = [np.concatenate([p, np.zeros((9, 3))]) for p in walk()]
    rows = [{"image_id": f"{t}.jpg", "keypoints": flat(p), "score": 2.7} for t, p in enumerate(halpe)]
    (folder / f"{clip}.json").write_text(json.dumps(rows))
    return folder


def mmpose(folder: Path, clip: str) -> Path:
    def person(p: np.ndarray) -> dict[str, Any]:
        return {"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "bbox": [[0, 0, 1, 1]]}

    frames = [{"frame_id": t + 1, "instances": [person(p)]} for t, p in enumerate(walk())]
    (folder / f"{clip}.json").write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
    return folder


def openpose_frames(joints: int) -> Callable[[Path, str], Path]:
    def make(folder: Path, clip: str) -> Path:
        (folder / clip).mkdir()
        for t, p in enumerate(walk()):
            people = [{"person_id": [-1], "pose_keypoints_2d": openpose(p, joints)}]
            file = folder / clip / f"{clip}_{t:012d}_keypoints.json"
            file.write_text(json.dumps({"version": 1.3, "people": people}))
        return folder

    return make


LAYOUTS = [
    coco_results,
    coco_data_set,
    alphapose,
    mmpose,
    openpose_frames(25),
    openpose_frames(18),
]
NAMES = ["COCO results", "COCO data set", "AlphaPose", "MMPose", "OpenPose 25", "OpenPose 18"]


@pytest.mark.parametrize("make", LAYOUTS, ids=NAMES)
def test_every_layout_gives_the_same_person(make: Callable[[Path, str], Path], video: Path, tmp_path: Path):
    path = make(tmp_path, "clip_7")
    assert is_keypoints(str(path))
    pose = BroughtKeypoints(path).of_clip("dance/clip_7", video)
    assert pose.frame_index.tolist() == list(range(FRAMES))
    assert pose.time_s == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)
    assert (pose.width, pose.height) == (400, 400)
    assert len(pose.tracks) == 1
    assert pose.tracks[0].keypoints == pytest.approx(walk(), abs=1e-4)


def test_our_own_file(video: Path, tmp_path: Path):
    first = BroughtKeypoints(coco_results(tmp_path, "clip_7")).of_clip("clip_7", video)
    write_keypoints(tmp_path / "k.parquet", {"clip_7": first}, {})
    again = BroughtKeypoints(tmp_path / "k.parquet").of_clip("clip_7", video)
    assert np.array_equal(again.tracks[0].keypoints, first.tracks[0].keypoints)


def test_clips_of_one_name_are_told_apart_by_their_folders(video: Path, tmp_path: Path):
    given = BroughtKeypoints(coco_results(tmp_path, "clip_7")).of_clip("clip_7", video)
    other = replace(given, width=given.width + 1)
    write_keypoints(tmp_path / "k.parquet", {"golf/clip_7": given, "dance/clip_7": other}, {})
    brought = BroughtKeypoints(tmp_path / "k.parquet")
    assert brought.of_clip("here/dance/clip_7", video).width == other.width
    with pytest.raises(KgclipError, match="of several clips named clip_7, and walk/clip_7 is none of them; give"):
        brought.of_clip("walk/clip_7", video)


def test_flags_of_visibility_become_scores(video: Path, tmp_path: Path):
    visible = walk()
    visible[:, :, 2] = 2
    visible[:, 9, 2] = 1
    visible[:, 10, 2] = 0
    rows = [{"image_id": t + 1, "keypoints": flat(p)} for t, p in enumerate(visible)]
    (tmp_path / "clip_7.json").write_text(json.dumps(rows))
    scores = BroughtKeypoints(tmp_path).of_clip("clip_7", video).tracks[0].keypoints[0, :, 2]
    assert scores[[0, 9, 10]].tolist() == [1, 0.5, 0]


def test_frames_without_people_are_observed_too(video: Path, tmp_path: Path):
    openpose_frames(25)(tmp_path, "clip_7")
    (tmp_path / "clip_7" / "clip_7_000000000002_keypoints.json").write_text('{"people": []}')
    pose = BroughtKeypoints(tmp_path).of_clip("clip_7", video)
    assert len(pose.frame_index) == FRAMES
    assert pose.tracks[0].rows.tolist() == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged, expected a layout of keypoints"),
        ('[{"image_id": 1}]', "is damaged, expected a layout of keypoints"),
        ('[{"image_id": 1, "keypoints": [1, 2, 3]}]', "is damaged, expected a layout of keypoints"),
        (json.dumps([{"image_id": "first", "keypoints": [1.0] * 51}]), "'first' has no frame number"),
        (json.dumps([{"image_id": 99, "keypoints": [9.0] * 51}]), "frame 99 of clip_7, whose video has 6 frames"),
        (json.dumps([{"image_id": 1, "keypoints": [0.5] * 51}]), "seem to be shares of the frame"),
        ("[]", "has no keypoints of clip_7"),
    ],
)
def test_mistakes_end_in_one_sentence(content: str, message: str, video: Path, tmp_path: Path):
    (tmp_path / "clip_7.json").write_text(content)
    with pytest.raises(KgclipError, match=message) as caught:
        BroughtKeypoints(tmp_path).of_clip("clip_7", video)
    assert "\n" not in str(caught.value)


def test_what_is_keypoints(tmp_path: Path):
    assert is_keypoints("a/b.json")
    assert is_keypoints("a/b.parquet")
    assert is_keypoints(str(tmp_path))
    assert not is_keypoints("usyd-community/vitpose-base-simple")
    assert not is_keypoints("movenet.tflite")
    (tmp_path / "config.json").write_text("{}")
    assert not is_keypoints(str(tmp_path))
    with pytest.raises(KgclipError, match="no such file or folder; expected keypoints"):
        BroughtKeypoints(tmp_path / "none.json")
