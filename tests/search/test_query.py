"""What people ask is understood, or answered by a sentence that says what can be asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from kgclip.search.query import ActionQuery, ClipQuery, MovementQuery, TextQuery, Vocabulary, parse_query

VOCABULARY = Vocabulary(
    actions=("push up", "clean and jerk", "shake with dog"),
    movements=("left arm raise", "right leg kick", "hip bend", "left hand hold bow and arrow"),
    told=(True, True, False, True),
    definitions=((0,), (1,), ()),
    text=False,
)
READS_TEXT = replace(VOCABULARY, text=True)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("left arm raise", MovementQuery((0,), ())),
        ("left arm raise before right leg kick", MovementQuery((0, 1), ("before",))),
        ("Left_Arm raise  THEN right-leg kick and left arm raise", MovementQuery((0, 1, 0), ("then", "and"))),
        ("left hand hold bow and arrow with left arm raise", MovementQuery((3, 0), ("with",))),
        ("right leg kick and left hand hold bow and arrow", MovementQuery((1, 3), ("and",))),
        ("push up", ActionQuery(0)),
        ("Clean and Jerk", ActionQuery(1)),
        ("shake with dog", ActionQuery(2)),
    ],
)
def test_names_are_understood(text: str, query: object):
    assert parse_query(text, VOCABULARY) == query
    assert parse_query(text, READS_TEXT) == query


def test_a_file_is_an_example(tmp_path: Path):
    (tmp_path / "clip.mp4").touch()
    assert parse_query(str(tmp_path / "clip.mp4"), VOCABULARY) == ClipQuery(tmp_path / "clip.mp4")


def test_other_words_are_text_where_the_model_reads_it():
    assert parse_query("a dog and a cat", READS_TEXT) == TextQuery("a dog and a cat")
    long = " ".join(["a dog beside a cat"] * 40)
    assert parse_query(long, READS_TEXT) == TextQuery(long)
    with pytest.raises(KgclipError, match=r"names nothing that this index knows, and its model compares no texts"):
        parse_query("a dog and a cat", VOCABULARY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left arm rise before right leg kick", "'left arm rise': is no movement .*did you mean 'left arm raise'"),
        ("right knee kicked", "did you mean 'right leg kick'"),
        ("pushup with xyz", "'push ?up': is an action, and only movements stand beside each other"),
        ("push ups", "did you mean 'push up'"),
        ("left arm raise before zzzz", r"'zzzz': is no movement and no action of the model; ask for movements \("),
        ("hip bend", "'hip bend': the model cannot tell when this is seen.* it can of left arm raise"),
        ("gone.mp4", "gone.mp4: no such file"),
        ("", "names nothing that this index knows"),
        ("before", "names nothing that this index knows|is no movement"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(text: str, message: str):
    with pytest.raises(KgclipError, match=message) as error:
        parse_query(text, VOCABULARY)
    assert "\n" not in str(error.value)
