"""Errors speak to a person in one line, whatever they quote."""

import pickle

import pytest

from kgclip.errors import MOST_AT_END, MOST_AT_START, KgclipError, LeakageError


@pytest.mark.parametrize("kind", [KgclipError, LeakageError])
def test_what_is_quoted_stays_on_the_line(kind: type[KgclipError]) -> None:
    error = kind("config.json: pools by mean_tok\ns\x1b[2J\u202e, expected mean or cls; use another encoder")
    text = "config.json: pools by mean_tok\\ns\\x1b[2J\\u202e, expected mean or cls; use another encoder"
    assert str(error) == text
    # As it comes back from another process.
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_a_long_quotation_leaves_the_file_and_the_advice() -> None:
    text = str(KgclipError(f"graph.tsv: the relation {'x' * 10**6} is unknown; remove its rows"))
    assert text.startswith("graph.tsv: the relation xxx")
    assert text.endswith("xxx is unknown; remove its rows")
    assert len(text) == MOST_AT_START + MOST_AT_END + len(" … ")


def test_a_sentence_stays_as_it_is() -> None:
    text = "Übung „Kniebeuge“ — clip.mp4: needs 8 frames, decoded 3; lower --frames or drop the file"
    assert str(KgclipError(text)) == text
