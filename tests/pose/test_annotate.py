"""Annotating many clips: nothing done twice, nothing skipped in silence, the same with workers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgclip.cli.annotate import _people
from kgclip.errors import KgclipError
from kgclip.pose import annotate as work
from kgclip.pose.annotate import PoseSource, annotate, observe
from kgclip.pose.keypoints import KEYPOINTS_FILE, Track, read_keypoints, write_keypoints
from kgclip.video.encode import write_video
from tests.pose.figures import figure

FRAMES = 12


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    """Three clips whose brightness says which of them it is."""
    paths = {f"clap/{name}": tmp_path / "videos" / f"{name}.mp4" for name in ("a", "b", "c")}
    (tmp_path / "videos").mkdir()
    for index, path in enumerate(paths.values()):
        write_video(path, np.full((FRAMES, 400, 400, 3), 60 * (index + 1), np.uint8), 30)
    return paths


class Figures:
    """An estimator that puts a figure into each frame, shifted by its brightness, and counts what it looks at."""

    def __init__(self):
        self.num_frames = 0

    def __call__(self, frames):
        for frame in frames:
            self.num_frames += 1
            pose = figure(1)
            pose[:, :, 0] += frame.mean() / 60
            yield pose


@pytest.fixture
def estimator(monkeypatch: pytest.MonkeyPatch) -> Figures:
    figures = Figures()
    monkeypatch.setattr(work, "_estimator", lambda pose, detector: figures)
    return figures


SOURCE = PoseSource("figures.tflite", every=4)


def test_clips_are_annotated(clips: dict[str, Path], estimator: Figures, tmp_path: Path):
    done: list[int] = []
    poses = annotate(clips, tmp_path / "out", SOURCE, advance=done.append)
    assert sum(done) == 3
    assert estimator.num_frames == 9
    assert sorted(poses) == sorted(clips)
    assert poses["clap/b"].tracks[0].keypoints[0, 0, 0] == pytest.approx(202, abs=0.2)
    assert poses["clap/b"].time_s == pytest.approx([0, 4 / 30, 8 / 30])
    files = sorted(file.name for file in (tmp_path / "out" / "clap" / "b").iterdir())
    assert files == ["img_00001.json", "img_00005.json", "img_00009.json"]
    assert json.loads((tmp_path / "out/clap/b/img_00005.json").read_bytes())["humans"][0]["parts"]["hip"]
    read, origin = read_keypoints(tmp_path / "out" / "keypoints.parquet")
    assert sorted(read) == sorted(clips)
    assert origin == {"pose": "figures.tflite", "detector": None, "every": 4}


def test_of_few_frames_a_second_more_are_looked_at(estimator: Figures, tmp_path: Path):
    write_video(tmp_path / "slow.mp4", np.full((12, 400, 400, 3), 60, np.uint8), 7)
    assert observe("slow", tmp_path / "slow.mp4", SOURCE).frame_index.tolist() == [0, 3, 6, 9]


def test_all_people_are_annotated_however_many_there_are(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        work, "link_tracks", lambda people, _: tuple(Track(np.array([0]), people[0]) for _ in range(14))
    )
    annotate(clips, tmp_path / "out", SOURCE, people=_people("all"))
    humans = json.loads((tmp_path / "out/clap/b/img_00001.json").read_bytes())["humans"]
    assert [human["number"] for human in humans] == list(range(1, 15))


def test_a_run_goes_on_where_it_was(clips: dict[str, Path], estimator: Figures, tmp_path: Path):
    first = {clip: clips[clip] for clip in list(clips)[:2]}
    annotate(first, tmp_path / "out", SOURCE)
    estimator.num_frames = 0
    assert sorted(annotate(clips, tmp_path / "out", SOURCE)) == sorted(clips)
    assert estimator.num_frames == 3
    estimator.num_frames = 0
    annotate(clips, tmp_path / "out", SOURCE)
    assert estimator.num_frames == 0


def test_what_is_done_is_saved_when_a_run_is_broken_off(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(amount: int) -> None:
        if amount:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(clips, tmp_path / "out", SOURCE, advance=stop)
    assert list(read_keypoints(tmp_path / "out" / "keypoints.parquet")[0]) == ["clap/a"]


def test_clips_that_cannot_be_read_are_named_and_the_others_are_written(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path
):
    clips["clap/b"].write_bytes(b"no video")
    with pytest.raises(KgclipError, match=r"1 of 3 clips are not annotated, the others are; the first: .*b\.mp4"):
        annotate(clips, tmp_path / "out", SOURCE)
    assert sorted(folder.name for folder in (tmp_path / "out" / "clap").iterdir()) == ["a", "c"]


def test_where_no_clip_can_be_read_nothing_is_written(clips: dict[str, Path], estimator: Figures, tmp_path: Path):
    for path in clips.values():
        path.write_bytes(b"no video")
    with pytest.raises(KgclipError, match=r"none of 3 clips can be annotated; the first: .*a\.mp4"):
        annotate(clips, tmp_path / "out", SOURCE)
    assert not (tmp_path / "out").exists()


def test_another_source_or_a_foreign_folder_is_refused(clips: dict[str, Path], estimator: Figures, tmp_path: Path):
    annotate(clips, tmp_path / "out", SOURCE)
    with pytest.raises(KgclipError, match=r"was made with pose figures\.tflite, every 4, asked for is .*every 2"):
        annotate(clips, tmp_path / "out", PoseSource("figures.tflite", every=2))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    with pytest.raises(KgclipError, match=r"holds no keypoints\.parquet; give a new folder for --out"):
        annotate(clips, tmp_path / "mine", SOURCE)


def test_ids_that_start_above_their_list_stay_inside_the_folder(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path
):
    annotate({"../videos/a": clips["clap/a"]}, tmp_path / "deep" / "out", SOURCE)
    assert (tmp_path / "deep" / "out" / "videos" / "a" / "img_00001.json").is_file()
    assert not (tmp_path / "deep" / "videos").exists()


@pytest.mark.slow
def test_workers_give_the_same(clips: dict[str, Path], tmp_path: Path):
    (tmp_path / "keypoints").mkdir()
    for index, name in enumerate("abc"):
        rows = [{"image_id": t + 1, "keypoints": figure(1)[0].ravel().tolist()} for t in range(index + 2)]
        (tmp_path / "keypoints" / f"{name}.json").write_text(json.dumps(rows))
    source = PoseSource(str(tmp_path / "keypoints"))
    alone = annotate(clips, tmp_path / "alone", source)
    shared = annotate(clips, tmp_path / "shared", source, workers=2)
    assert [len(alone[clip].frame_index) for clip in sorted(alone)] == [2, 3, 4]
    for clip, pose in alone.items():
        assert np.array_equal(pose.tracks[0].keypoints, shared[clip].tracks[0].keypoints)


def test_rows_of_one_file_take_no_processes(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = annotate(clips, tmp_path / "first", SOURCE)
    monkeypatch.setattr("kgclip.parallel.ProcessPoolExecutor", None)
    source = PoseSource(str(tmp_path / "first" / KEYPOINTS_FILE))
    again = annotate(clips, tmp_path / "second", source, workers=2)
    for clip, pose in given.items():
        assert np.array_equal(pose.tracks[0].keypoints, again[clip].tracks[0].keypoints)


def test_a_file_of_keypoints_that_was_replaced_is_read_again(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path
):
    clip, path = next(iter(clips.items()))
    file = tmp_path / "first" / KEYPOINTS_FILE
    pose = annotate(clips, tmp_path / "first", SOURCE)[clip]
    source = PoseSource(str(file))
    assert observe(clip, path, source).width == pose.width
    write_keypoints(file, {clip: replace(pose, width=7)}, {})
    assert observe(clip, path, source).width == 7


def test_killed_while_it_saved_for_the_first_time(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path, ended_process: int
):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".{KEYPOINTS_FILE}.kgclip-{ended_process}-abcd1234").touch()
    annotate(clips, out, SOURCE)
    assert sorted(path.name for path in out.iterdir()) == ["clap", KEYPOINTS_FILE, "list"]


def test_a_folder_that_vanishes_is_said(
    clips: dict[str, Path], estimator: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    write = work.write_frames

    def vanish(folder: Path, *rest: Any) -> None:
        if folder.name == "b":
            shutil.rmtree(out)
        write(folder, *rest)

    monkeypatch.setattr(work, "write_frames", vanish)
    with pytest.raises(KgclipError, match="out: was removed or moved while it was written; run it again"):
        annotate(clips, out, SOURCE)
    monkeypatch.setattr(work, "write_frames", write)
    looked = estimator.num_frames
    annotate(clips, out, SOURCE)
    assert estimator.num_frames == looked
    assert sorted(path.name for path in (out / "clap").iterdir()) == ["a", "b", "c"]
