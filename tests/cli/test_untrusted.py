"""`--untrusted`: the same answers, by a process apart that opens the files."""

import json
import shutil
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.data.features import FeatureFile
from kgclip.video import container


@pytest.fixture
def clips(figures: Path, tmp_path: Path) -> Path:
    """Four clips of two actions, and a file that is none."""
    folder = tmp_path / "clips"
    for action in sorted(figures.glob("train_videos/*"))[:2]:
        shutil.copytree(action, folder / action.name)
    return folder


@pytest.fixture
def nothing_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container.av, "open", lambda *_, **__: pytest.fail("opened in this process"))


@pytest.mark.usefixtures("nothing_opened_here")
def test_check_opens_nothing_here(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(clips), "--untrusted", "--json"]) == 0
    next(clips.rglob("*.mp4")).write_text("#EXTM3U\n#EXTINF:5,\nother.mp4\n")
    capsys.readouterr()
    assert run(["data", "check", str(clips), "--untrusted", "--json"]) == 1
    assert "unreadable-video" in capsys.readouterr().out


def test_features_are_the_same(clips: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    command = ["data", "features", str(clips), "--frames", "2", "--out"]
    assert run([*command, str(tmp_path / "here")]) == 0
    request.getfixturevalue("nothing_opened_here")
    assert run([*command, str(tmp_path / "apart"), "--untrusted"]) == 0
    assert (tmp_path / "apart").read_bytes() == (tmp_path / "here").read_bytes()
    assert FeatureFile(tmp_path / "apart").clips


def test_predictions_are_the_same(
    kg_model: Path, clips: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    command = ["predict", str(kg_model), str(clips), "--json"]
    assert run(command) == 0
    here = capsys.readouterr().out
    request.getfixturevalue("nothing_opened_here")
    assert run([*command, "--untrusted"]) == 0
    assert capsys.readouterr().out == here
    assert json.loads(here.splitlines()[0])["file"]


def test_pages_and_poses_are_the_same(
    pose_model: Path,
    figures: Path,
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    keypoints = ["--keypoints", str(figures / "keypoints.parquet")]
    command = ["predict", str(pose_model), str(next(clips.rglob("*.mp4"))), "--json", *keypoints, "--html"]
    assert run([*command, str(tmp_path / "here")]) == 0
    here = capsys.readouterr().out
    request.getfixturevalue("nothing_opened_here")
    assert run([*command, str(tmp_path / "apart"), "--untrusted"]) == 0
    assert capsys.readouterr().out == here
    (page,) = (tmp_path / "here").iterdir()
    assert (tmp_path / "apart" / page.name).read_bytes() == page.read_bytes()


def test_a_cluster_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "model", "clip.mp4", "--untrusted", "--engine", "ray"]) == 2
    assert "--untrusted: is for this machine; leave it out, or --engine" in capsys.readouterr().err
