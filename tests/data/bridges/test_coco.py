"""COCO's keypoints, to and from those of clips."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.bridges.coco import read_coco, write_coco
from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose, Track, read_keypoints
from kgclip.video.cut import Cut, VideoPath
from kgclip.video.encode import write_video
from tests.pose.figures import figure, line

FRAMES = 6


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoPath]:
    """Two clips of one name in two folders, and the second half of a film."""
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("golf/a.mp4", FRAMES), ("lunge/a.mp4", FRAMES), ("film.mp4", 2 * FRAMES)):
        (folder / name).parent.mkdir(exist_ok=True)
        write_video(folder / name, np.zeros((frames, 400, 400, 3), np.uint8), 30)
    files = {name: folder / f"{name}.mp4" for name in ("golf/a", "lunge/a")}
    return {**files, "film@0.200-0.400": Cut(folder / "film.mp4", 0.2, 0.4)}


def pose(shift: float, *, score: float = 0.9) -> ClipPose:
    first = figure(FRAMES, left_wrist=line((200 + shift, 205), (3, 0), FRAMES))
    second = figure(3) - np.array([150, 0, 0], np.float32)
    first[:, :, 2] = score
    tracks = (Track(np.arange(FRAMES), first), Track(np.arange(1, 4), second.astype(np.float32)))
    return ClipPose(np.arange(FRAMES, dtype=np.int32), np.arange(FRAMES) / 30, 400, 400, tracks)


def same(one: ClipPose, other: ClipPose) -> bool:
    tracks = [sorted((t.rows.tolist(), t.keypoints.tolist()) for t in each.tracks) for each in (one, other)]
    return (
        np.array_equal(one.frame_index, other.frame_index)
        and np.allclose(one.time_s, other.time_s)
        and (one.width, one.height) == (other.width, other.height)
        and tracks[0] == tracks[1]
    )


def test_round_trip(clips, tmp_path):
    poses = {name: pose(7.0 * number, score=0.5 + 0.1 * number) for number, name in enumerate(clips)}
    write_coco(tmp_path / "coco.json", poses)
    notes = read_coco(tmp_path / "coco.json", clips, tmp_path / "k.parquet")
    assert notes == [f"{tmp_path}/k.parquet: keypoints of 3 clips"]
    again, origin = read_keypoints(tmp_path / "k.parquet")
    assert origin["pose"] == "coco.json"
    assert again.keys() == poses.keys()
    assert all(same(again[name], poses[name]) for name in poses)


def test_it_is_a_coco_data_set(tmp_path):
    write_coco(
        tmp_path / "coco.json", {"golf/a": pose(0.0), "b": replace(pose(0.0, score=0.1), tracks=pose(0.0).tracks[:1])}
    )
    content = json.loads((tmp_path / "coco.json").read_text())
    (category,) = content["categories"]
    assert (category["name"], len(category["keypoints"]), category["keypoints"][1]) == ("person", 17, "left_eye")
    assert max(max(bone) for bone in category["skeleton"]) == 17
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert sorted(set(names.values()))[0] == "b/img_00001.jpg"
    assert len(names) == len(content["images"]) == 2 * FRAMES
    people = content["annotations"]
    assert len({person["id"] for person in people}) == len(people) == 2 * FRAMES + 3
    assert {names[person["image_id"]] for person in people if person["track_id"] == 2} == {
        f"golf/a/img_{number:05d}.jpg" for number in (2, 3, 4)
    }
    assert all(set(person["keypoints"][2::3]) <= {0, 2} for person in people)
    left, top, width, height = people[-1]["bbox"]
    assert (left, top, left + width, top + height) == (168 - 150, 55, 232 - 150, 380)


def test_joints_of_low_scores_are_not_seen(tmp_path):
    write_coco(tmp_path / "coco.json", {"a": replace(pose(0.0, score=0.1), tracks=pose(0.0, score=0.1).tracks[:1])})
    person = json.loads((tmp_path / "coco.json").read_text())["annotations"][0]
    assert (person["num_keypoints"], set(person["keypoints"][2::3])) == (0, {0})


def test_clips_that_a_file_lacks_are_named(clips, tmp_path):
    write_coco(tmp_path / "coco.json", {"golf/a": pose(0.0)})
    notes = read_coco(
        tmp_path / "coco.json", {"golf/a": clips["golf/a"], "gone": Path("gone.mp4")}, tmp_path / "k.parquet"
    )
    assert notes[1].startswith("1 clip without: gone; the first: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"coco\.json: is damaged, expected a layout of keypoints"),
        (
            '{"images": [], "annotations": []}',
            r"coco\.json: gives the keypoints of none of 3 clips; the first: .* golf/a",
        ),
        (
            '[{"image_id": "golf/a/img_00099.jpg", "keypoints": [' + "5," * 50 + "1]}]",
            "has keypoints of frame 99 of golf/a",
        ),
        ('[{"image_id": "golf/a/img_00001.jpg", "keypoints": [1, 2, 1]}]', r"\(ValueError: 1 joints\)"),
    ],
)
def test_files_that_cannot_be_read(clips, tmp_path, content, message):
    (tmp_path / "coco.json").write_text(content)
    with pytest.raises(KgclipError, match=message):
        read_coco(tmp_path / "coco.json", clips, tmp_path / "k.parquet")
    assert not (tmp_path / "k.parquet").exists()


def test_names_in_several_folders_are_not_mixed_up(clips, tmp_path):
    write_coco(tmp_path / "coco.json", {"golf/a": pose(0.0), "lunge/a": pose(9.0)})
    with pytest.raises(KgclipError, match="has keypoints of several clips named a, and a is none of them"):
        read_coco(tmp_path / "coco.json", {"a": clips["golf/a"]}, tmp_path / "k.parquet")
