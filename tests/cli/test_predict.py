"""What `kgclip predict` passes on and prints."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kgclip.cli.main import run
from kgclip.cli.predict import action_names, describe
from kgclip.engine.explanation import ActionScore, ClipFacts, Explanation, MovementReading, Span
from kgclip.engine.predict import Recognizer
from kgclip.engine.reasons import against, reasons
from kgclip.engine.unknown import Threshold
from kgclip.errors import KgclipError
from kgclip.kg.phrases import phrase

CLIP = ClipFacts(25.0, 4, 0.16, 64, 64, (0.0, 0.12), (0, 3))
ROW = ActionScore("jump", 0.6, 2.0, 1.5, 0.1, 0.5, None, 0.4)
OTHER = ActionScore("lunge", 0.4, 1.0, 0.9, 0.0, 0.5, None, 0.1)
SPAN = Span(0.0, 0.12, 0.9, 0, 3)
MOVEMENT = MovementReading(
    "left leg bend", "left leg", 0.5, 0.1, (1.0, 0.2), (0.7, 0.1), 0.2, (SPAN,), (0.0, 0.12), phrase(["left leg bend"])
)


def explanation(file: str, threshold: Threshold | None = None) -> Explanation:
    made = Explanation(file, CLIP, (ROW, OTHER), (MOVEMENT,), 3, 1.0, threshold, (), None, (), {})
    return replace(made, reasons=reasons(made), against_runner_up=against(made))


class Recorder:
    """Stands for a recognizer: keeps what it was asked, and says at each file what has been printed before."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys, self.options, self.before, self.errors, self.videos = capsys, {}, [], [], None

    def predict_many(self, files: list[Path], **options: Any) -> Iterator[Explanation]:
        self.options = options
        for file in files:
            out, error = self.capsys.readouterr()
            self.before.append(out)
            self.errors.append(error)
            yield explanation(str(file))


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
    assert recorder.options == {"frames": None}


def test_actions_to_choose_from(recorder: Recorder, tmp_path: Path):
    names = tmp_path / "names.txt"
    names.write_text("push up\n\n pull ups \npush up\n")
    assert run(["predict", "model", "a.mp4", "--actions", str(names)]) == 0
    assert recorder.options["actions"] == ("push up", "pull ups")
    assert action_names("push up, tie knot") == ("push up", "tie knot")
    for given, problem in ((" ,", "names no action"), ("gone.txt", r"gone\.txt: cannot be read")):
        with pytest.raises(KgclipError, match=problem):
            action_names(given)


def test_many_names_are_no_file():
    names = tuple(f"an action of a long name {number}" for number in range(400))
    assert action_names(", ".join(names)) == names


def test_a_page_that_cannot_be_made_does_not_stop_the_rest(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def write(folder: Path, explained: Explanation, taken: set[str], videos: object) -> Path:
        if explained.file == "a.mp4":
            raise KgclipError("a.mp4: is damaged")
        return folder / "b.html"

    monkeypatch.setattr("kgclip.report.explanation_page.write_explanation", write)
    assert run(["predict", "model", "a.mp4", "b.mp4", "--html", str(tmp_path / "pages")]) == 2
    assert recorder.errors[1] == "kgclip: a.mp4: is damaged\n"
    assert "b.html" in capsys.readouterr().err


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


def test_a_prediction_is_a_sentence_and_a_sum():
    text = describe(explanation("a.mp4"), top=1)
    assert "jump, 60%, because the left leg bends; not lunge, because the left leg bends, which it less often" in text
    assert "score of jump 2.000 = looks 1.500, and movements:" in text
    assert "+0.400  left leg bend" in text
    assert "seen 0.0–0.1 s" in text
    assert "+0.100  all other movements" in text
    assert text.count("%  ") == 1
    unsure = describe(explanation("a.mp4", Threshold(0.7, 0.1, 0.2, 40, "validation")), top=2)
    assert "unknown, as jump, 60%, is below 70%; the left leg bends\n" in unsure
    assert describe({"file": "b.mp4", "error": "no video"}, top=1) == "b.mp4\n  error: no video\n"
