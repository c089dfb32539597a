"""The order of movements in time."""

import numpy as np
import pytest

from kgclip.search import moments
from kgclip.search.moments import find_moments, strongest
from kgclip.search.query import MovementQuery, Relation
from kgclip.search.rows import Places, Seen, Spans

A, B, C = 0, 1, 2


@pytest.mark.parametrize(
    ("relation", "first", "second", "holds"),
    [
        ("before", (0, 1), (2, 3), True),
        ("before", (0, 2), (2, 3), False),
        ("before", (2, 3), (0, 1), False),
        ("then", (0, 2), (1, 3), True),
        ("then", (0, 3), (1, 2), False),
        ("then", (1, 3), (1, 4), False),
        ("with", (0, 2), (1, 3), True),
        ("with", (0, 1), (2, 3), False),
        ("with", (0, 2), (2, 3), True),
        ("and", (2, 3), (0, 1), True),
    ],
)
def test_relations(relation: Relation, first: tuple[int, int], second: tuple[int, int], holds: bool):
    seen = [Seen(A, *map(float, first), 0.9), Seen(B, *map(float, second), 0.8)]
    assert bool(strongest(MovementQuery((A, B), (relation,)), seen)) is holds


def test_the_times_whose_weakest_is_strongest_are_taken():
    seen = [
        Seen(A, 0.0, 1.0, 0.6),
        Seen(B, 2.0, 3.0, 0.9),
        Seen(A, 4.0, 5.0, 0.8),
        Seen(B, 6.0, 7.0, 0.7),
        Seen(C, 8.0, 9.0, 1.0),
    ]
    query = MovementQuery((A, B, C), ("before", "before"))
    assert strongest(query, seen) == (seen[2], seen[3], seen[4])


def test_one_time_is_not_two():
    query = MovementQuery((A, A), ("and",))
    once = [Seen(A, 0.0, 1.0, 0.6)]
    assert strongest(query, once) == ()
    assert len(strongest(query, [*once, Seen(A, 3.0, 4.0, 0.6)])) == 2


def test_clips_are_ranked_and_those_that_show_it_otherwise_are_counted():
    places = Places(np.arange(4), np.array(["x", "y", "z", "z"], object), np.zeros(4), np.ones(4))
    rows, movements = np.array([0, 0, 1, 1, 2, 3]), np.array([A, B, B, A, A, B])
    starts, strengths = np.array([0.0, 2, 0, 2, 0, 2]), np.array([0.6, 0.9, 0.9, 0.9, 0.7, 0.8])
    spans = Spans(rows, movements, starts, starts + 1, strengths)
    matches = find_moments(MovementQuery((A, B), ("before",)), places, spans)
    assert [match.clip for match in matches.found] == ["z", "x"]
    assert [match.strength for match in matches.found] == [0.7, 0.6]
    assert matches.showing == (3, 3, 3)
    assert find_moments(MovementQuery((C,), ()), places, spans).found == []


def test_of_very_many_times_the_strongest_are_paired(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(moments, "MOST_TIMES", 3)
    seen = [Seen(m, float(n), n + 0.5, n / 10) for n in range(1, 8) for m in (0, 1)]
    found = strongest(MovementQuery((0, 1), ("before",)), seen)
    assert found == (Seen(0, 6.0, 6.5, 0.6), Seen(1, 7.0, 7.5, 0.7))
    assert moments._of_movement(seen, 0) == [item for item in seen if item.movement == 0][-3:]
