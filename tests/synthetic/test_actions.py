import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import (
    STATES_OF,
    actions,
    decode,
    encode,
    kind_of,
    options,
    parse,
    random_codes,
)
from kgclip.synthetic.vocabulary import OBJECTS, STATES, on_disk

KINETICS_TPS = """
belly_dancing capoeira clean_and_jerk country_line_dancing crawling_baby deadlifting front_raises hammer_throw
hitting_baseball hopscotch hurling_(sport) juggling_balls lunge pull_ups punching_bag push_up riding_mechanical_bull
salsa_dancing skateboarding skipping_rope snatch_weight_lifting surfing_crowd throwing_discus tobogganing
"""


def test_actions_are_those_of_kinetics_tps():
    assert [on_disk(action) for action in actions()] == KINETICS_TPS.split()


def test_actions_differ_pairwise():
    codes = encode(list(actions().values()))
    assert len(np.unique(codes, axis=0)) == 24


@pytest.mark.parametrize(
    ("first", "second"),
    [("deadlifting", "clean and jerk"), ("deadlifting", "snatch weight lifting"), ("lunge", "hopscotch"),
     ("clean and jerk", "snatch weight lifting"), ("salsa dancing", "belly dancing"), ("capoeira", "crawling baby")],
)  # fmt: skip
def test_close_actions_differ_in_one_to_three_parts(first: str, second: str):
    codes = encode([actions()[first], actions()[second]])
    assert 1 <= (codes[0] != codes[1]).sum() <= 3


def test_vocabulary_has_the_size_of_kinetics_tps():
    assert (len(STATES), len(set(STATES)), len(OBJECTS), len(set(OBJECTS))) == (74, 74, 75, 75)


def test_every_state_and_object_is_in_the_vocabulary():
    for kind, states in STATES_OF.items():
        assert options(kind)[0] == ("none", None)
        assert set(states) <= set(STATES)
        assert {thing for things in states.values() for thing in things if thing} <= set(OBJECTS)


def test_vocabulary_covers_the_published_graph(shared_data):
    movements = {line.split("\t")[2] for line in _lines(shared_data / "kinetics-tps-kg/video_shows_movement.tsv")}
    for movement in movements:
        rest = next(movement[len(part) + 1 :] for part in PARTS if movement.startswith(f"{part} "))
        state = max((s for s in STATES if rest == s or rest.startswith(f"{s} ")), key=len)
        assert rest == state or rest[len(state) + 1 :] in OBJECTS


def _lines(path):
    return path.read_text().splitlines()


@given(st.integers(0, 2**32))
def test_codes_and_compositions_are_two_writings_of_one_thing(seed: int):
    codes = random_codes(np.random.default_rng(seed), 5)
    compositions = decode(codes)
    assert all(set(composition) == set(PARTS) for composition in compositions)
    np.testing.assert_array_equal(encode(compositions), codes)


def test_absent_parts_rest():
    assert decode(encode([{"left arm": ("bend", None)}]))[0]["right arm"] == ("none", None)


@pytest.mark.parametrize("composition", [{"tail": ("bend", None)}, {"head": ("hold", None)}, {"hip": ("sit", "ball")}])
def test_what_a_part_cannot_do_is_refused(composition):
    with pytest.raises(KgclipError, match="cannot do"):
        encode([composition])


def test_random_codes_draw_every_state_alike_and_couple_limbs():
    codes = random_codes(np.random.default_rng(0), 20_000, symmetry=0.5)
    for column, part in enumerate(PARTS):
        states = [options(kind_of(part))[code][0] for code in codes[:, column]]
        shares = np.array([states.count(state) for state in STATES_OF[kind_of(part)]]) / len(states)
        np.testing.assert_allclose(shares, 1 / len(shares), atol=0.015)
    alike = codes[:, PARTS.index("left leg")] == codes[:, PARTS.index("right leg")]
    assert alike.mean() == pytest.approx(0.5 + 0.5 / 11, abs=0.02)


def test_no_two_actions_share_all_left_and_right_swapped():
    # A flipped clip with left and right swapped in its movements must not turn into another action.
    swapped = [{_swap(part): does for part, does in c.items()} for c in actions().values()]
    codes, mirrored = encode(list(actions().values())), encode(swapped)
    for i, j in combinations(range(24), 2):
        assert (codes[i] != mirrored[j]).any()


def _swap(part: str) -> str:
    side, _, limb = part.partition(" ")
    return f"{ {'left': 'right', 'right': 'left'}[side] } {limb}" if limb else part


def test_the_documented_actions_are_the_actions():
    page = (Path(__file__).parents[2] / "docs/synthetic.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z() ]+) \| ([a-z ;]+) \|$", page, flags=re.MULTILINE))
    assert {action: parse(rows[action]) for action in actions()} == actions()


def test_the_documented_states_are_the_states():
    page = (Path(__file__).parents[2] / "docs/synthetic.md").read_text()
    for kind, states in STATES_OF.items():
        (row,) = re.findall(rf"^\| {kind} \| (.+) \|$", page, flags=re.MULTILINE)
        told = re.findall(r"([a-z ]+?)(?: \(([^)]*)\))?(?:, |$)", row)
        expected = {state: tuple(thing or "–" for thing in things) for state, things in states.items()}
        assert {state: tuple(things.split(", ")) if things else ("–",) for state, things in told} == expected
