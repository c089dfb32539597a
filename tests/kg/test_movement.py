import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS, Movement, mirror, part_index

WORDS = st.lists(st.sampled_from(["left", "right", "arm", "head", "bright", "leftover", "hold"]), min_size=1)


@pytest.mark.parametrize(
    ("name", "movement"),
    [
        ("left arm bend", Movement("left arm", "bend")),
        ("right hand hold baseball bat", Movement("right hand", "hold", "baseball bat")),
        ("head nod", Movement("head", "nod")),
        ("left foot step on bench", Movement("left foot", "step", "on bench")),
    ],
)
def test_parse_reads_one_word_states(name: str, movement: Movement):
    assert Movement.parse(name) == movement
    assert movement.name == name


@pytest.mark.parametrize("states", [("step", "step on"), ("step on", "step")])
def test_parse_takes_the_longest_state(states: tuple[str, ...]):
    assert Movement.parse("left foot step on bench", states) == Movement("left foot", "step on", "bench")
    assert Movement.parse("left foot step on", states) == Movement("left foot", "step on")
    assert Movement.parse("left foot step ladder", states) == Movement("left foot", "step", "ladder")
    assert Movement.parse("left foot step onwards", states) == Movement("left foot", "step", "onwards")
    assert Movement.parse("left foot drag", states) == Movement("left foot", "drag")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("arm bend", "did you mean 'left arm bend' or 'right arm bend'?"),
        ("leftarm bend", "did you mean 'left arm bend'?"),
        ("Left arm bend", "did you mean 'left arm bend'?"),
        ("", "expected one of head, hip, left arm"),
        ("left arm", "expected one of head, hip, left arm"),
    ],
)
def test_parse_refuses_a_name_without_a_part(name: str, hint: str):
    with pytest.raises(KgclipError, match=re.escape(f"starts with no body part; {hint}")):
        Movement.parse(name)


@pytest.mark.parametrize("name", ["left arm ", "head  nod"])
def test_parse_refuses_a_name_without_a_state(name: str):
    with pytest.raises(KgclipError, match="no state after the body part"):
        Movement.parse(name)


@given(st.sampled_from(PARTS), st.sampled_from(["bend", "hold"]), st.none() | st.sampled_from(["ball", "toilet paper"]))
def test_parse_undoes_name(part: str, state: str, thing: str | None):
    movement = Movement(part, state, thing)
    assert Movement.parse(movement.name) == movement


def test_movements_sort_with_and_without_an_object():
    assert sorted([Movement("hip", "bend", "x"), Movement("hip", "bend"), Movement("head", "nod")]) == [
        Movement("head", "nod"),
        Movement("hip", "bend"),
        Movement("hip", "bend", "x"),
    ]


@given(WORDS.map(" ".join))
def test_mirror_is_an_involution(name: str):
    assert mirror(mirror(name)) == name


def test_mirror_swaps_sides_and_nothing_else():
    assert mirror("left hand hold leftover") == "right hand hold leftover"
    assert mirror("right arm bend") == "left arm bend"
    assert mirror("head nod") == "head nod"
    assert mirror("hip stoop") == "hip stoop"
    assert {mirror(part) for part in PARTS} == set(PARTS)


def test_part_index_points_into_parts():
    index = part_index([f"{part} bend" for part in reversed(PARTS)])
    np.testing.assert_array_equal(index, np.arange(10)[::-1])
    assert part_index([]).dtype == np.int64
    with pytest.raises(KgclipError, match="no body part"):
        part_index(["tail wag"])
