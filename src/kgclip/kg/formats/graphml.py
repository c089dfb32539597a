"""Graphs as GraphML, for Gephi, Cytoscape or networkx."""

from pathlib import Path

from kgclip.files import atomic_path
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS


def write_graphml(graph: KnowledgeGraph, path: Path) -> None:
    """Write GraphML, atomically.

    Nodes are called ``kind:name`` and carry both as attributes; edges carry their relation and support.
    """
    import networkx as nx

    network = nx.DiGraph()
    nodes = [f"{ENTITY_KINDS[kind]}:{name}" for kind, name in zip(graph.kinds, graph.names, strict=True)]
    for node, kind, name in zip(nodes, graph.kinds, graph.names, strict=True):
        network.add_node(node, kind=ENTITY_KINDS[kind], name=name)
    for (head, relation, tail), support in zip(graph.triples, graph.support, strict=True):
        network.add_edge(nodes[head], nodes[tail], relation=RELATIONS[relation].name, support=float(support))
    with atomic_path(path) as temporary:
        nx.write_graphml(network, temporary)
