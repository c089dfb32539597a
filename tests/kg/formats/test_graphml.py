from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.kg.formats.graphml import write_graphml
from kgclip.kg.graph import KnowledgeGraph


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_graphml_holds_every_entity_and_edge(
    draw_graph: Callable[..., KnowledgeGraph], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
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
    assert edges == {(edge.head, edge.relation, edge.tail): np.float32(edge.support) for edge in graph.all_edges()}
