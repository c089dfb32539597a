from collections.abc import Sequence
from pathlib import Path

import pytest

from kgclip.kg.build import merge, read_parsings, read_triples, with_projected_shares
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.lint import Finding, lint


def parsing(action: str, movements: Sequence[str], share: float = 1.0) -> list[Edge]:
    return [Edge(action, "consists_of", movement, share) for movement in movements]


def found(graph: KnowledgeGraph, rule: str, **options) -> list[Finding]:
    return [finding for finding in lint(graph, **options) if finding.rule == rule]


def test_a_sound_graph_has_no_findings():
    edges = [
        *parsing("jump", ["left leg bend"]),
        *parsing("nod", ["head nod"]),
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
    (similar,) = found(with_projected_shares(real_graph), "similar-actions")
    assert "clean and jerk ~ deadlifting (0.98)" in similar.message


def test_test_clips_in_the_graph_are_an_error():
    graph = KnowledgeGraph.from_edges(parsing("jump", ["hip bend"]), isolated={"video": ["a", "b"]})
    (finding,) = found(graph, "test-clip", test_clips=["b", "z"])
    assert finding.severity == "error"
    assert finding.message == "1 test clip in the graph; build it from the training clips only: b"
    assert lint(graph, test_clips=["b", "z"])[0] == finding


@pytest.mark.parametrize(
    ("name", "rule", "severity", "hint"),
    [
        ("tail wag", "unknown-part", "error", "tail wag"),
        ("left arm", "unknown-part", "error", "left arm"),
        ("hand hold ball", "left-right", "error", "hand hold ball (left hand or right hand?)"),
        ("rigth arm bend", "left-right", "error", "rigth arm bend (right arm?)"),
        ("leftarm bend", "left-right", "error", "leftarm bend (left arm?)"),
        ("left left arm bend", "left-right", "error", "left left arm bend (drop one 'left'?)"),
        ("left head nod", "left-right", "error", "left head nod (head has no side)"),
        ("left arm right bend", "left-right", "warning", "left arm right bend (drop 'right'?)"),
        ("left arm bedn", "unknown-state", "warning", "left arm bedn (state bedn)"),
        ("left foot step on sofa", "unknown-object", "warning", "left foot step on sofa (object sofa)"),
    ],
)
def test_a_wrong_movement_is_found(name: str, rule: str, severity: str, hint: str):
    graph = KnowledgeGraph.from_edges(parsing("jump", [name, "left foot step on bench", "hip bend"]))
    (finding,) = found(graph, rule, states=["bend", "wag", "step on", "hold"], objects=["bench", "ball"])
    assert finding.severity == severity
    assert finding.message.startswith("1 movement ")
    assert finding.message.endswith(hint)


def test_without_vocabularies_only_parts_are_checked():
    graph = KnowledgeGraph.from_edges(parsing("jump", ["left arm bedn", "left foot step on sofa"]))
    assert {finding.rule for finding in lint(graph)} == {"action-without-clips"}
    (finding,) = found(graph, "unknown-part", parts=["left arm"])
    assert "left foot step on sofa" in finding.message


def test_spellings_of_one_name_are_found():
    edges = [*parsing("push up", ["hip bend", "hip  bend"]), *parsing("Push_up", ["hip bend", "Hip bend"])]
    findings = found(KnowledgeGraph.from_edges(edges, isolated={"video": ["a_1", "a-1"]}), "name-variant")
    assert [finding.message for finding in findings] == [
        "1 action name given in several spellings; keep one: 'Push_up' = 'push up'",
        "1 movement name given in several spellings; keep one: 'Hip bend' = 'hip  bend' = 'hip bend'",
    ]


def test_edges_given_twice_are_counted_also_after_a_merge(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\tperforms\tjump\n" * 3)
    (tmp_path / "p.yaml").write_text("jump: [hip bend, hip bend]")
    triples, parsings = read_triples(tmp_path), read_parsings(tmp_path / "p.yaml")
    (finding,) = found(triples, "repeated-edge")
    assert finding.message == "2 edges given again in the source; counted once"
    (finding,) = found(merge(triples, parsings), "repeated-edge")
    assert finding.message == "3 edges given again in the source; counted once"


def test_orphan_actions_and_still_videos_are_found():
    edges = [*parsing("fly", ["left arm swing"]), Edge("a", "performs", "rest")]
    graph = KnowledgeGraph.from_edges(edges)
    assert [(finding.severity, finding.rule) for finding in lint(graph)] == [
        ("warning", "action-without-movements"),
        ("info", "action-without-clips"),
        ("info", "video-without-movements"),
    ]


def test_actions_with_the_same_movements_are_grouped():
    edges = [edge for action in ("lunge", "hop", "jump") for edge in parsing(action, ["hip bend", "head nod"])]
    edges += parsing("fly", ["hip bend"])
    (finding,) = found(KnowledgeGraph.from_edges(edges), "same-movements")
    assert finding.message == "1 group of actions with the same movements: hop = jump = lunge"
    assert found(KnowledgeGraph.from_edges(edges), "similar-actions") == []


def test_similar_shares_and_similar_sets_are_found():
    movements = [f"left hand hold {number}" for number in range(40)]
    by_set = [*parsing("one", movements, 0.5), *parsing("two", movements[1:], 0.5)]
    by_share = [
        *parsing("three", ["hip bend"], 0.9),
        *parsing("four", ["hip bend"], 0.8),
        *parsing("four", ["head nod"], 0.1),
    ]
    (finding,) = found(KnowledgeGraph.from_edges(by_set + by_share), "similar-actions")
    assert finding.severity == "warning"
    assert finding.message.startswith("2 pairs of actions")
    assert "four ~ three (0.99)" in finding.message
    assert "one ~ two" in finding.message


def test_a_finding_gives_three_examples_and_the_count():
    edges = parsing("jump", [f"{word} wag" for word in "abcde"])
    (finding,) = found(KnowledgeGraph.from_edges(edges), "unknown-part")
    assert finding.message == "5 movements without a known body part and a state: a wag; b wag; c wag; ..."
