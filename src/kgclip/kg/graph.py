"""The knowledge graph: videos, actions and movements, joined by three relations, with the evidence for each edge."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int8, Int64

from kgclip.errors import KgclipError, LeakageError
from kgclip.files import read_table, write_table

ENTITY_KINDS = ("video", "action", "movement")
RELATIONS = ("performs", "shows", "consists_of")
RELATION_KINDS = {
    "performs": ("video", "action"),
    "shows": ("video", "movement"),
    "consists_of": ("action", "movement"),
}

FrameRanges = tuple[tuple[int, int], ...]
"""Inclusive ranges of 1-based image indices."""

_CONTENT, _VERSION = "knowledge graph", 1
_RANGES = pa.list_(pa.struct([("first", pa.int32()), ("last", pa.int32())]))
_SCHEMA = pa.schema(
    {"head": pa.string(), "relation": pa.string(), "tail": pa.string(), "support": pa.float32(), "frames": _RANGES}
)
# A name must survive TSV, UTF-8 and XML: no control characters, no lone surrogates.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Edge:
    """One triple with its evidence.

    ``support`` in (0, 1] is the share of the clip's annotated frames that show the movement (``shows``), or the mean
    of that share over the action's clips (``consists_of``); ``frames`` are the frame ranges that show it.
    """

    head: str
    relation: str
    tail: str
    support: float = 1.0
    frames: FrameRanges = ()


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Entities of three kinds and the edges between them, as arrays; make one with ``from_edges``.

    Entities are sorted by kind (in the order of ``ENTITY_KINDS``), then name, and known by both: a clip may be called
    like an action. ``triples`` are rows (head, relation, tail) of indices, sorted and unique; ``support`` and
    ``frames`` run along them. ``rule`` says how the graph was built, ``split_hash`` from which split.
    """

    names: tuple[str, ...]
    kinds: Int8[np.ndarray, " E"]
    triples: Int64[np.ndarray, "N 3"]
    support: Float32[np.ndarray, " N"]
    frames: tuple[FrameRanges, ...]
    rule: dict[str, Any]
    split_hash: str | None

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[Edge],
        *,
        isolated: Mapping[str, Iterable[str]] | None = None,
        rule: Mapping[str, Any] | None = None,
        split_hash: str | None = None,
    ) -> "KnowledgeGraph":
        """Build a graph from edges in any order.

        An edge given more than once counts once, with its largest support and the union of its frame ranges.
        ``isolated`` names, per kind, entities that belong to the graph even if no edge touches them.

        Raises:
            KgclipError: an edge has an unknown relation, an unusable name, a support outside (0, 1] or a frame range
                that is empty or starts before 1.
        """
        evidence: dict[tuple[str, str, str], tuple[float, FrameRanges]] = {}
        for edge in edges:
            _check(edge)
            key = (edge.head, edge.relation, edge.tail)
            support, frames = evidence.get(key, (0.0, ()))
            evidence[key] = (max(support, edge.support), _union(frames + edge.frames))
        for kind in isolated or {}:
            if kind not in ENTITY_KINDS:
                raise KgclipError(f"unknown kind of entity {kind!r}; expected one of {', '.join(ENTITY_KINDS)}")
        found = {(kind, name) for kind, names in (isolated or {}).items() for name in names}
        for head, relation, tail in evidence:
            found.update(zip(RELATION_KINDS[relation], (head, tail), strict=True))
        entities = sorted(found, key=lambda entity: (ENTITY_KINDS.index(entity[0]), entity[1]))
        ids = {entity: i for i, entity in enumerate(entities)}
        rows = []
        for (head, relation, tail), (support, frames) in evidence.items():
            head_kind, tail_kind = RELATION_KINDS[relation]
            rows.append((ids[head_kind, head], RELATIONS.index(relation), ids[tail_kind, tail], support, frames))
        rows.sort()
        for _, name in entities:
            _check_name(name)
        return cls(
            names=tuple(name for _, name in entities),
            kinds=np.array([ENTITY_KINDS.index(kind) for kind, _ in entities], dtype=np.int8),
            triples=np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3),
            support=np.array([row[3] for row in rows], dtype=np.float32),
            frames=tuple(row[4] for row in rows),
            rule=json.loads(json.dumps(rule or {})),
            split_hash=split_hash,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256, in hex, of everything the graph holds: entities, edges, evidence, rule and split hash."""
        texts = (self.names, self.frames, self.rule, self.split_hash)
        digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
        for array, layout in ((self.kinds, "i1"), (self.triples, "<i8"), (self.support, "<f4")):
            digest.update(np.ascontiguousarray(array, dtype=layout).tobytes())
        return digest.hexdigest()

    def entities(self, kind: str) -> list[str]:
        """Name the entities of one kind, sorted."""
        first, last = np.searchsorted(self.kinds, ENTITY_KINDS.index(kind) + np.arange(2))
        return list(self.names[first:last])

    def edges(self, relation: str) -> list[Edge]:
        """List the edges of one relation, sorted by head, then tail."""
        return [self._edge(int(row)) for row in np.flatnonzero(self.triples[:, 1] == RELATIONS.index(relation))]

    def heads(self, relation: str) -> list[str]:
        """Name the entities that are the head of an edge of that relation, sorted."""
        of_relation = self.triples[:, 1] == RELATIONS.index(relation)
        return [self.names[head] for head in np.unique(self.triples[of_relation, 0])]

    def adjacency(
        self, relation: str, heads: Sequence[str], tails: Sequence[str]
    ) -> Float32[np.ndarray, "heads tails"]:
        """Give the support of the edge from each head to each tail; 0 where there is no edge or no such entity."""
        head_kind, tail_kind = RELATION_KINDS[relation]
        head_ids = np.array([self._ids.get((head_kind, name), -1) for name in heads], dtype=np.int64)
        tail_ids = np.array([self._ids.get((tail_kind, name), -1) for name in tails], dtype=np.int64)
        # Triples are sorted by (head, relation), so the edges of one head and relation are one slice.
        keys = self.triples[:, 0] * len(RELATIONS) + self.triples[:, 1]
        wanted = head_ids * len(RELATIONS) + RELATIONS.index(relation)
        starts = np.searchsorted(keys, wanted)
        counts = np.where(head_ids < 0, 0, np.searchsorted(keys, wanted, side="right") - starts)
        rows = np.repeat(np.arange(len(heads)), counts)
        edges = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        distinct, columns = np.unique(tail_ids, return_inverse=True)
        column_of = np.full(len(self.names), -1)
        column_of[distinct[distinct >= 0]] = np.flatnonzero(distinct >= 0)
        found = column_of[self.triples[edges, 2]]
        matrix = np.zeros((len(heads), len(distinct)), dtype=np.float32)
        matrix[rows[found >= 0], found[found >= 0]] = self.support[edges[found >= 0]]
        return matrix[:, columns]

    def check_no_leakage(self, clips: Iterable[str], what: str) -> None:
        """Raise if the graph holds any of these clips, which ``what`` describes ("test clips").

        Raises:
            LeakageError: it does; the message counts them and names up to three.
        """
        held = sorted({clip for clip in clips if ("video", clip) in self._ids})
        if held:
            names = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
            raise LeakageError(
                f"the graph holds {len(held)} of the {what} ({names}); build it from the training clips only"
            )

    def save(self, path: Path) -> None:
        """Write the graph as Parquet, atomically: one edge per row, the rest as JSON under the metadata key kgclip."""
        edges = [self._edge(row) for row in range(len(self.triples))]
        columns = [
            [edge.head for edge in edges],
            [edge.relation for edge in edges],
            [edge.tail for edge in edges],
            self.support,
            [[{"first": first, "last": last} for first, last in edge.frames] for edge in edges],
        ]
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        header = {
            "content": _CONTENT,
            "version": _VERSION,
            "hash": self.hash,
            "rule": self.rule,
            "split_hash": self.split_hash,
            "isolated": self.isolated(),
        }
        write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), path, header)

    @classmethod
    def load(cls, path: Path) -> "KnowledgeGraph":
        """Read what ``save`` wrote and verify its content hash.

        Raises:
            KgclipError: the file is missing, damaged, changed since it was written, or holds something else.
        """
        table, header = read_table(path, _CONTENT, _VERSION)
        if not table.schema.equals(_SCHEMA) or any(column.null_count for column in table.columns):
            raise KgclipError(f"{path}: its columns are not those of a {_CONTENT}; build it again")
        head, relation, tail, support, frames = (column.to_pylist() for column in table.columns)
        ranges = [tuple((span["first"], span["last"]) for span in spans) for spans in frames]
        try:
            graph = cls.from_edges(
                map(Edge, head, relation, tail, support, ranges),
                isolated=header.get("isolated"),
                rule=header.get("rule"),
                split_hash=header.get("split_hash"),
            )
        except KgclipError as error:
            raise KgclipError(f"{path}: {error}") from error
        if graph.hash != header.get("hash"):
            raise KgclipError(
                f"{path}: its content does not match its hash (got {graph.hash[:12]}, expected "
                f"{str(header.get('hash'))[:12]}): the file was changed after it was written; build it again"
            )
        return graph

    def isolated(self) -> dict[str, list[str]]:
        """Name, per kind, the entities that no edge touches; kinds without any are left out."""
        alone = np.setdiff1d(np.arange(len(self.names)), self.triples[:, [0, 2]])
        groups: dict[str, list[str]] = {}
        for entity in alone:
            groups.setdefault(ENTITY_KINDS[self.kinds[entity]], []).append(self.names[entity])
        return groups

    @cached_property
    def _ids(self) -> dict[tuple[str, str], int]:
        kinds = [ENTITY_KINDS[kind] for kind in self.kinds]
        return {entity: i for i, entity in enumerate(zip(kinds, self.names, strict=True))}

    def _edge(self, row: int) -> Edge:
        head, relation, tail = self.triples[row]
        return Edge(self.names[head], RELATIONS[relation], self.names[tail], float(self.support[row]), self.frames[row])


def _check(edge: Edge) -> None:
    what = f"edge ({edge.head}, {edge.relation}, {edge.tail})"
    if edge.relation not in RELATIONS:
        raise KgclipError(f"{what}: unknown relation {edge.relation!r}; expected one of {', '.join(RELATIONS)}")
    if not 0 < edge.support <= 1:
        raise KgclipError(f"{what}: support {edge.support} is outside (0, 1]")
    for first, last in edge.frames:
        if not 1 <= first <= last:
            raise KgclipError(f"{what}: frame range {first} to {last} is not one; frames count from 1")


def _check_name(name: str) -> None:
    if not name or _FORBIDDEN.search(name):
        raise KgclipError(f"entity name {name!r}: empty or with a control character; rename the clip, action or part")


def _union(ranges: FrameRanges) -> FrameRanges:
    """Sort ranges and join those that overlap or touch, as sets of frames are joined."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)
