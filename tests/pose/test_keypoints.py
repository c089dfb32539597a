"""The file of keypoints: what is written is read, and other files are refused."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kgclip.errors import KgclipError
from kgclip.files import write_table
from kgclip.pose.keypoints import CONTENT, VERSION, ClipPose, Track, pose_of, read_keypoints, write_keypoints
from tests.pose.figures import figure

ORIGIN = {"pose": "movenet.tflite", "every": 4}


def pose(*rows: list[int], num_frames: int = 6) -> ClipPose:
    indices = np.arange(num_frames, dtype=np.int32) * 4
    rng = np.random.default_rng(0)
    tracks = []
    for row in rows:
        keypoints = figure(len(row))
        keypoints[:, :, :2] += rng.normal(size=(len(row), 17, 2)).astype(np.float32)
        tracks.append(Track(np.array(row), keypoints))
    return ClipPose(indices, indices / 30, 320, 240, tuple(tracks))


def same(one: ClipPose, other: ClipPose) -> bool:
    arrays = [(one.frame_index, other.frame_index), (one.time_s, other.time_s)]
    for mine, theirs in zip(one.tracks, other.tracks, strict=True):
        arrays += [(mine.rows, theirs.rows), (mine.keypoints, theirs.keypoints)]
    sizes = (one.width, one.height) == (other.width, other.height)
    return sizes and all(np.array_equal(*pair) for pair in arrays)


@pytest.mark.parametrize("place", [(0, 0, 0), (2, 5, 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(place: tuple[int, int, int], value: float, tmp_path: Path):
    broken = pose([1, 3, 4])
    broken.tracks[0].keypoints[place] = value
    write_keypoints(tmp_path / "k.parquet", {"fine": pose([0]), "golf/x": broken}, ORIGIN)
    frame = broken.frame_index[broken.tracks[0].rows[place[0]]]
    with pytest.raises(
        KgclipError, match=rf"k.parquet: golf/x, frame {frame}: a position or score of a joint is not f"
    ):
        read_keypoints(tmp_path / "k.parquet")


def test_what_is_written_is_read(tmp_path: Path):
    poses = {
        "two people": pose([0, 1, 2, 3, 4], [2, 3]),
        "nobody": pose(),
        "gaps": pose([1, 4]),
        "one frame": pose([0], num_frames=1),
    }
    write_keypoints(tmp_path / "k.parquet", poses, ORIGIN)
    read, origin = read_keypoints(tmp_path / "k.parquet")
    assert origin == ORIGIN
    assert set(read) == set(poses)
    assert all(same(poses[clip], read[clip]) for clip in poses)
    assert not same(read["gaps"], pose([1, 5]))


def test_the_columns_are_plain(tmp_path: Path):
    write_keypoints(tmp_path / "k.parquet", {"a": pose([1, 4], [4])}, ORIGIN)
    rows = pq.read_table(tmp_path / "k.parquet").to_pylist()
    seen = sorted((row["frame_index"], row["person"]) for row in rows if row["person"] is not None)
    assert seen == [(4, 1), (16, 1), (16, 2)]
    assert sorted(row["frame_index"] for row in rows if row["person"] is None) == [0, 8, 12, 20]
    assert all(row["keypoints"] is None for row in rows if row["person"] is None)
    first = next(row for row in rows if row["frame_index"] == 4)
    assert (first["clip"], first["time_s"], first["width"], first["height"]) == ("a", 4 / 30, 320, 240)
    assert first["keypoints"][:3] == pytest.approx([200, 60, 0.9], abs=4)


def test_no_clips(tmp_path: Path):
    write_keypoints(tmp_path / "k.parquet", {}, ORIGIN)
    assert read_keypoints(tmp_path / "k.parquet") == ({}, ORIGIN)


def test_a_body_spans_the_clip_and_only_tracks_have_one():
    clip = pose([1, 4])
    body = clip.body()
    assert body is not None
    assert len(body.keypoints) == round(20 / 30 * 30) + 1
    assert clip.steps.tolist() == [0, 4, 8, 12, 16, 20]
    assert body.keypoints[4, 0, 2] > 0.5
    assert body.keypoints[0, 0, 2] == 0
    assert clip.body(2) is None


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(KgclipError, match="no such file; expected a kgclip keypoints"):
        read_keypoints(tmp_path / "k.parquet")
    write_keypoints(tmp_path / "k.parquet", {"a": pose([1])}, ORIGIN)
    table = pq.read_table(tmp_path / "k.parquet")
    header = {"content": CONTENT, "version": VERSION, "origin": {}}
    write_table(table.drop_columns(["person"]), tmp_path / "k.parquet", header)
    with pytest.raises(KgclipError, match="its columns are not those of keypoints"):
        read_keypoints(tmp_path / "k.parquet")


def test_a_pose_is_found_by_as_much_of_the_id_as_there_is():
    poses = {name: pose(num_frames=1) for name in ("1", "b/1", "x/c/2", "y/d/2")}
    assert pose_of(poses, "videos/b/1") is poses["b/1"]
    assert pose_of(poses, "golf/1") is poses["1"]
    assert pose_of(poses, "d/2") is poses["y/d/2"]
    assert pose_of(poses, "golf/2") is None


def test_a_pose_is_found_by_id_or_by_a_file_name_that_one_clip_has():
    poses = {name: pose(num_frames=1) for name in ("golf/a", "golf/b", "x/b")}
    assert pose_of(poses, "golf/b") is poses["golf/b"]
    assert pose_of(poses, "a") is poses["golf/a"]
    assert pose_of(poses, "other/a") is poses["golf/a"]
    assert pose_of(poses, "b") is None
    assert pose_of(poses, "c") is None
