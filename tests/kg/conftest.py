"""Graphs that several tests of kg/ look at."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import strategies as st

from kgclip.kg.formats.triples import read_triples
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.observations import FRAMES_SCHEMA, PARTS_SCHEMA, Observations
from kgclip.kg.schema import RELATIONS

NAMES = {
    "video": ["clip 1", "clip 2", "-x_000001_000011", "push up", "été"],
    "action": ["push up", "jump", "hurling (sport)"],
    "movement": ["left arm bend", "right hand hold ball", "head nod", "hip <&> stoop"],
}


RANGES = st.tuples(st.integers(1, 30), st.integers(0, 5)).map(lambda span: (span[0], sum(span)))


@pytest.fixture(scope="session")
def draw_edges() -> Callable[[st.DataObject], list[Edge]]:
    """Draw edges in any order, some of them given twice with different evidence; one name is in two kinds.

    Strategies yield plain values only, made into edges here: beartype samples with ``random``, which hypothesis forbids
    inside a strategy.
    """
    rows = [
        st.tuples(
            st.sampled_from(NAMES[relation.head]),
            st.just(relation.name),
            st.sampled_from(NAMES[relation.tail]),
            st.floats(1e-3, 1),
            st.lists(RANGES, max_size=3 if relation.name == "shows" else 0).map(tuple),
        )
        for relation in RELATIONS
    ]
    lists = st.lists(st.one_of(rows), max_size=12)
    return lambda data: [Edge(*row) for row in data.draw(lists)]


@pytest.fixture(scope="session")
def draw_graph(draw_edges: Callable[[st.DataObject], list[Edge]]) -> Callable[..., KnowledgeGraph]:
    """Draw a graph with or without isolated entities, a rule and the given split hash."""
    isolated = st.fixed_dictionaries({kind: st.lists(st.sampled_from(names)) for kind, names in NAMES.items()})
    rules = st.sampled_from([{}, {"source": "labels"}, {"source": "annotations", "min_support": 0.1}])

    def draw(data: st.DataObject, split_hash: str | None = "5911") -> KnowledgeGraph:
        alone, rule = data.draw(isolated), data.draw(rules)
        return KnowledgeGraph.from_edges(draw_edges(data), isolated=alone, rule=rule, split_hash=split_hash)

    return draw


@pytest.fixture(scope="session")
def real_graph(shared_data: Path) -> KnowledgeGraph:
    """The published Kinetics-TPS graph."""
    return read_triples(shared_data / "kinetics-tps-kg")


@pytest.fixture(scope="session")
def jump_observations() -> Observations:
    """Four annotated clips that fit on a sheet of paper; the last frame of ``jump 2`` shows no human."""
    parts = [
        ("jump 1", 1, 0, "left leg", "bend", None),
        ("jump 1", 1, 0, "left hand", "others", "rope"),
        ("jump 1", 1, 0, "right arm", "lift", "none"),
        ("jump 1", 6, 0, "left leg", "bend", None),
        ("jump 1", 6, 1, "left leg", "bend", None),
        ("jump 1", 11, 0, "right hand", "hold", "ball"),
        ("jump 1", 11, 0, "hip", "others", None),
        ("jump 1", 11, 0, "left hand", "others", "none"),
        ("jump 1", 16, 1, "left leg", "bend", None),
        ("jump 1", 16, 0, "head", "none", "ball"),
        ("jump 2", 2, 0, "left leg", "bend", None),
        ("sit", 3, 0, "head", "none", None),
        ("unlabeled", 9, 0, "left leg", "bend", None),
        ("test", 1, 0, "head", "nod", None),
    ]
    frames = [("jump 1", 16), ("jump 1", 1), ("jump 1", 6), ("jump 1", 11), ("jump 2", 2), ("jump 2", 3)]
    frames += [("sit", 3), ("unlabeled", 9), ("test", 1)]
    return Observations(
        pl.DataFrame(parts, schema=PARTS_SCHEMA, orient="row"), pl.DataFrame(frames, schema=FRAMES_SCHEMA, orient="row")
    )
