"""The short how-tos as a reader follows them: every command runs, in the order of the page."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.engine.checkpoint import Checkpoint

DOCS = Path(__file__).resolve().parents[1] / "docs"
ACTIONS = ("push_up", "lunge", "pull_ups")


@pytest.fixture
def folder(figures: Path, kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of: clips, a list with few labels, a model, a new clip."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for action in ACTIONS:
        Path("clips", action).mkdir(parents=True)
        for number, clip in enumerate(sorted((figures / "train_videos" / action).iterdir())):
            rows.append((shutil.copy(clip, Path("clips", action)), action if number < 2 else ""))
    with Path("clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "label"), *rows])
    shutil.copytree("clips/lunge", "squats")
    shutil.copy(next((figures / "test_videos").rglob("*.mp4")), "clip.mp4")
    shutil.copy(figures / "keypoints.parquet", ".")
    Path("model").symlink_to(kg_model)
    return tmp_path


def commands(page: str) -> list[list[str]]:
    """Commands of a page as words, with what synthetic figures need in place of an estimator."""
    text = (
        (DOCS / page)
        .read_text(encoding="utf-8")
        .replace("movenet_lightning.tflite", "keypoints.parquet --backbone synthetic")
        .replace("--model.backbone auto", "--model.backbone synthetic")
    )
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)).splitlines()
    return [shlex.split(line)[1:] for line in lines]


def test_few_labels(folder: Path, capsys: pytest.CaptureFixture[str]):
    for words in commands("few_labels.md"):
        assert run(words) == 0, f"{words}\n{capsys.readouterr().err}"
    assert len(Checkpoint.load(folder / "fitted" / "model").split.labelled) == 2 * len(ACTIONS)
    assert len(Checkpoint.load(folder / "a-fifth").split.labelled) == len(ACTIONS)


@pytest.mark.usefixtures("folder")
def test_a_new_action(figures: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(figures / "test_videos", "held-out")
    for words in commands("new_action.md"):
        if "--out" in words:  # one name for each of several ways
            shutil.rmtree("larger", ignore_errors=True)
        assert run(words) == 0, f"{words}\n{capsys.readouterr().err}"
    assert "before" in capsys.readouterr().out
