"""One more relation is one more row."""

from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from kgclip.kg import graph as graph_module
from kgclip.kg import inspect, schema
from kgclip.kg.formats import graphml, triples
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.schema import RELATIONS, Relation, relation_id


def test_ids_are_positions():
    assert [relation.name for relation in RELATIONS] == ["performs", "shows", "consists_of"]
    assert [relation_id(relation.name) for relation in RELATIONS] == [0, 1, 2]
    with pytest.raises(KgclipError, match="unknown relation 'knows'; expected one of performs, shows, consists_of"):
        relation_id("knows")


def test_a_fourth_row_is_a_fourth_relation_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    more = (*RELATIONS, Relation("follows", "action", "action"))
    for module in (schema, graph_module, inspect, triples, graphml):
        monkeypatch.setattr(module, "RELATIONS", more)
    edges = [Edge("a", "performs", "jump"), Edge("jump", "follows", "run", 0.5)]
    graph = KnowledgeGraph.from_edges(edges)
    assert graph.edges("follows") == edges[1:]
    assert graph.adjacency("follows", ["run", "jump"], ["run"]).tolist() == [[0.0], [0.5]]
    graph.save(tmp_path / "g.parquet")
    assert KnowledgeGraph.load(tmp_path / "g.parquet").hash == graph.hash
    triples.write_triples(graph, tmp_path / "triples")
    assert (tmp_path / "triples" / "action_follows_action.tsv").read_text() == "jump\tfollows\trun\n"
    assert triples.read_triples(tmp_path / "triples").edges("follows") == [Edge("jump", "follows", "run")]
    assert inspect.graph_stats(graph)["edges"] == {"performs": 1, "shows": 0, "consists_of": 0, "follows": 1}
