"""Formats of graphs, and that one can be added from outside the package."""

import json
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.io import FORMATS, GraphFormat, read_graph, register_format, write_graph

EDGES = [
    Edge("a", "performs", "jump"),
    Edge("b", "performs", "jump"),
    Edge("a", "shows", "left leg bend"),
    Edge("jump", "consists_of", "left leg bend", 0.5),
]


def test_what_is_written_is_known_by_its_name(tmp_path: Path):
    graph = KnowledgeGraph.from_edges(EDGES, rule={"source": "labels"})
    write_graph(graph, tmp_path / "g.parquet", "parquet")
    assert read_graph(tmp_path / "g.parquet").hash == graph.hash
    write_graph(graph, tmp_path / "triples", "tsv")
    # Of the two clips one shows something, so that all of those have the movement.
    assert [edge.support for edge in read_graph(tmp_path / "triples").edges("consists_of")] == [1.0]
    (tmp_path / "d.YML").write_text("fly: {left arm bend: 0.5}")
    assert read_graph(tmp_path / "d.YML").edges("consists_of") == [Edge("fly", "consists_of", "left arm bend", 0.5)]


def test_a_format_is_added_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kgclip.kg.io.FORMATS", dict(FORMATS))

    def read(path: Path) -> KnowledgeGraph:
        return KnowledgeGraph.from_edges(Edge(*row) for row in json.loads(path.read_text()))

    def write(graph: KnowledgeGraph, path: Path) -> None:
        path.write_text(json.dumps([(edge.head, edge.relation, edge.tail) for edge in graph.all_edges()]))

    register_format("rows", GraphFormat((".json",), read, write))
    write_graph(KnowledgeGraph.from_edges(EDGES[:3]), tmp_path / "g.json", "rows")
    assert set(read_graph(tmp_path / "g.json").all_edges()) == set(EDGES[:3])
    with pytest.raises(KgclipError, match="graph format 'rows': exists already"):
        register_format("rows", GraphFormat((".json",)))


def test_unknown_formats_and_files_are_named(tmp_path: Path):
    graph = KnowledgeGraph.from_edges(EDGES)
    with pytest.raises(KgclipError, match="--format definitions: cannot be written; choose one of parquet, tsv, gra"):
        write_graph(graph, tmp_path / "x", "definitions")
    with pytest.raises(KgclipError, match=r"gone\.parquet: not found"):
        read_graph(tmp_path / "gone.parquet")
    (tmp_path / "g.graphml").touch()
    with pytest.raises(KgclipError, match=r"g\.graphml: no format .* expected \.parquet, \.tsv, a folder of \.tsv"):
        read_graph(tmp_path / "g.graphml")
