"""What `kgclip predict` passes on and prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kgclip.cli.main import run
from kgclip.cli.predict import action_names
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError

ROW = {"action": "a", "probability": 1.0, "s_mm": 0.5, "s_tri": None, "s_path": None}


class Recorder:
    """Stands for a recognizer: keeps what it was asked, and says at each file what has been printed before."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys, self.options, self.before = capsys, {}, []

    def predict_many(self, files: list[Path], **options: Any) -> Iterator[dict[str, Any]]:
        self.options = options
        for file in files:
            self.before.append(self.capsys.readouterr().out)
            yield {"file": str(file), "actions": [ROW], "triplets": [], "movements": []}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Recorder:
    """In place of every recognizer; ``options`` end with how it was made."""
    made = Recorder(capsys)
    monkeypatch.setattr(Recognizer, "from_pretrained", lambda *args, **options: made)
    monkeypatch.setattr(
        Recognizer, "from_names", lambda *args, **options: made.before.append(args) or made, raising=False
    )
    return made


def test_json_lines_come_one_by_one(recorder: Recorder, capsys: pytest.CaptureFixture[str]):
    assert run(["predict", "model", "a.mp4", "b.mp4", "--json"]) == 0
    assert [json.loads(text)["file"] for text in (recorder.before[1], capsys.readouterr().out)] == ["a.mp4", "b.mp4"]
    assert recorder.options == {"frames": None, "top": 5}


def test_actions_to_choose_from(recorder: Recorder, tmp_path: Path):
    names = tmp_path / "names.txt"
    names.write_text("push up\n\n pull ups \npush up\n")
    assert run(["predict", "model", "a.mp4", "--actions", str(names)]) == 0
    assert recorder.options["actions"] == ("push up", "pull ups")
    assert action_names("push up, tie knot") == ("push up", "tie knot")
    for given, problem in ((" ,", "names no action"), ("gone.txt", r"gone\.txt: cannot be read")):
        with pytest.raises(KgclipError, match=problem):
            action_names(given)


def test_a_backbone_needs_no_model(recorder: Recorder):
    words = ["predict", "--backbone", "clip", "--actions", "push up,jump"]
    assert run([*words, "a.mp4"]) == 0
    assert recorder.before[0] == ("clip", ("push up", "jump"))
    assert run(words) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "predict: no file given; name the model's folder and at least one video file or folder"),
        (["model"], "predict: no file given"),
        (["model", "a.mp4", "--frames", "0"], "--frames 0: is too small; give 1 or more"),
        (["model", "a.mp4", "--top", "0"], "--top 0: is too small; give 1 or more"),
        (["a.mp4", "--backbone", "clip"], "--backbone clip: knows no actions; name them with --actions"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert run(["predict", *words]) == 2
    assert capsys.readouterr().err.startswith(f"kgclip: {message}")
