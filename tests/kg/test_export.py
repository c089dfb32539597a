from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.kg.build import read_triples
from kgclip.kg.export import write_graphml, write_triples
from kgclip.kg.graph import RELATIONS, Edge, KnowledgeGraph


def test_the_published_triples_survive_a_round_trip(real_graph: KnowledgeGraph, shared_data: Path, tmp_path: Path):
    write_triples(real_graph, tmp_path / "triples")
    assert read_triples(tmp_path / "triples").hash == real_graph.hash
    for file in (shared_data / "kinetics-tps-kg").glob("*.tsv"):
        written = (tmp_path / "triples" / file.name).read_text().splitlines()
        assert written == sorted(file.read_text().splitlines(), key=lambda line: line.split("\t"))


def test_triples_of_a_relation_without_edges_are_emptied(tmp_path: Path):
    write_triples(KnowledgeGraph.from_edges([Edge("a", "performs", "b")]), tmp_path)
    write_triples(KnowledgeGraph.from_edges([Edge("c", "consists_of", "head nod")]), tmp_path)
    assert (tmp_path / "video_performs_action.tsv").read_text() == ""
    assert (tmp_path / "action_consists_of_movement.tsv").read_text() == "c\tconsists_of\thead nod\n"


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_graphml_holds_every_entity_and_edge(draw_graph, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    graph = draw_graph(data)
    path = tmp_path_factory.mktemp("graphml") / "g.graphml"
    write_graphml(graph, path)
    network = nx.read_graphml(path)
    nodes = {(values["kind"], values["name"]) for _, values in network.nodes(data=True)}
    assert nodes == {(kind, name) for kind in ("video", "action", "movement") for name in graph.entities(kind)}
    name = nx.get_node_attributes(network, "name")
    edges = {
        (name[head], values["relation"], name[tail]): np.float32(values["support"])
        for head, tail, values in network.edges(data=True)
    }
    assert edges == {
        (edge.head, edge.relation, edge.tail): np.float32(edge.support)
        for relation in RELATIONS
        for edge in graph.edges(relation)
    }
