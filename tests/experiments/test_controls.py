"""Wrong graphs: what they keep of the right one, and what they must not."""

from collections import Counter
from collections.abc import Callable

import pytest

from experiments.controls import shuffle_consists_of, shuffle_shows, with_shipped
from kgclip.errors import KgclipError, LeakageError
from kgclip.kg.build import project
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.shipped import find_shipped

ACTIONS = ("bow", "clap", "row", "written")
SETS = {
    "bow": ("hip stoop", "head bend"),
    "clap": ("left hand clap", "right hand clap"),
    "row": ("left arm pull left oar", "right arm pull right oar", "hip sit"),
}


def graph() -> KnowledgeGraph:
    """Three clips of each of three actions, of which the last has no label, a clip without movements, a parsing."""
    clips = [(f"{action} {i}", action, i) for action in SETS for i in range(3)]
    performs = [Edge(clip, "performs", action) for clip, action, i in clips if i < 2]
    shows = [
        Edge(clip, "shows", movement, 1 / (i + 1 + j), ((1, 2 + i),))
        for clip, action, i in clips
        for j, movement in enumerate(SETS[action])
    ]
    own = KnowledgeGraph.from_edges([*performs, *shows])
    parsing = [Edge("written", "consists_of", "hip stoop", 0.5)]
    edges = [*performs, *shows, *project(own), *parsing]
    return KnowledgeGraph.from_edges(edges, isolated={"video": ["nobody"]}, split_hash="abc")


CONTROLS = (shuffle_shows, shuffle_consists_of)
Control = Callable[[KnowledgeGraph, int], KnowledgeGraph]


def counts(edges: list[Edge], end: str) -> Counter[str]:
    return Counter(getattr(edge, end) for edge in edges)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_keeps_entities_labels_counts_and_split(control: Control):
    right, wrong = graph(), control(graph(), 3)
    assert wrong.entities("video") == right.entities("video")
    assert wrong.entities("action") == right.entities("action")
    assert len(wrong.entities("movement")) == len(right.entities("movement"))
    assert wrong.edges("performs") == right.edges("performs")
    assert len(wrong.edges("shows")) == len(right.edges("shows"))
    supports = [sorted(edge.support for edge in g.edges("shows")) for g in (right, wrong)]
    assert supports[0] == supports[1]
    assert wrong.split_hash == "abc"
    assert wrong.rule["seed"] == 3


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_depends_on_the_seed_alone(control: Control):
    assert control(graph(), 5).hash == control(graph(), 5).hash
    assert len({control(graph(), seed).hash for seed in range(5)}) > 1


@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_brings_a_clip_in(control: Control):
    wrong = control(graph(), 0)
    wrong.check_no_leakage(["test clip"], "test")
    with pytest.raises(LeakageError):
        wrong.check_no_leakage(["nobody"], "test")


def test_shuffled_movements_are_whole_sets_of_other_clips():
    right, wrong = graph(), shuffle_shows(graph(), 1)

    def sets(g: KnowledgeGraph) -> dict[str, tuple]:
        clips = g.entities("video")
        return {c: tuple((e.tail, e.support, e.frames) for e in g.edges("shows") if e.head == c) for c in clips}

    before, after = sets(right), sets(wrong)
    assert sorted(before.values()) == sorted(after.values())
    assert after["nobody"] == ()
    assert all(before[clip] != after[clip] for clip in before if clip != "nobody")
    assert counts(right.edges("shows"), "tail") == counts(wrong.edges("shows"), "tail")


def test_actions_consist_of_what_their_clips_now_show():
    wrong = shuffle_shows(graph(), 1)
    own = [edge for edge in wrong.edges("consists_of") if edge.head != "written"]
    expected = {(edge.head, edge.tail): edge.support for edge in project(wrong)}
    assert {(edge.head, edge.tail): edge.support for edge in own} == pytest.approx(expected)
    assert [edge for edge in wrong.edges("consists_of") if edge.head == "written"] == [
        Edge("written", "consists_of", "hip stoop", 0.5)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_no_action_keeps_what_it_consists_of(seed: int):
    right, wrong = graph(), shuffle_consists_of(graph(), seed)
    assert wrong.edges("shows") == right.edges("shows")
    tables = [g.adjacency("consists_of", ACTIONS, g.entities("movement")) for g in (right, wrong)]
    assert sorted(map(tuple, tables[0])) == sorted(map(tuple, tables[1]))
    assert not (tables[0] == tables[1]).all(axis=1).any()


def test_one_action_cannot_be_shuffled():
    alone = KnowledgeGraph.from_edges([Edge("clip", "shows", "hip stoop"), Edge("bow", "consists_of", "hip stoop")])
    with pytest.raises(KgclipError, match="nothing can be shuffled"):
        shuffle_consists_of(alone, 0)
    with pytest.raises(KgclipError, match="nothing can be shuffled"):
        shuffle_shows(alone, 0)


def test_actions_without_a_clip_get_the_definition_that_ships_and_others_keep_theirs():
    edges = [
        Edge("v", "performs", "clap"),
        Edge("v", "shows", "left hand hold", 0.5),
        Edge("clap", "consists_of", "left hand hold", 0.5),
        Edge("squat", "consists_of", "head nod", 1.0),
    ]
    graph = with_shipped(KnowledgeGraph.from_edges(edges), 0)
    of = {name: {e.tail: e.support for e in graph.edges("consists_of") if e.head == name} for name in ("clap", "squat")}
    assert of["clap"] == {"left hand hold": 0.5}
    shipped = find_shipped("squat")
    assert shipped is not None
    assert of["squat"] == pytest.approx(dict(shipped.shares))
