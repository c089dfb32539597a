import json

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.kg.build import with_projected_shares
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.stats import describe_action, graph_stats, share_cosines

EDGES = [
    Edge("a", "performs", "jump"),
    Edge("b", "performs", "jump"),
    Edge("a", "shows", "left leg bend", 0.5),
    Edge("a", "shows", "head nod", 0.5),
    Edge("b", "shows", "head nod", 0.5),
    Edge("jump", "consists_of", "left leg bend", 0.6),
    Edge("jump", "consists_of", "head nod", 0.8),
    Edge("nod", "consists_of", "head nod", 0.5),
    Edge("swim", "consists_of", "left arm swing", 0.5),
]


def test_stats_count_and_summarize():
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["c"], "action": ["rest"], "movement": ["tail wag"]})
    stats = graph_stats(graph)
    assert list(stats)[:3] == ["entities", "edges", "hash"]
    assert stats["entities"] == {"video": 3, "action": 4, "movement": 4}
    assert stats["edges"] == {"shows": 3, "consists_of": 4, "performs": 2}
    assert stats["hash"] == graph.hash
    assert stats["movements_per_action"] == {
        **{"min": 0, "median": 1.0, "max": 2},
        "by_action": {"jump": 2, "nod": 1, "rest": 0, "swim": 1},
    }
    assert stats["movements_per_video"] == {"min": 0, "median": 1.0, "max": 2}
    assert stats["videos_per_action"] == {"min": 0, "median": 0.0, "max": 2}
    assert stats["videos_without_movement"] == 1
    assert stats["most_shared_movements"][0] == {"movement": "head nod", "actions": 2}
    parts = stats["movements_by_part"]
    assert (parts["head"], parts["left leg"], parts["hip"], parts["unknown"]) == (1, 1, 0, 1)
    assert json.loads(json.dumps(stats)) == stats


def test_an_empty_graph_has_stats():
    stats = graph_stats(KnowledgeGraph.from_edges([]))
    assert stats["entities"] == {"video": 0, "action": 0, "movement": 0}
    assert stats["movements_per_action"] == {"min": 0, "median": 0, "max": 0, "by_action": {}}
    assert "unknown" not in stats["movements_by_part"]


def test_the_published_graph_in_figures(real_graph: KnowledgeGraph):
    stats = graph_stats(real_graph)
    assert stats["entities"] == {"video": 3809, "action": 24, "movement": 391}
    assert stats["edges"] == {"shows": 5040, "consists_of": 801, "performs": 3809}
    assert stats["videos_without_movement"] == 1959
    assert sum(stats["movements_by_part"].values()) == 391
    assert len(stats["most_shared_movements"]) == 10
    assert stats["movements_per_action"]["max"] == stats["movements_per_action"]["by_action"]["salsa dancing"] == 104


def test_an_action_is_described_by_its_movements_and_neighbors():
    description = describe_action(KnowledgeGraph.from_edges(EDGES), "jump")
    assert (description["action"], description["clips"]) == ("jump", 2)
    assert [(m["movement"], m["clips"]) for m in description["movements"]] == [("head nod", 2), ("left leg bend", 1)]
    assert [m["share"] for m in description["movements"]] == pytest.approx([0.8, 0.6])
    (neighbor,) = description["nearest"]
    assert (neighbor["action"], neighbor["shared"]) == ("nod", ["head nod"])
    assert neighbor["cosine"] == pytest.approx(0.8)
    assert json.loads(json.dumps(description)) == description


def test_the_neighbors_of_a_real_action_make_sense(real_graph: KnowledgeGraph):
    nearest = describe_action(with_projected_shares(real_graph), "clean and jerk")["nearest"]
    assert {action["action"] for action in nearest[:2]} == {"deadlifting", "snatch weight lifting"}


def test_an_unknown_action_gets_names_that_look_like_it():
    graph = KnowledgeGraph.from_edges(EDGES)
    with pytest.raises(KgclipError, match=r"the graph has no action 'jumps'; did you mean 'jump'\?"):
        describe_action(graph, "jumps")
    with pytest.raises(KgclipError, match="did you mean 'jump', 'nod', 'swim'"):
        describe_action(graph, "qqq")
    with pytest.raises(KgclipError, match="the graph has no action 'jump'"):
        describe_action(KnowledgeGraph.from_edges([]), "jump")


def test_cosines_of_shares_are_cosines():
    shares = np.array([[3, 4, 0], [4, 3, 0], [0, 0, 2], [0, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(
        share_cosines(shares), [[1, 0.96, 0, 0], [0.96, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], atol=1e-12
    )
