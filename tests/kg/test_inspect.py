import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.kg.build import merge, with_projected_shares
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.formats.triples import read_triples
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.inspect import Finding, describe_action, graph_stats, lint, share_cosines

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


def consists_of(action: str, movements: Sequence[str], share: float = 1.0) -> list[Edge]:
    return [Edge(action, "consists_of", movement, share) for movement in movements]


def findings_of(graph: KnowledgeGraph, rule: str, **options) -> list[Finding]:
    return [finding for finding in lint(graph, **options) if finding.rule == rule]


def test_a_sound_graph_has_no_findings():
    edges = [
        *consists_of("jump", ["left leg bend"]),
        *consists_of("nod", ["head nod"]),
        Edge("a", "performs", "jump"),
        Edge("b", "performs", "nod"),
        Edge("a", "shows", "left leg bend"),
        Edge("b", "shows", "head nod"),
    ]
    assert lint(KnowledgeGraph.from_edges(edges), states=["bend", "nod"], objects=[], test_clips=["c"]) == []


def test_the_published_graph_has_no_errors(real_graph: KnowledgeGraph):
    (finding,) = lint(real_graph)
    assert finding == Finding(
        "info", "video-without-movements", "1,959 videos without movements: 0001; 0002; 0003; ..."
    )
    (similar,) = findings_of(with_projected_shares(real_graph), "similar-actions")
    assert "clean and jerk ~ deadlifting (0.98)" in similar.message


def test_test_clips_in_the_graph_are_an_error():
    graph = KnowledgeGraph.from_edges(consists_of("jump", ["hip bend"]), isolated={"video": ["a", "b"]})
    (finding,) = findings_of(graph, "test-clip", test_clips=["b", "z"])
    assert finding.severity == "error"
    assert finding.message == "1 test clip in the graph; build it from the training clips only: b"
    assert lint(graph, test_clips=["b", "z"])[0] == finding


@pytest.mark.parametrize(
    ("name", "rule", "severity", "hint"),
    [
        ("tail wag", "unknown-part", "error", "tail wag"),
        ("left arm", "unknown-part", "error", "left arm"),
        ("elbow bent", "unknown-part", "error", "elbow bent (did you mean 'left arm bend' or 'right arm bend'?)"),
        ("hand hold ball", "left-right", "error", "hand hold ball (left hand or right hand?)"),
        ("rigth arm bend", "left-right", "error", "rigth arm bend (right arm?)"),
        ("leftarm bend", "left-right", "error", "leftarm bend (left arm?)"),
        ("left left arm bend", "left-right", "error", "left left arm bend (drop one 'left'?)"),
        ("left head nod", "left-right", "error", "left head nod (head has no side)"),
        ("left arm right bend", "left-right", "warning", "left arm right bend (drop 'right'?)"),
        ("left arm bedn", "unknown-state", "warning", "left arm bedn (state bedn) (did you mean 'left arm bend'?)"),
        ("left foot step on sofa", "unknown-object", "warning", "left foot step on sofa (object sofa)"),
    ],
)
def test_a_wrong_movement_is_reported(name: str, rule: str, severity: str, hint: str):
    graph = KnowledgeGraph.from_edges(consists_of("jump", [name, "left foot step on bench", "hip bend"]))
    (finding,) = findings_of(graph, rule, states=["bend", "wag", "step on", "hold"], objects=["bench", "ball"])
    assert finding.severity == severity
    assert finding.message.startswith("1 movement ")
    assert finding.message.endswith(hint)


def test_without_vocabularies_only_parts_are_checked():
    graph = KnowledgeGraph.from_edges(consists_of("jump", ["left arm bedn", "left foot step on sofa"]))
    assert {finding.rule for finding in lint(graph)} == {"action-without-clips"}
    (finding,) = findings_of(graph, "unknown-part", parts=["left arm"])
    assert "left foot step on sofa" in finding.message


def test_spellings_of_one_name_are_reported():
    edges = [*consists_of("push up", ["hip bend", "hip  bend"]), *consists_of("Push_up", ["hip bend", "Hip bend"])]
    findings = findings_of(KnowledgeGraph.from_edges(edges, isolated={"video": ["a_1", "a-1"]}), "name-variant")
    assert [finding.message for finding in findings] == [
        "1 action name given in several spellings; keep one: 'Push_up' = 'push up'",
        "1 movement name given in several spellings; keep one: 'Hip bend' = 'hip  bend' = 'hip bend'",
    ]


def test_edges_given_twice_are_counted_also_after_a_merge(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\tperforms\tjump\n" * 3)
    (tmp_path / "p.yaml").write_text("jump: [hip bend, hip bend]")
    triples, definitions = read_triples(tmp_path), read_definitions(tmp_path / "p.yaml")
    (finding,) = findings_of(triples, "repeated-edge")
    assert finding.message == "2 edges given again in the source; counted once"
    (finding,) = findings_of(merge(triples, definitions), "repeated-edge")
    assert finding.message == "3 edges given again in the source; counted once"


def test_orphan_actions_and_still_videos_are_reported():
    edges = [*consists_of("fly", ["left arm swing"]), Edge("a", "performs", "rest")]
    graph = KnowledgeGraph.from_edges(edges)
    assert [(finding.severity, finding.rule) for finding in lint(graph)] == [
        ("warning", "action-without-movements"),
        ("info", "action-without-clips"),
        ("info", "video-without-movements"),
    ]


def test_actions_with_the_same_movements_are_grouped():
    edges = [edge for action in ("lunge", "hop", "jump") for edge in consists_of(action, ["hip bend", "head nod"])]
    edges += consists_of("fly", ["hip bend"])
    (finding,) = findings_of(KnowledgeGraph.from_edges(edges), "same-movements")
    assert finding.message == "1 group of actions with the same movements: hop = jump = lunge"
    assert findings_of(KnowledgeGraph.from_edges(edges), "similar-actions") == []


def test_similar_shares_and_similar_sets_are_reported():
    movements = [f"left hand hold {number}" for number in range(40)]
    by_set = [*consists_of("one", movements, 0.5), *consists_of("two", movements[1:], 0.5)]
    by_share = [
        *consists_of("three", ["hip bend"], 0.9),
        *consists_of("four", ["hip bend"], 0.8),
        *consists_of("four", ["head nod"], 0.1),
    ]
    (finding,) = findings_of(KnowledgeGraph.from_edges(by_set + by_share), "similar-actions")
    assert finding.severity == "warning"
    assert finding.message.startswith("2 pairs of actions")
    assert "four ~ three (0.99)" in finding.message
    assert "one ~ two" in finding.message


def test_a_finding_gives_three_examples_and_the_count():
    edges = consists_of("jump", [f"{word} wag" for word in "abcde"])
    (finding,) = findings_of(KnowledgeGraph.from_edges(edges), "unknown-part")
    assert finding.message == "5 movements without a known body part and a state: a wag; b wag; c wag; ..."
