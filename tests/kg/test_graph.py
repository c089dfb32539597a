import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.errors import KgclipError, LeakageError
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS

EDGES = [
    Edge("clip", "performs", "jump"),
    Edge("clip", "shows", "left leg bend", 0.5, ((11, 16), (1, 6))),
    Edge("jump", "consists_of", "left leg bend", 0.25),
]


@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_order_does_not_matter(draw_edges, data: st.DataObject):
    edges = draw_edges(data)
    shuffled = [edges[i] for i in data.draw(st.permutations(range(len(edges))))]
    assert KnowledgeGraph.from_edges(edges).hash == KnowledgeGraph.from_edges(shuffled).hash


@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_arrays_are_sorted_unique_and_consistent(draw_graph, data: st.DataObject):
    graph = draw_graph(data)
    entities = list(zip(graph.kinds.tolist(), graph.names, strict=True))
    rows = graph.triples.tolist()
    assert entities == sorted(set(entities))
    assert rows == sorted(map(list, set(map(tuple, rows))))
    for (head, relation, tail), frames in zip(rows, graph.frames, strict=True):
        kinds = (ENTITY_KINDS[graph.kinds[head]], ENTITY_KINDS[graph.kinds[tail]])
        assert kinds == (RELATIONS[relation].head, RELATIONS[relation].tail)
        assert all(after[0] > before[1] + 1 for before, after in itertools.pairwise(frames))
    assert np.all((graph.support > 0) & (graph.support <= 1))
    assert sum(len(graph.entities(kind)) for kind in ENTITY_KINDS) == len(graph.names)


@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_adjacency_agrees_with_the_edges(draw_graph, data: st.DataObject):
    graph = draw_graph(data)
    relation = data.draw(st.sampled_from(RELATIONS))
    heads, tails = (
        data.draw(st.lists(st.sampled_from([*graph.entities(kind), "absent"]), max_size=6))
        for kind in (relation.head, relation.tail)
    )
    support = {(edge.head, edge.tail): edge.support for edge in graph.edges(relation.name)}
    expected = np.array([[support.get((head, tail), 0) for tail in tails] for head in heads], dtype=np.float32)
    np.testing.assert_array_equal(
        graph.adjacency(relation.name, heads, tails), expected.reshape(len(heads), len(tails)), strict=True
    )


def test_every_part_of_the_content_is_in_the_hash():
    build = KnowledgeGraph.from_edges
    graphs = [
        build(EDGES),
        build(EDGES[:2]),
        build([*EDGES, Edge("jump", "consists_of", "left leg bend", 0.5)]),
        build([*EDGES, Edge("clip", "shows", "left leg bend", 0.5, ((21, 21),))]),
        build(EDGES, isolated={"video": ["other"]}),
        build(EDGES, isolated={"action": ["other"]}),
        build(EDGES, rule={"source": "labels"}),
        build(EDGES, split_hash="5911"),
    ]
    assert len({graph.hash for graph in graphs}) == len(graphs)


def test_the_hash_of_a_known_graph_stays_the_same():
    # Stored graphs and results name their graph by this hash: it may change only with the format version.
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["é"]}, rule={"b": 1, "a": 0.1}, split_hash="s")
    assert graph.hash == "a60dbfab18a3cf385b02f5847cb6383a61ca5db471419a456b677b120c362e4f"


def test_an_edge_given_twice_keeps_the_larger_support_and_all_frames():
    twice = [EDGES[1], Edge("clip", "shows", "left leg bend", 0.75, ((5, 8), (17, 17)))]
    (edge,) = KnowledgeGraph.from_edges(twice).edges("shows")
    assert edge == Edge("clip", "shows", "left leg bend", 0.75, ((1, 8), (11, 17)))


def test_a_name_may_occur_in_two_kinds():
    graph = KnowledgeGraph.from_edges([Edge("jump", "performs", "jump"), Edge("jump", "consists_of", "left leg bend")])
    assert graph.names == ("jump", "jump", "left leg bend")
    assert graph.entities("video") == graph.entities("action") == ["jump"]
    assert graph.adjacency("consists_of", ["jump"], ["left leg bend"]).tolist() == [[1]]
    assert graph.adjacency("shows", ["jump"], ["left leg bend"]).tolist() == [[0]]


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_heads_are_those_of_the_edges(draw_graph, data: st.DataObject):
    graph = draw_graph(data)
    for name in (relation.name for relation in RELATIONS):
        assert graph.heads(name) == sorted({edge.head for edge in graph.edges(name)})


def test_isolated_entities_are_only_those_without_edges():
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["clip", "alone"], "movement": []})
    assert graph.entities("video") == ["alone", "clip"]
    assert graph.isolated() == {"video": ["alone"]}


def test_leakage_is_an_error_that_names_three_clips():
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["d", "b", "c"]})
    graph.check_no_leakage(["x", "jump", "left leg bend"], "test clips")
    with pytest.raises(LeakageError, match=r"holds 4 of the test clips \(b, c, clip, \.\.\.\); build it from"):
        graph.check_no_leakage(["x", "d", "clip", "b", "c", "b"], "test clips")
    with pytest.raises(LeakageError, match=r"holds 1 of the test clips \(d\);"):
        graph.check_no_leakage(["d"], "test clips")


@pytest.mark.parametrize(
    ("edge", "problem"),
    [
        (Edge("a", "knows", "b"), "unknown relation 'knows'; expected one of performs, shows, consists_of"),
        (Edge("a", "shows", "b", 0.0), r"support 0.0 is outside \(0, 1\]"),
        (Edge("a", "shows", "b", 1.5), r"support 1.5 is outside \(0, 1\]"),
        (Edge("a", "shows", "b", float("nan")), "support nan is outside"),
        (Edge("a", "shows", "b", 1.0, ((6, 1),)), "frame range 6 to 1 is not one"),
        (Edge("a", "shows", "b", 1.0, ((0, 1),)), "frames count from 1"),
        (Edge("", "shows", "b"), "entity name '': empty"),
        (Edge("a\tb", "shows", "b"), "with a control character"),
        (Edge("a", "shows", "\udcff"), "with a control character"),
    ],
)
def test_an_impossible_edge_is_refused(edge: Edge, problem: str):
    with pytest.raises(KgclipError, match=problem):
        KnowledgeGraph.from_edges([edge])


def test_an_unknown_kind_is_refused():
    with pytest.raises(KgclipError, match="unknown kind of entity 'clip'; expected one of video, action, movement"):
        KnowledgeGraph.from_edges([], isolated={"clip": ["a"]})
