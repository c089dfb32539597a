"""Graphs of any size written as Parquet, part by part: the file and the hash are those of a graph written at once."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Float32, Int8, Int64

from kgclip.errors import KgclipError
from kgclip.files import table_writer, write_header
from kgclip.kg.formats.parquet import RANGES, SCHEMA, header_of
from kgclip.kg.graph import LONGEST_NAME, check_name
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS
from kgclip.visible import HIDDEN

_STEP = 2**20
_MOST_ISOLATED = 1_000_000  # their names stand in the header of the file, which is read whole


class GraphWriter:
    """Takes the edges of a graph in the order of `KnowledgeGraph.triples`; made by `graph_writer`.

    Args:
        names: of the entities of each kind, sorted; an entity's id is its position in all of them, kind after kind.
        writer: of the table.
        folder: for what the hash needs later.
    """

    def __init__(self, names: Mapping[str, pl.Series], writer: pq.ParquetWriter, folder: Path):
        self.first_id = dict(
            zip(ENTITY_KINDS, _starts([len(names[kind]) for kind in ENTITY_KINDS]).tolist(), strict=False)
        )
        self.counts = {kind: len(names[kind]) for kind in ENTITY_KINDS}
        self.edges: Int64[np.ndarray, " R"] = np.zeros(len(RELATIONS), dtype=np.int64)
        self._names = pl.concat([names[kind].cast(pl.String).rename("name") for kind in ENTITY_KINDS])
        _check_names(self._names)
        self._touched: Bool[np.ndarray, " E"] = np.zeros(len(self._names), dtype=bool)
        self._writer = writer
        self._hash = ContentHash(self._names, folder)

    def add(self, rows: pl.DataFrame) -> None:
        """Write the next edges.

        Args:
            rows: head, relation and tail as ids; support; first and last frames of the ranges, as lists.
        """
        if rows.is_empty():
            return
        triples = rows.select("head", "relation", "tail").cast(pl.Int64).to_numpy()
        support = rows["support"].cast(pl.Float32)
        first, last = (rows[name].explode(empty_as_null=False).cast(pl.Int32).to_arrow() for name in ("first", "last"))
        offsets = pa.array(_starts(rows["first"].list.len().to_numpy()), type=pa.int32())
        self._hash.add(triples, support.to_numpy(), offsets, first, last)
        self._touched[triples[:, [0, 2]]] = True
        self.edges += np.bincount(triples[:, 1], minlength=len(RELATIONS))
        relations = pl.Series([relation.name for relation in RELATIONS])
        words = (self._names.gather(triples[:, 0]), relations.gather(triples[:, 1]), self._names.gather(triples[:, 2]))
        spans = pa.StructArray.from_arrays([first, last], fields=list(RANGES.value_type))
        columns = [pc.cast(word.to_arrow(), pa.string()) for word in words]
        columns += [support.to_arrow(), pa.ListArray.from_arrays(offsets, spans, type=RANGES)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))

    def end(self, rule: Mapping[str, Any], split_hash: str | None) -> str:
        """Write the header; returns the hash of the graph.

        Raises:
            KgclipError: more entities have no edge than a header can name.
        """
        kinds = np.repeat(np.arange(len(ENTITY_KINDS), dtype=np.int8), list(self.counts.values()))
        digest = self._hash.end(kinds, rule, split_hash)
        alone = np.flatnonzero(~self._touched)
        if len(alone) > _MOST_ISOLATED:
            raise KgclipError(
                f"{len(alone):,} clips have neither a label nor a movement, and a graph can name {_MOST_ISOLATED:,} of "
                "those; leave them out of the table of clips"
            )
        isolated = {
            kind: self._names.gather(alone[kinds[alone] == number]).to_list()
            for number, kind in enumerate(ENTITY_KINDS)
            if (kinds[alone] == number).any()
        }
        write_header(self._writer, header_of(digest, dict(rule), split_hash, isolated))
        return digest


class ContentHash:
    """What `KnowledgeGraph.hash` is, of edges that come in parts.

    Args:
        names: of all entities.
        folder: an empty one, for the bytes of arrays, which come after the text of all edges.
    """

    def __init__(self, names: pl.Series, folder: Path):
        self._digest = hashlib.sha256(b"[[")
        self._later = folder / "triples", folder / "supports"
        self._any = False
        for start in range(0, len(names), _STEP):
            self._list(json.dumps(names[start : start + _STEP].to_list())[1:-1])
        self._digest.update(b"], [")
        self._any = False

    def add(
        self,
        triples: Int64[np.ndarray, "N 3"],
        support: Float32[np.ndarray, " N"],
        offsets: pa.Array,
        first: pa.Array,
        last: pa.Array,
    ) -> None:
        """Take the next edges; the ranges of edge i are those from offset i to offset i + 1."""
        spans = _side_by_side("[", pc.cast(first, pa.string()), ", ", pc.cast(last, pa.string()), "]")
        edges = _side_by_side("[", _with_commas(pa.ListArray.from_arrays(offsets, spans)), "]")
        self._list(_with_commas(pa.ListArray.from_arrays([0, len(triples)], edges))[0].as_py())
        for file, array, layout in zip(self._later, (triples, support), ("<i8", "<f4"), strict=True):
            with file.open("ab") as later:
                later.write(np.ascontiguousarray(array, dtype=layout).tobytes())

    def end(self, kinds: Int8[np.ndarray, " E"], rule: Mapping[str, Any], split_hash: str | None) -> str:
        """The SHA-256 in hex, after all edges."""
        rest = json.dumps([dict(rule), split_hash], sort_keys=True)
        self._digest.update(f"], {rest[1:]}".encode())
        self._digest.update(kinds.tobytes())
        for file in filter(Path.exists, self._later):
            with file.open("rb") as later:
                while block := later.read(_STEP):
                    self._digest.update(block)
        return self._digest.hexdigest()

    def _list(self, text: str) -> None:
        """Items of the list that is being written."""
        self._digest.update(f"{', ' if self._any else ''}{text}".encode())
        self._any = True


@contextmanager
def graph_writer(path: Path, names: Mapping[str, pl.Series], folder: Path) -> Iterator[GraphWriter]:
    """Write a graph, atomically; `GraphWriter.end` must come last."""
    with table_writer(path, SCHEMA) as writer:
        yield GraphWriter(names, writer, folder)


def _starts(lengths: Any) -> Int64[np.ndarray, " _"]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _side_by_side(*texts: Any) -> Any:
    return pc.call_function(
        "binary_join_element_wise", [*(pa.scalar(t) if isinstance(t, str) else t for t in texts), ""]
    )


def _with_commas(lists: pa.ListArray) -> Any:
    return pc.call_function("binary_join", [lists, ", "])


def _check_names(names: pl.Series) -> None:
    # Text in Parquet holds no surrogates, and polars takes no pattern that does.
    hidden = names.str.contains(HIDDEN.pattern.replace("\ud800-\udfff", ""))
    doubtful = hidden | ~names.str.len_chars().is_between(1, LONGEST_NAME)
    for name in names.filter(doubtful).head(1):
        check_name(name)
