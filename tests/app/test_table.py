"""Tables to take away, and pieces of the page, with names of any kind in them."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.app import parts
from kgclip.app.session import Answer, Edits
from kgclip.app.table import COLUMNS, Row, as_csv
from kgclip.engine.edit import Definition
from kgclip.engine.explanation import Explanation
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.visible import visible

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def explained(talkative_model: Path, clips: list[Path]) -> Explanation:
    return Recognizer.from_pretrained(talkative_model).predict(clips[0])


def named(explanation: Explanation, action: str) -> Explanation:
    first, *others = explanation.actions
    return replace(explanation, actions=(replace(first, action=action), *others))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(explained: Explanation, name: str):
    rows = [Row(name, named(explained, name)), Row(name, KgclipError(f"{name}: is no video"))]
    read = list(csv.reader(io.StringIO(as_csv(rows), newline="")))
    assert tuple(read[0]) == COLUMNS
    assert read[1][:3] == [f"'{name}"] * 3
    assert float(read[1][3]) == pytest.approx(explained.actions[0].probability, abs=1e-4)
    # What an error quotes is made visible, and a backslash starts no formula.
    said = f"'{name}: is no video" if name.isprintable() else f"{visible(name)}: is no video"
    assert read[2] == [f"'{name}", "", "", "", "", "", "", said]


def test_names_are_text(explained: Explanation):
    hostile = named(replace(explained, file=HOSTILE), HOSTILE)
    edits = Edits((Definition(HOSTILE, (HOSTILE,)),), {HOSTILE: (HOSTILE,)})
    pieces = [
        parts.ranking(Answer(explained, hostile, ""), edits),
        parts.edit_list(edits),
        parts.complaint(KgclipError(HOSTILE)),
        parts.explanation_frame(f"<html><body>{HOSTILE}</body></html>", HOSTILE),
        parts.results([Row(HOSTILE, hostile)], 1),
    ]
    assert all("<img" not in piece for piece in pieces)
    assert all("&lt;img" in piece for piece in pieces)


def test_what_has_changed_is_said(explained: Explanation):
    other = named(explained, "squat")
    edits = Edits((Definition("squat", ("hip upturn",)),))
    first = explained.actions[0].action
    changed = parts.ranking(Answer(explained, other, ""), edits)
    assert f"With your definitions squat comes first, in place of {first}." in changed
    assert "<td>new</td>" in changed
    assert f"the first place stays {first}" in parts.ranking(Answer(explained, explained, ""), edits)
    assert "before" not in parts.ranking(Answer(explained, explained, ""), Edits())


def test_the_file_is_there_when_all_is_done(explained: Explanation):
    rows = [Row("a.mp4", explained)]
    assert "1 of 2 done" in parts.results(rows, 2)
    assert "download" not in parts.results(rows, 2)
    assert 'download="kgclip.csv"' in parts.results(rows, 1)
