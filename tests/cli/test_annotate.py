"""`kgclip annotate` from the command line, with keypoints that the user brings."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from kgclip.cli.main import run
from kgclip.video.encode import write_video
from tests.pose.figures import figure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with videos, one with keypoints, and a data set of class folders."""
    for inner in ("videos", "classes/clap", "keypoints"):
        (tmp_path / inner).mkdir(parents=True)
    for name in ("a", "b"):
        write_video(tmp_path / "videos" / f"{name}.mp4", np.zeros((6, 400, 400, 3), np.uint8), 30)
        write_video(tmp_path / "classes" / "clap" / f"{name}.mp4", np.zeros((6, 400, 400, 3), np.uint8), 30)
        rows = [{"image_id": t, "keypoints": figure(1)[0].ravel().tolist()} for t in range(6)] if name == "a" else []
        (tmp_path / "keypoints" / f"{name}.json").write_text(json.dumps(rows))
    return tmp_path


def annotate(folder: Path, clips: str, *words: str) -> int:
    pose = ["--pose", str(folder / "keypoints"), "--workers", "1"]
    return run(["annotate", str(folder / clips), "--out", str(folder / "out"), *pose, *words])


@pytest.mark.parametrize(
    ("clips", "files"), [("videos/a.mp4", "a"), ("classes/clap/a.mp4", "a")], ids=["a video", "another video"]
)
def test_one_video(clips: str, files: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert annotate(folder, clips) == 0
    assert len(list((folder / "out" / files).glob("img_*.json"))) == 6
    assert f"1 clips annotated in {folder / 'out'}, 0 of them without a person" in capsys.readouterr().out


@pytest.mark.parametrize(("clips", "files"), [("videos", "a"), ("classes", "clap/a")])
def test_folders_name_the_clip_that_lacks_keypoints(
    clips: str, files: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert annotate(folder, clips) == 2
    assert "1 of 2 clips are not annotated" in capsys.readouterr().err
    assert len(list((folder / "out" / files).glob("img_*.json"))) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "0"], "--every 0: is too small"),
        (["--every", "2"], "--every 2: .* holds keypoints already; leave the option out"),
        (["--detector", "a/b"], "--detector a/b: .* holds keypoints already; leave the option out"),
        (["--person", "0"], "--person 0: expected subject, all, or a number from 1"),
        (["--person", "everyone"], "--person everyone: expected subject"),
    ],
)
def test_mistakes_end_in_one_sentence(words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert annotate(folder, "videos", *words) == 2
    error = capsys.readouterr().err
    assert re.match(f"kgclip: {message}", error)
    assert error.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_person_that_no_clip_shows(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert annotate(folder, "videos/a.mp4", "--person", "99") == 2
    assert "--person 99: no clip shows so many people, the most are 1; the keypoints are in " in capsys.readouterr().err


def test_a_pose_that_names_nothing(folder: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--pose", str(folder / "nowhere"), "--workers", "1"]
    assert run(["annotate", str(folder / "videos"), "--out", str(folder / "out"), *words]) == 2
    assert (
        "no such file or folder; expected a .tflite file, a model, or keypoints (.parquet)" in capsys.readouterr().err
    )


def test_annotations_may_lie_among_the_class_folders(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "keypoints/b.json").write_bytes((folder / "keypoints/a.json").read_bytes())
    for _ in range(2):
        assert annotate(folder, "classes", "--out", str(folder / "classes" / "annotations")) == 0
    assert "2 clips annotated" in capsys.readouterr().out


def test_a_run_that_ended_while_it_wrote_the_words_goes_on(folder: Path):
    (folder / "keypoints/b.json").write_bytes((folder / "keypoints/a.json").read_bytes())
    assert annotate(folder, "classes") == 0
    (folder / "out/list/part_stat.txt").unlink()
    assert annotate(folder, "classes") == 0
    assert (folder / "out/list/part_stat.txt").is_file()


def test_a_video_beside_class_folders_is_not_taken_for_all(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "videos/a.mp4").rename(folder / "classes/stray.mp4")
    assert annotate(folder, "classes") == 2
    assert "stray.mp4: lies beside folders of videos, such as clap/; put it into one of them" in capsys.readouterr().err
