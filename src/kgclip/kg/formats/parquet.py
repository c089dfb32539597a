"""Graphs as Parquet: all that a graph holds, and a hash of it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from kgclip.errors import KgclipError
from kgclip.files import read_table, write_table
from kgclip.kg.graph import Edge, KnowledgeGraph

_CONTENT, _VERSION = "knowledge graph", 1
_MOST_EDGES = 5_000_000
_RANGES = pa.list_(pa.struct([("first", pa.int32()), ("last", pa.int32())]))
_SCHEMA = pa.schema(
    {"head": pa.string(), "relation": pa.string(), "tail": pa.string(), "support": pa.float32(), "frames": _RANGES}
)


def write_parquet(graph: KnowledgeGraph, path: Path) -> None:
    """Write one edge per row, and the rest as JSON under the metadata key kgclip; atomically."""
    edges = graph.all_edges()
    columns = [
        [edge.head for edge in edges],
        [edge.relation for edge in edges],
        [edge.tail for edge in edges],
        graph.support,
        [[{"first": first, "last": last} for first, last in edge.frames] for edge in edges],
    ]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    header = {
        "content": _CONTENT,
        "version": _VERSION,
        "hash": graph.hash,
        "rule": graph.rule,
        "split_hash": graph.split_hash,
        "isolated": graph.isolated(),
    }
    write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), path, header)


def read_parquet(path: Path) -> KnowledgeGraph:
    """Read what ``write_parquet`` wrote and verify its content hash.

    Raises:
        KgclipError: the file is missing, damaged, changed since it was written, or holds something else.
    """
    table, header = read_table(path, _CONTENT, _VERSION, most_rows=_MOST_EDGES)
    spans = table["frames"].combine_chunks().flatten() if table.schema.equals(_SCHEMA) else None
    if spans is None or any(column.null_count for column in (*table.columns, spans, *spans.flatten())):
        raise KgclipError(f"{path}: its columns are not those of a {_CONTENT}; build it again")
    _check_header(path, header)
    head, relation, tail, support, frames = (column.to_pylist() for column in table.columns)
    ranges = [tuple((span["first"], span["last"]) for span in spans) for spans in frames]
    try:
        graph = KnowledgeGraph.from_edges(
            map(Edge, head, relation, tail, support, ranges),
            isolated=header["isolated"],
            rule=header["rule"],
            split_hash=header["split_hash"],
        )
    except KgclipError as error:
        raise KgclipError(f"{path}: {error}") from error
    if graph.hash != header.get("hash"):
        raise KgclipError(
            f"{path}: its content does not match its hash (got {graph.hash[:12]}, expected "
            f"{str(header.get('hash'))[:12]}): the file was changed after it was written; build it again"
        )
    return graph


def _check_header(path: Path, header: dict[str, Any]) -> None:
    """Refuse metadata of other types than ``write_parquet`` writes: hashes do not protect from them."""
    isolated, rule, split_hash = (header.get(key) for key in ("isolated", "rule", "split_hash"))
    rules = rule.get("merged", [rule]) if isinstance(rule, dict) else None
    whole = (
        isinstance(isolated, dict)
        and all(isinstance(names, list) and all(isinstance(n, str) for n in names) for names in isolated.values())
        and isinstance(rules, list)
        and all(isinstance(one, dict) and isinstance(one.get("repeated", 0), int) for one in rules)
        and isinstance(split_hash, str | None)
    )
    if not whole:
        raise KgclipError(f"{path}: its kgclip metadata is not that of a {_CONTENT}; build it again")
