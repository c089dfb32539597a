"""What one person does with a model stays with that person, within limits that are told in one sentence."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgclip.app.desk import Desk
from kgclip.app.examples import SHOWN, write_examples
from kgclip.app.session import (
    Session,
    answered,
    movements_of,
    opened,
    recognized,
    with_action,
    with_definition,
)
from kgclip.engine.edit import Definition, redefined, with_new_action
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.report.explanation_page import explanation_page
from kgclip.serving import Limits
from kgclip.video import container


@pytest.fixture
def desk(talkative_model: Path, tmp_path: Path) -> Iterator[Desk]:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    made = Desk(Recognizer.from_pretrained(talkative_model), Limits(files=2), uploads)
    yield made
    made.close()


@pytest.fixture
def sent(desk: Desk, clips: list[Path]) -> Path:
    """A clip as it comes: in a folder of its own among the uploads."""
    folder = desk.uploads / "7f3a"
    folder.mkdir()
    return Path(shutil.copy(clips[0], folder / "my clip.mp4"))


def test_a_clip_is_explained_and_its_file_is_gone(desk: Desk, sent: Path, clips: list[Path]):
    session = opened(desk, Session(), sent)
    assert list(desk.uploads.iterdir()) == []
    answer = answered(desk, session)
    assert answer is not None
    expected = desk.recognizer.predict(clips[0])
    assert answer.after is answer.before
    assert answer.after.actions == expected.actions
    assert answer.after.file == "my clip.mp4"
    assert str(desk.uploads) not in answer.page
    assert answer.page == explanation_page(expected).replace(clips[0].name, sent.name).replace(
        str(clips[0].parent) + "/", ""
    ).replace(f'"id":"{clips[0].stem}"', '"id":"my clip"')


def test_files_are_opened_by_a_process_apart(desk: Desk, clips: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(container.av, "open", lambda *_, **__: pytest.fail("opened in this process"))
    assert opened(desk, Session(), clips[0]).clip is not None
    assert not isinstance(recognized(desk, Session(), clips[1], 0).result, KgclipError)


def test_files_that_were_not_sent_stay(desk: Desk, clips: list[Path], tmp_path: Path):
    file = Path(shutil.copy(clips[0], tmp_path / "example.mp4"))
    opened(desk, Session(), file)
    desk.discard(desk.uploads)
    desk.discard(desk.uploads / ".." / "example.mp4")
    assert file.is_file()
    assert desk.uploads.is_dir()


def test_definitions_are_the_engines_and_stay_in_the_session(desk: Desk, sent: Path):
    base = desk.recognizer.checkpoint
    before = base.model.path.definitions.clone()
    session = opened(desk, Session(), sent)
    clip = session.clip
    assert clip is not None
    first, *rest = movements_of(base, "lunge")
    edited = with_definition(desk, session, "lunge", [*rest, "head nod"])
    edited = with_action(desk, edited, "squat: hip upturn, left leg bend")
    larger = with_new_action(base, Definition("squat", ("hip upturn", "left leg bend")))
    same = redefined(larger, [Definition("lunge", ("head nod",))], [Definition("lunge", (first,))])
    answer = answered(desk, edited)
    assert answer is not None
    assert answer.after.actions == Recognizer(same).explain(clip.reading).actions
    assert answer.before.actions == Recognizer(base).explain(clip.reading).actions
    assert "squat" in {row.action for row in answer.after.actions}
    assert set(movements_of(edited.recognizer(desk).checkpoint, "lunge")) == {*rest, "head nod"}
    assert base.model.path.definitions.equal(before)
    assert session.edited is None
    again = with_definition(desk, edited, "squat", ["hip upturn"])
    assert movements_of(again.recognizer(desk).checkpoint, "squat") == ("hip upturn",)


@pytest.mark.parametrize(
    ("movements", "message"),
    [([], "would consist of nothing"), (["left leg bnd"], "is no movement of the model, did you mean")],
)
def test_definitions_that_cannot_be(desk: Desk, movements: list[str], message: str):
    with pytest.raises(KgclipError, match=message):
        with_definition(desk, Session(), "lunge", movements)


def test_definitions_that_change_nothing(desk: Desk):
    with pytest.raises(KgclipError, match="consists of these movements already"):
        with_definition(desk, Session(), "lunge", movements_of(desk.recognizer.checkpoint, "lunge")[::-1])
    with pytest.raises(KgclipError, match="is no action of the model"):
        movements_of(desk.recognizer.checkpoint, "fly")


def test_sentences_that_add_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for sentence, message in (
        ("squat", "expected an action and movements"),
        ("lunge: head nod", "knows this action already"),
        ("squat: hip sit down", "is no movement of the model"),
    ):
        with pytest.raises(KgclipError, match=message):
            with_action(desk, Session(), sentence)
    monkeypatch.setattr("kgclip.app.session.MOST_NEW_ACTIONS", 3)
    session = Session()
    for number in range(3):
        session = with_action(desk, session, f"new {number}: head nod")
    with pytest.raises(KgclipError, match="adds up to 3 actions"):
        with_action(desk, session, "one more: head nod")


def test_limits(desk: Desk, sent: Path, clips: list[Path]):
    short = Desk(desk.recognizer, Limits(length_s=0.1), desk.uploads)
    with pytest.raises(KgclipError, match=r"^my clip\.mp4: lasts \d\.\d s, and up to 0\.1 s are taken here; cut it"):
        opened(short, Session(), sent)
    assert not sent.exists()
    sent.parent.mkdir()
    sent.write_bytes(b"\0" * (2**20 + 1) + clips[0].read_bytes())
    small = Desk(desk.recognizer, Limits(size_mb=1), desk.uploads)
    with pytest.raises(KgclipError, match=r"^my clip\.mp4: is larger than the 1 MB that are taken here"):
        opened(small, Session(), sent)
    slow = Desk(desk.recognizer, Limits(wait_s=0.05), desk.uploads)
    with pytest.raises(KgclipError, match=r"no answer within 0\.05 s"):
        slow.ask(lambda: time.sleep(0.3))
    for each in (short, small, slow):
        each.close()


def test_a_file_that_is_no_video(desk: Desk, sent: Path):
    sent.write_bytes(b"nothing" * 100)
    with pytest.raises(KgclipError, match=r"^my clip\.mp4: truncated or not a video"):
        opened(desk, Session(), sent)
    assert list(desk.uploads.iterdir()) == []


def test_of_several_files_each_has_its_row(desk: Desk, sent: Path, clips: list[Path]):
    edited = with_action(desk, Session(), "squat: hip upturn, left leg bend")
    row = recognized(desk, edited, sent, 0)
    assert not isinstance(row.result, KgclipError)
    assert len(row.result.actions) == 25
    assert not sent.exists()
    over = recognized(desk, edited, clips[1], 2)
    assert str(over.result) == f"{clips[1].name}: not read, as it is over 2 files; send it with the next"
    assert clips[1].exists()


def test_examples_are_for_models_of_figures(desk: Desk, tmp_path: Path):
    known = desk.recognizer.checkpoint.actions
    files = write_examples(tmp_path, known)
    assert tuple(files) == SHOWN
    assert all(file.is_file() for file in files.values())
    assert write_examples(tmp_path / "none", known[1:]) == {}
