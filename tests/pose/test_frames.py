"""Frame annotations: what is written is what was read off the figure, and the reader of data sets takes it."""

import json
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset
from kgclip.pose.frames import frame_annotations, write_frames, write_vocabulary
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.video.encode import write_video
from tests.pose.figures import figure

RAISED = {"left_elbow": (232, 70), "left_wrist": (235, 40)}


def clip_pose(*people: np.ndarray, rows: list[list[int]] | None = None) -> ClipPose:
    indices = np.arange(6, dtype=np.int32) * 4
    rows = rows or [list(range(6))] * len(people)
    tracks = [Track(np.array(row), p[: len(row)]) for row, p in zip(rows, people, strict=True)]
    return ClipPose(indices, indices / 30, 400, 400, tuple(tracks))


def test_one_person_in_every_observed_frame():
    annotations = frame_annotations(clip_pose(figure(6, **RAISED)), range(1, 2))
    assert len(annotations) == 6
    human = annotations[3]["humans"][0]
    assert human["number"] == 1
    assert human["box"] == [158, 30, 245, 390]
    arm = human["parts"]["left_arm"]
    assert (arm["name"], arm["verb"]) == ("left_arm", "raise")
    assert arm["box"] == [215, 30, 245, 110]
    assert arm["confidence"] == pytest.approx(0.9, abs=1e-3)
    assert human["parts"]["left_hand"]["box"] == [213, 18, 257, 62]
    assert human["parts"]["right_arm"]["verb"] == "unbend"
    assert [part["number"] for part in human["parts"].values()] == list(range(1, 10))
    assert "head" not in human["parts"]


def test_who_is_annotated():
    pose = clip_pose(figure(6), figure(6, **RAISED), rows=[list(range(6)), [2, 3]])
    numbers = [[h["number"] for h in a["humans"]] for a in frame_annotations(pose, range(1, 11))]
    assert numbers == [[1], [1], [1, 2], [1, 2], [1], [1]]
    other = frame_annotations(pose, range(2, 3))
    assert [len(a["humans"]) for a in other] == [0, 0, 1, 1, 0, 0]
    assert other[2]["humans"][0]["parts"]["left_arm"]["verb"] == "raise"


def test_parts_beyond_the_frame_are_left_out():
    low = figure(6)
    low[:, :, 1] += 90  # ankles at 470 of 400
    human = frame_annotations(clip_pose(low), range(1, 2))[0]["humans"][0]
    assert {"left_leg", "right_leg"} <= set(human["parts"])
    assert not {"left_foot", "right_foot"} & set(human["parts"])
    assert human["parts"]["left_leg"]["box"][3] == 399


def test_the_reader_of_data_sets_takes_them(tmp_path: Path):
    (tmp_path / "data" / "clap").mkdir(parents=True)
    write_video(tmp_path / "data" / "clap" / "a.mp4", np.zeros((24, 64, 64, 3), np.uint8), 30)
    out = tmp_path / "annotations"
    write_vocabulary(out)
    write_frames(out / "clap" / "a", clip_pose(figure(6, **RAISED)), range(1, 2))
    dataset = open_dataset(tmp_path / "data", out)
    observations = read_observations(dataset, progress=False, cache=False)
    assert observations.frames["frame"].to_list() == [1, 5, 9, 13, 17, 21]
    raised = observations.parts.filter(part="left arm")
    assert raised["state"].to_list() == ["raise"] * 6
    assert dataset.vocabulary is not None
    assert "step on" in dataset.vocabulary.states


def test_files_of_an_earlier_run_are_removed(tmp_path: Path):
    write_frames(tmp_path / "a", clip_pose(figure(6)), range(1, 2))
    (tmp_path / "a" / "notes.txt").write_text("mine")
    shorter = clip_pose(figure(6))
    write_frames(
        tmp_path / "a",
        ClipPose(shorter.frame_index[:2], shorter.time_s[:2], 400, 400, (Track(np.arange(2), figure(2)),)),
        range(1, 2),
    )
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["img_00001.json", "img_00005.json", "notes.txt"]
    assert len(json.loads((tmp_path / "a" / "img_00005.json").read_bytes())["humans"]) == 1


def test_what_is_there_is_not_written_again(tmp_path: Path, ended_process: int):
    """Whoever has read it knows by its time that it has not changed, and a kill leaves no half of it."""
    folder = tmp_path / "clip"
    write_frames(folder, clip_pose(figure(6)), range(1, 2))
    files = sorted(folder.iterdir())
    before = [(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
    (folder / f".{files[0].name}.kgclip-{ended_process}-abcd1234").touch()
    (folder / "img_00099.json").touch()  # of a pose that saw more frames
    (folder / "notes.json").touch()
    write_frames(folder, clip_pose(figure(6)), range(1, 2))
    (folder / "notes.json").unlink()
    assert [(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())] == before
    files[0].write_text("{")
    write_frames(folder, clip_pose(figure(6)), range(1, 2))
    assert json.loads(files[0].read_text())["humans"]
