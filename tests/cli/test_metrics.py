"""`kgclip metrics psc`: both quantities side by side, one JSON object, one sentence for bad input."""

import json
import zipfile
from pathlib import Path

import pytest

from kgclip.cli.main import run

FRAME = {"humans": [{"box": [0, 0, 99, 99], "parts": {"head": {"box": [1, 2, 30, 40], "verb": "nod"}}}]}


@pytest.fixture
def submission(tmp_path: Path) -> list[str]:
    """A submission with two of three actions right and all parts right, and the annotations."""
    for video in "abc":
        folder = tmp_path / "annotations" / "push_up" / video
        folder.mkdir(parents=True)
        (folder / "img_00001.json").write_text(json.dumps(FRAME))
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("pred_vid_result.json", json.dumps({"a": "push_up", "b": "push_up", "c": "lunge"}))
        archive.writestr("pred_part_result.json", json.dumps({key: {"img_00001.json": FRAME} for key in "abc"}))
    return ["metrics", "psc", str(tmp_path / "s.zip"), str(tmp_path / "annotations")]


def test_json(submission: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*submission, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = {"score": 0.9999 * 2 / 3, "top1": 2 / 3, "mean_psc": 1, "num_videos": 3, "num_frames": 3}
    assert report == pytest.approx(expected)


def test_both_quantities_are_printed_and_told_apart(submission: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(submission) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("official score" in line and "0.666600" in line for line in lines)
    assert any("plain top-1, another quantity" in line and "0.666667" in line for line in lines)


def test_labels_of_a_file(submission: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label\na,push_up\nb,push_up\nc,lunge\n")
    assert run([*submission, "--labels", str(labels), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == 0.9999


@pytest.mark.parametrize("broken", ["no zip", "no annotations", "nothing there"])
def test_bad_input_is_one_sentence(
    broken: str, submission: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if broken == "no zip":
        (tmp_path / "s.zip").write_text("{}")
    elif broken == "no annotations":
        submission[3] = str(tmp_path / "none")
    else:
        submission[2] = str(tmp_path / "none.zip")
    assert run(submission) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kgclip: ")
    assert captured.err.count("\n") == 1
