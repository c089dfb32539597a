"""The knowledge graph: entities joined by relations (kgclip.kg.schema), with the evidence for each edge."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int8, Int64

from kgclip.errors import KgclipError, LeakageError
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS, relation_id
from kgclip.visible import HIDDEN

LONGEST_NAME = 4096  # of a path

FrameRanges = tuple[tuple[int, int], ...]
"""Inclusive ranges of 1-based image indices."""


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
    """Entities and the edges between them, as arrays; make one with ``from_edges``.

    Entities are sorted by kind (in the order of ``ENTITY_KINDS``), then name, and known by both: a clip may be called
    like an action. ``triples`` are rows (head, relation, tail) of ids, sorted and unique, a relation's id being its
    position in ``RELATIONS``; ``support`` and ``frames`` run along them. ``rule`` says how the graph was built,
    ``split_hash`` from which split.
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
        evidence: dict[tuple[str, int, str], tuple[float, FrameRanges]] = {}
        for edge in edges:
            key = (edge.head, _checked(edge), edge.tail)
            support, frames = evidence.get(key, (0.0, ()))
            evidence[key] = (max(support, edge.support), _union(frames + edge.frames))
        for kind in isolated or {}:
            if kind not in ENTITY_KINDS:
                raise KgclipError(f"unknown kind of entity {kind!r}; expected one of {', '.join(ENTITY_KINDS)}")
        present = {(kind, name) for kind, names in (isolated or {}).items() for name in names}
        for head, relation, tail in evidence:
            present |= {(RELATIONS[relation].head, head), (RELATIONS[relation].tail, tail)}
        entities = sorted(present, key=lambda entity: (ENTITY_KINDS.index(entity[0]), entity[1]))
        ids = {entity: i for i, entity in enumerate(entities)}
        rows = sorted(
            (ids[RELATIONS[relation].head, head], relation, ids[RELATIONS[relation].tail, tail], support, frames)
            for (head, relation, tail), (support, frames) in evidence.items()
        )
        for _, name in entities:
            check_name(name)
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
        return [self._edge(int(row)) for row in np.flatnonzero(self.triples[:, 1] == relation_id(relation))]

    def all_edges(self) -> list[Edge]:
        """List the edges of all relations, in the order of ``triples``."""
        return [self._edge(row) for row in range(len(self.triples))]

    def heads(self, relation: str) -> list[str]:
        """Name the entities that are the head of an edge of that relation, sorted."""
        of_relation = self.triples[:, 1] == relation_id(relation)
        return [self.names[head] for head in np.unique(self.triples[of_relation, 0])]

    def adjacency(
        self, relation: str, heads: Sequence[str], tails: Sequence[str]
    ) -> Float32[np.ndarray, "heads tails"]:
        """Give the support of the edge from each head to each tail; 0 where there is no edge or no such entity."""
        number = relation_id(relation)
        kinds = RELATIONS[number]
        head_ids = np.array([self._ids.get((kinds.head, name), -1) for name in heads], dtype=np.int64)
        tail_ids = np.array([self._ids.get((kinds.tail, name), -1) for name in tails], dtype=np.int64)
        # Triples are sorted by (head, relation), so the edges of one head and relation are one slice.
        keys = self.triples[:, 0] * len(RELATIONS) + self.triples[:, 1]
        wanted = head_ids * len(RELATIONS) + number
        starts = np.searchsorted(keys, wanted)
        counts = np.where(head_ids < 0, 0, np.searchsorted(keys, wanted, side="right") - starts)
        rows = np.repeat(np.arange(len(heads)), counts)
        edges = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        distinct, columns = np.unique(tail_ids, return_inverse=True)
        column_of = np.full(len(self.names), -1)
        column_of[distinct[distinct >= 0]] = np.flatnonzero(distinct >= 0)
        at = column_of[self.triples[edges, 2]]
        matrix = np.zeros((len(heads), len(distinct)), dtype=np.float32)
        matrix[rows[at >= 0], at[at >= 0]] = self.support[edges[at >= 0]]
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
        """Write the graph as Parquet, atomically."""
        # Imported here, as in ``load``: the formats are made of graphs.
        from kgclip.kg.formats.parquet import write_parquet

        write_parquet(self, path)

    @classmethod
    def load(cls, path: Path) -> "KnowledgeGraph":
        """Read what ``save`` wrote and verify its content hash.

        Raises:
            KgclipError: the file is missing, damaged, changed since it was written, or holds something else.
        """
        from kgclip.kg.formats.parquet import read_parquet

        return read_parquet(path)

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
        name = RELATIONS[relation].name
        return Edge(self.names[head], name, self.names[tail], float(self.support[row]), self.frames[row])


def _checked(edge: Edge) -> int:
    """The id of an edge's relation, when all of the edge is as it should be."""
    what = f"edge ({edge.head}, {edge.relation}, {edge.tail})"
    try:
        number = relation_id(edge.relation)
    except KgclipError as error:
        raise KgclipError(f"{what}: {error}") from error
    if not 0 < edge.support <= 1:
        raise KgclipError(f"{what}: support {edge.support} is outside (0, 1]")
    for first, last in edge.frames:
        if not 1 <= first <= last:
            raise KgclipError(f"{what}: frame range {first} to {last} is not one; frames count from 1")
    return number


def check_name(name: str) -> None:
    """Refuse a name that does not survive TSV, UTF-8, XML and a terminal."""
    if not name or len(name) > LONGEST_NAME or HIDDEN.search(name):
        raise KgclipError(f"entity name {name[:80]!r}: empty or with a control character, or very long; rename it")


def _union(ranges: FrameRanges) -> FrameRanges:
    """Sort ranges and join those that overlap or touch, as sets of frames are joined."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)
