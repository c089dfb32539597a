"""Graphs for other tools: triples as text and GraphML."""

from pathlib import Path

from kgclip.files import atomic_path
from kgclip.kg.graph import ENTITY_KINDS, RELATION_KINDS, RELATIONS, KnowledgeGraph


def write_triples(graph: KnowledgeGraph, folder: Path) -> None:
    """Write headerless ``head⇥relation⇥tail`` lines, one file per relation, each atomically.

    Supports, frame ranges, isolated entities, the rule and the split hash have no place there and are left out.
    """
    for relation, (head_kind, tail_kind) in RELATION_KINDS.items():
        lines = [f"{edge.head}\t{edge.relation}\t{edge.tail}\n" for edge in graph.edges(relation)]
        with atomic_path(folder / f"{head_kind}_{relation}_{tail_kind}.tsv") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", newline="\n")


def write_graphml(graph: KnowledgeGraph, path: Path) -> None:
    """Write GraphML (Gephi, Cytoscape, networkx), atomically.

    Nodes are called ``kind:name`` and carry both as attributes; edges carry their relation and support.
    """
    import networkx as nx

    network = nx.DiGraph()
    nodes = [f"{ENTITY_KINDS[kind]}:{name}" for kind, name in zip(graph.kinds, graph.names, strict=True)]
    for node, kind, name in zip(nodes, graph.kinds, graph.names, strict=True):
        network.add_node(node, kind=ENTITY_KINDS[kind], name=name)
    for (head, relation, tail), support in zip(graph.triples, graph.support, strict=True):
        network.add_edge(nodes[head], nodes[tail], relation=RELATIONS[relation], support=float(support))
    with atomic_path(path) as temporary:
        nx.write_graphml(network, temporary)
