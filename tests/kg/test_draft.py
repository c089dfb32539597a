"""A file of definitions for a person to fill in: readable as it is written, and after every # is taken away."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from kgclip.kg.draft import MOST_SUGGESTED, draft_definitions
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.names import plain_name, spelling_key
from kgclip.kg.shipped import shipped_definitions


def seen_of(shares: dict[str, dict[str, float]]) -> KnowledgeGraph:
    edges = [Edge(action, "consists_of", name, share) for action, of in shares.items() for name, share in of.items()]
    return KnowledgeGraph.from_edges(edges)


def shares_in(text: str, folder: Path) -> dict[str, dict[str, float]]:
    (folder / "d.yaml").write_text(text, encoding="utf-8")
    shares: dict[str, dict[str, float]] = {}
    for edge in read_definitions(folder / "d.yaml").edges("consists_of"):
        shares.setdefault(edge.head, {})[edge.tail] = round(edge.support, 3)
    return shares


def test_every_shipped_definition_is_written_as_it_is(tmp_path: Path):
    shipped = shipped_definitions()
    draft = draft_definitions(sorted(shipped))
    assert shares_in(draft.text, tmp_path) == {action: of.shares for action, of in shipped.items()}
    assert (draft.shipped, draft.seen, draft.unknown) == (tuple(sorted(shipped)), (), ())
    assert "seen" not in draft.text


def test_an_action_has_the_name_of_the_data_set(tmp_path: Path):
    draft = draft_definitions(["Pullup"])
    assert list(shares_in(draft.text, tmp_path)) == ["Pullup"]
    assert "\nPullup:  # from kgclip's kinetics_tps.yaml, as 'pull ups'\n" in draft.text


SEEN = {
    "squat": {"left leg bend": 0.804, "hip turn": 0.5, "head nod": 0.1},
    "fly": {"left arm swing": 0.9049, "right arm swing": 0.8, "head nod": 0.1, "left leg bend": 0.1},
    "glide": {"head nod": 0.1},
}


def test_what_is_seen_stands_beside_what_is_known_and_alone_where_nothing_is(tmp_path: Path):
    draft = draft_definitions(["fly", "glide", "hover", "squat"], seen_of(SEEN))
    assert (draft.shipped, draft.seen, draft.unknown) == (("squat",), ("fly",), ("glide", "hover"))
    assert shares_in(draft.text, tmp_path) == {
        "fly": {"left arm swing": 0.9, "right arm swing": 0.8},
        "squat": shipped_definitions()["squat"].shares,
    }
    lines = draft.text.splitlines()
    assert ["left", "leg", "bend:", "0.6", "#", "seen", "0.80,", "mean", "0.30"] in [line.split() for line in lines]
    assert "  #hip turn: 0.5".ljust(34) + "  # seen 0.50, mean 0.17" in lines
    assert not any("head nod" in line for line in lines)
    assert any(line.startswith("#glide:  # its clips show no movement more than") for line in lines)
    assert any(line.startswith("#hover:  # nothing is known of it; take the # away") for line in lines)


def test_movements_whose_mark_is_taken_away_count(tmp_path: Path):
    text = draft_definitions(["fly", "squat"], seen_of(SEEN)).text
    assert shares_in(text.replace("  #hip", "  hip"), tmp_path)["squat"]["hip turn"] == 0.5


def test_an_entry_that_is_filled_in_counts(tmp_path: Path):
    text = draft_definitions(["hover"]).text
    with pytest.raises(KgclipError, match="expected actions with lists of movements"):
        shares_in(text, tmp_path)
    assert shares_in(text.replace("#hover:", "hover:") + "  hip sit: 0.5\n", tmp_path) == {"hover": {"hip sit": 0.5}}


def test_the_movements_that_tell_most_are_suggested(tmp_path: Path):
    many = {f"left hand hold {letter}": round(0.3 + i / 100, 2) for i, letter in enumerate("abcdefghijkl")}
    suggested = shares_in(draft_definitions(["fly", "glide"], seen_of({**SEEN, "fly": many})).text, tmp_path)["fly"]
    assert suggested == dict(list(many.items())[-MOST_SUGGESTED:])


def test_the_words_are_at_the_top():
    free = draft_definitions(["squat"]).text
    assert "#   leg     kick, step on, step, raise, bend, stand, unbend\n" in free
    assert "own list" not in free
    assert "not in the data set's list" not in free
    own = draft_definitions(["squat"], states=["bend", "claw", "none", "sit"], objects=["none", "ball", "bench"]).text
    assert "#   leg     bend\n" in own
    assert "#   foot" not in own
    assert "# others    of this data set's own list:\n#   claw\n" in own
    assert "# objects   of this data set's own list:\n#   ball, bench\n" in own
    assert "  left leg stand: 0.3               # not in the data set's list\n" in own
    assert "  hip sit: 0.3\n" in own
    assert "# objects   this data set names none\n" in draft_definitions(["squat"], objects=["none"]).text


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"]), min_size=1, max_size=40),
        max_size=4,
    )
)
def test_any_name_of_an_action_is_readable(tmp_path_factory: pytest.TempPathFactory, names: list[str]):
    actions = sorted({spelling_key(name): plain_name(name) for name in ("push up", *names)}.values())
    actions = [action for action in actions if action]
    seen = seen_of({action: {"left hand hold a: b": 0.5} for action in actions if action != "push up"})
    draft = draft_definitions([*actions, "jump"], seen)
    shares = shares_in(draft.text, tmp_path_factory.mktemp("draft"))
    assert set(shares) == {*draft.shipped, *draft.seen}


@pytest.mark.parametrize(
    "name", ["on", "null", "1", "a: b", "#x", "'", '"', "hurling (sport)", "- a", "[x]", "ü", "x" * 250]
)
def test_names_that_yaml_reads_as_something_else(name: str, tmp_path: Path):
    seen = seen_of({name: {"left hand hold": 0.5, "left hand hold #1": 0.5}, "jump": {}, "run": {"hip sit": 0.5}})
    draft = draft_definitions([name, "run"], seen)
    assert shares_in(draft.text, tmp_path)[name] == dict.fromkeys(("left hand hold", "left hand hold #1"), 0.5) or (
        name in draft.shipped
    )
    assert "run" in shares_in(draft_definitions([name, "run"]).text, tmp_path)
