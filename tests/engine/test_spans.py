"""Spans by hysteresis, on probabilities written by hand."""

import pytest
import torch

from kgclip.engine.explain import window_rows
from kgclip.engine.spans import Span, SpanFinder, SpanRule, Window
from kgclip.models.evidence import WINDOW

RULE = SpanRule(enter=0.6, leave=0.4, merge_s=1.0, least_s=1.0)


def found(*probability: tuple[float, float], rule: SpanRule = RULE) -> list[tuple[int, float, float, float]]:
    """Spans of windows of 2 s, 1 s apart."""
    finder, spans = SpanFinder[int](rule), list[Span[int]]()
    for number, pair in enumerate(probability):
        spans += finder.add(Window(float(number), number + 2.0, torch.tensor(pair), number))
    spans += finder.close()
    return [(s.action, s.start_s, s.end_s, round(s.probability, 3)) for s in spans]


NONE, LOW, HIGH, BEST, OTHER = (0.1, 0.1), (0.5, 0.1), (0.7, 0.1), (0.9, 0.1), (0.2, 0.8)


def test_a_span_starts_high_and_ends_low():
    assert found(NONE, LOW, HIGH, LOW, BEST, LOW, NONE, NONE) == [(0, 2.5, 6.5, 0.9)]
    assert found(NONE, LOW, LOW) == []


def test_at_the_ends_of_a_film_spans_reach_as_far_as_their_windows():
    assert found(HIGH, HIGH) == [(0, 0.0, 3.0, 0.7)]


def test_a_film_shorter_than_the_shortest_span_may_be_one():
    strict = SpanRule(0.6, 0.4, 1.0, 9.0)
    assert found(HIGH, BEST, rule=strict) == [(0, 0.0, 3.0, 0.9)]
    assert found(HIGH, BEST, NONE, NONE, rule=strict) == []


def test_another_action_ends_a_span():
    assert found(BEST, BEST, BEST, OTHER, OTHER, NONE) == [(0, 0.0, 3.5, 0.9), (1, 3.5, 5.5, 0.8)]


def test_short_gaps_are_closed_and_short_spans_dropped():
    assert found(NONE, HIGH, NONE, BEST, NONE, NONE, NONE) == [(0, 1.5, 4.5, 0.9)]
    apart = found(NONE, HIGH, NONE, NONE, BEST, NONE, NONE)
    assert apart == [(0, 1.5, 2.5, 0.7), (0, 4.5, 5.5, 0.9)]
    strict = SpanRule(0.6, 0.4, 0.5, 1.5)
    assert found(NONE, HIGH, NONE, NONE, BEST, BEST, NONE, rule=strict) == [(0, 4.5, 6.5, 0.9)]


def test_a_short_other_action_does_not_part_a_span():
    strict = SpanRule(0.6, 0.4, 1.0, 1.5)
    assert found(BEST, BEST, OTHER, BEST, BEST, NONE, NONE, rule=strict) == [(0, 0.0, 5.5, 0.9)]


def test_a_span_is_given_as_soon_as_nothing_can_change_it():
    finder = SpanFinder[int](RULE)
    windows = [HIGH, HIGH, NONE, NONE, NONE, NONE]
    given = [len(list(finder.add(Window(float(i), i + 2.0, torch.tensor(p), i)))) for i, p in enumerate(windows)]
    assert given == [0, 0, 0, 0, 1, 0]
    assert list(finder.close()) == []


@pytest.mark.parametrize("num_frames", range(1, 20))
def test_every_frame_that_was_read_is_in_a_window(num_frames: int):
    rows = window_rows(num_frames)
    assert {frame for first, last in rows for frame in range(first, last + 1)} == set(range(num_frames))
    assert {last - first + 1 for first, last in rows} == {min(WINDOW, num_frames)}
