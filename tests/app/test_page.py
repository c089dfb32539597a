"""The page of a model that reads no movements, and what its controls do without a browser."""

import shutil
from pathlib import Path

import pytest

from kgclip.app.desk import Desk, Limits
from kgclip.app.session import Session
from kgclip.engine.predict import Recognizer

pytest.importorskip("gradio", reason="gradio is absent: pip install 'kgclip[app]'")


def test_a_model_without_movements_has_no_editor(clip_only_model: Path, clips: list[Path], tmp_path: Path):
    from kgclip.app.page import Page

    uploads = tmp_path / "uploads"
    (uploads / "1").mkdir(parents=True)
    sent = Path(shutil.copy(clips[0], uploads / "1"))
    desk = Desk(Recognizer.from_pretrained(clip_only_model), Limits(), uploads)
    page = Page(desk, {})
    assert not page.editable
    shown = page.sent(Session(), sent)
    assert set(shown) == {page.session, page.said, page.rank, page.page}
    assert clips[0].name in shown[page.rank]
    assert "<iframe" in shown[page.page]
    assert not sent.exists()
    assert "no file is chosen" in next(page.all_of(Session(), []))
    desk.close()
