"""Graphs as Parquet: all that a graph holds, and a hash of it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgclip.errors import KgclipError
from kgclip.files import read_table, write_table
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.reading import one_sentence

_CONTENT, _VERSION = "knowledge graph", 1
# Ten times those of Kinetics-TPS. Beyond, a file must be as large as a real graph is, or it could be made to fill the
# memory, and half of the memory must hold the edges.
_MOST_EDGES = 2_000_000
_LEAST_BYTES_ON_DISK, _BYTES_IN_MEMORY = 1, 512
RANGES = pa.list_(pa.struct([("first", pa.int32()), ("last", pa.int32())]))
SCHEMA = pa.schema(
    {"head": pa.string(), "relation": pa.string(), "tail": pa.string(), "support": pa.float32(), "frames": RANGES}
)
_NAMES = ("head", "relation", "tail")


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
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    header = header_of(graph.hash, graph.rule, graph.split_hash, graph.isolated())
    write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, header)


def header_of(
    content_hash: str, rule: dict[str, Any], split_hash: str | None, isolated: dict[str, list[str]]
) -> dict[str, Any]:
    """What stands beside the edges."""
    return {
        "content": _CONTENT,
        "version": _VERSION,
        "hash": content_hash,
        "rule": rule,
        "split_hash": split_hash,
        "isolated": isolated,
    }


def read_parquet(path: Path) -> KnowledgeGraph:
    """Read what ``write_parquet`` wrote and verify its content hash.

    Raises:
        KgclipError: the file is missing, damaged, changed since it was written, or holds something else.
    """
    table, header = read_table(path, _CONTENT, _VERSION, most_rows=_most_edges(path))
    _check_header(path, header)
    with one_sentence(path, f"a {_CONTENT}"):
        graph = KnowledgeGraph.from_edges(
            _edges(path, table),
            isolated=header["isolated"],
            rule=header["rule"],
            split_hash=header["split_hash"],
        )
    if graph.hash != header.get("hash"):
        raise KgclipError(
            f"{path}: its content does not match its hash (got {graph.hash[:12]}, expected "
            f"{str(header.get('hash'))[:12]}): the file was changed after it was written; build it again"
        )
    return graph


def _most_edges(path: Path) -> int:
    size = path.stat().st_size if path.is_file() else 0
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(_MOST_EDGES, min(size // _LEAST_BYTES_ON_DISK, memory // 2 // _BYTES_IN_MEMORY))


def _edges(path: Path, table: pa.Table) -> Iterator[Edge]:
    """The rows as edges; refuses other columns, and rows that are there twice: a small file can hold millions."""
    plain = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema])
    spans = table["frames"].combine_chunks().flatten() if plain.equals(SCHEMA) else None
    if spans is None or any(column.null_count for column in (*table.columns, spans, *spans.flatten())):
        raise KgclipError(f"{path}: its columns are not those of a {_CONTENT}; build it again")
    columns = [table[name].unify_dictionaries().combine_chunks() for name in _NAMES]
    words = [column.dictionary.to_pylist() for column in columns]
    codes = np.stack([column.indices.to_numpy(zero_copy_only=False) for column in columns], axis=1).astype(np.int64)
    if len(np.unique(codes, axis=0)) < len(codes):
        raise KgclipError(f"{path}: holds edges more than once; build it again")
    rest = (table[name].to_pylist() for name in ("support", "frames"))
    for code, support, frames in zip(codes.tolist(), *rest, strict=True):
        head, relation, tail = (names[number] for names, number in zip(words, code, strict=True))
        yield Edge(head, relation, tail, support, tuple((span["first"], span["last"]) for span in frames))


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
