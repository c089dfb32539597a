"""Graphs of more clips than memory holds: built from tables on disk, a range of clips at a time.

Polars streams the rows into one folder for each range of clips; each range is read alone. What takes all clips to know,
how many show a movement and how much an action's clips do, is summed up on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kgclip.errors import KgclipError
from kgclip.files import folder_beside
from kgclip.kg.build import MovementRule, merge, named_movements, shown_ranges
from kgclip.kg.formats.parts import graph_writer
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS, relation_id
from kgclip.kg.tables import WORDS, reading

ROWS_OF_A_PART = 4_000_000
_MOST_FILES = 256  # that are open at once


@dataclass(frozen=True)
class Tables:
    """What a graph is built from.

    Attributes:
        clips: clip and action (null: no label) of the training clips, sorted by clip.
        annotations: as `kgclip.kg.tables.scan_annotations` gives them; rows of other clips are left out.
        words: part, state and object of the rows that count, once each.
        num_rows: of the annotations, about.
        path: of the annotations, for messages.
    """

    clips: pl.DataFrame
    annotations: pl.LazyFrame
    words: pl.DataFrame
    num_rows: int
    path: Path


@dataclass(frozen=True)
class _Piece:
    """What the clips from ``low`` up to ``high`` show: rows of `shown_ranges`, in a file, and sums of them.

    Attributes:
        annotated: number of clips with an annotated frame.
        clips_of_movement: movement, value.
        clips_of_action: action, value; only annotated clips count.
        supports: action, movement, value.
    """

    low: int
    high: int
    file: Path
    annotated: int
    clips_of_movement: pl.DataFrame
    clips_of_action: pl.DataFrame
    supports: pl.DataFrame


def build_in_parts(
    tables: Tables,
    rule: MovementRule,
    out: Path,
    *,
    split_hash: str | None = None,
    others: Sequence[KnowledgeGraph] = (),
) -> dict[str, Any]:
    """Write the graph that `kgclip.kg.build.build_graph` makes of the same labels and observations.

    Memory holds the names of all clips, and a range of clips at a time.

    Args:
        tables: clips and their annotations.
        rule: which movements enter.
        out: Parquet file to write; its folder holds the parts meanwhile.
        split_hash: of the split that the clips come from.
        others: definitions and graphs without clips, which are merged with it.

    Returns:
        The number of entities of each kind and of edges of each relation, and the graph's hash.

    Raises:
        KgclipError: damaged tables, an unusable name, or one of the others holds clips.
    """
    if any(graph.entities("video") for graph in others):
        raise KgclipError(f"{out}: a graph with clips does not merge with tables; put its clips into the tables")
    with folder_beside(out) as folder:
        build = _Build(tables, folder)
        pieces = [build.piece(*part, rule.min_support) for part in build.parts()]
        kept, shares = build.all_clips(pieces, rule)
        own = KnowledgeGraph.from_edges(
            shares,
            isolated={"action": build.actions, "movement": build.movements.gather(kept)},
            rule={"source": "annotations", **asdict(rule)},
            split_hash=split_hash,
        )
        without_clips = reduce(merge, others, own)
        names = {kind: pl.Series(without_clips.entities(kind), dtype=pl.String) for kind in ENTITY_KINDS}
        with graph_writer(out, names | {"video": build.clips["clip"]}, folder) as writer:
            actions = names["action"].search_sorted(build.actions) + writer.first_id["action"]
            movements = names["movement"].search_sorted(build.movements) + writer.first_id["movement"]
            for piece in pieces:
                writer.add(build.edges(piece, kept, actions, movements))
            writer.add(_edges_of_actions(without_clips, writer.first_id["action"]))
            digest = writer.end(without_clips.rule, without_clips.split_hash)
    edges = zip((relation.name for relation in RELATIONS), writer.edges.tolist(), strict=True)
    return {"entities": writer.counts, "edges": dict(edges), "hash": digest}


class _Build:
    """Clips, actions and movements stand for their position among all of their kind, sorted."""

    def __init__(self, tables: Tables, folder: Path):
        self.tables, self.folder = tables, folder
        labels = tables.clips["action"].cast(pl.String)
        self.actions = labels.drop_nulls().unique().sort()
        self.clips = tables.clips.select("clip", action=_positions(labels, self.actions))
        named = named_movements(tables.words).with_columns(pl.col("movement").cast(pl.String))
        self.movements = named["movement"].unique().sort()
        self.codes = named.with_columns(movement=_positions(named["movement"], self.movements))

    def parts(self) -> Iterator[tuple[int, int, list[Path]]]:
        """Ranges of clips, and the files with their rows."""
        count = max(1, min(-(-self.tables.num_rows // ROWS_OF_A_PART), _MOST_FILES, len(self.clips)))
        bounds = np.arange(count + 1) * len(self.clips) // count
        self._share_out(self.clips["clip"].gather(bounds[1:-1]))
        for part, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            files = sorted((self.folder / f"part={part}").glob("*.parquet"))
            for start, end in self._steps(files, low, high):
                yield start, end, files

    def _share_out(self, firsts: pl.Series) -> None:
        """Write clip, frame and movement (null: none) to one folder for each range; these clips start the next one."""

        def part(clips: pl.Series) -> pl.Series:
            return firsts.search_sorted(clips, side="right").cast(pl.UInt32)

        rows = self.tables.annotations.join(self.codes.lazy(), on=WORDS, how="left", nulls_equal=True).select(
            "clip",
            "frame",
            "movement",
            part=pl.col("clip").map_batches(part, return_dtype=pl.UInt32, is_elementwise=True),
        )
        folders = pl.PartitionBy(self.folder, key="part", include_key=False)
        with reading(self.tables.path):
            rows.sink_parquet(folders, compression="lz4", maintain_order=False, mkdir=True, engine="streaming")

    def _steps(self, files: list[Path], low: int, high: int) -> Iterator[tuple[int, int]]:
        """A range of clips, in as many steps as memory needs: rows may lie on a few of the clips."""
        rows = pl.scan_parquet(files, glob=False).select(pl.len()).collect().item() if files else 0
        if rows <= 2 * ROWS_OF_A_PART:
            yield low, high
            return
        of_clip = pl.scan_parquet(files, glob=False).group_by("clip").agg(rows=pl.len()).collect(engine="streaming")
        clips = self.clips[low:high].join(of_clip, on="clip", how="left", maintain_order="left")
        step = clips["rows"].fill_null(0).cast(pl.Int64).cum_sum().to_numpy() // ROWS_OF_A_PART
        bounds = low + np.array([0, *(np.flatnonzero(np.diff(step)) + 1), high - low])
        yield from zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)

    def piece(self, low: int, high: int, files: list[Path], min_support: float) -> _Piece:
        """Read a range of clips."""
        clips = self.clips[low:high].with_columns(number=pl.int_range(low, high, dtype=pl.UInt32))
        rows = pl.DataFrame(schema={"clip": pl.UInt32, "frame": pl.Int32, "movement": pl.UInt32})
        if files:
            joined = pl.scan_parquet(files, glob=False).join(clips.lazy().select("clip", "number"), on="clip")
            rows = joined.select(pl.col("number").alias("clip"), "frame", "movement").collect(engine="streaming")
        frames = rows.select("clip", "frame").unique()
        ranges = shown_ranges(rows.drop_nulls("movement").unique(), frames, min_support)
        file = self.folder / f"shown-{low}.parquet"
        ranges.write_parquet(file, compression="lz4")
        actions = clips.select(pl.col("number").alias("clip"), "action")
        shown = ranges.select("clip", "movement", value=pl.col("support").cast(pl.Float32).cast(pl.Float64))
        shown = shown.join(actions, on="clip")
        annotated = frames.select("clip").unique().join(actions, on="clip")
        return _Piece(
            low,
            high,
            file,
            len(annotated),
            shown.group_by("movement").agg(value=pl.len()),
            annotated.drop_nulls().group_by("action").agg(value=pl.len()),
            shown.drop_nulls().group_by("action", "movement").agg(pl.col("value").sum()),
        )

    def all_clips(self, pieces: Sequence[_Piece], rule: MovementRule) -> tuple[pl.Series, list[Edge]]:
        """The movements that are not too common, and what actions consist of."""
        annotated = sum(piece.annotated for piece in pieces)
        tables = self.tables
        if tables.num_rows and not annotated and not tables.clips.is_empty():
            raise KgclipError(
                f"{tables.path}: none of its rows is of the {len(tables.clips)} clips to learn from; expected their "
                f"ids, such as {tables.clips['clip'][0]!r}, in the column clip"
            )
        shown = _summed([piece.clips_of_movement for piece in pieces])
        kept = shown.filter(~(pl.col("value") / annotated > rule.max_clip_share))["movement"].sort()
        clips = _summed([piece.clips_of_action for piece in pieces])
        # Supports are of single precision: sums of millions of them are exact in double precision, in any order.
        supports = _summed([piece.supports for piece in pieces]).join(clips, on="action", suffix="_clips")
        rows = supports.filter(pl.col("movement").is_in(kept.implode())).sort("action", "movement").iter_rows()
        shares = [
            Edge(self.actions[action], "consists_of", self.movements[movement], total / num)
            for action, movement, total, num in rows
        ]
        return kept, shares

    def edges(self, piece: _Piece, kept: pl.Series, actions: pl.Series, movements: pl.Series) -> pl.DataFrame:
        """What a range of clips performs and shows, as `GraphWriter.add` takes it.

        Args:
            piece: of the clips.
            kept: movements that are not too common.
            actions, movements: their ids in the graph.
        """
        numbers = pl.int_range(piece.low, piece.high, dtype=pl.UInt32)
        performs = self.clips[piece.low : piece.high].select(head=numbers, tail="action", support=1.0).drop_nulls()
        performs = performs.with_columns(
            actions.gather(performs["tail"]).alias("tail"), relation=relation_id("performs")
        )
        shows = pl.read_parquet(piece.file).filter(pl.col("movement").is_in(kept.implode()))
        shows = shows.rename({"clip": "head"}).with_columns(
            movements.gather(shows["movement"]).alias("tail"), relation=relation_id("shows")
        )
        rows = pl.concat([shows, performs], how="diagonal").sort("head", "relation", "tail")
        return rows.with_columns(pl.col("first", "last").fill_null([]))


def _positions(values: pl.Series, names: pl.Series) -> pl.Series:
    """Where each value stands among the sorted names; null where it is null."""
    return values.cast(pl.Enum(names)).to_physical().cast(pl.UInt32)


def _summed(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The values of equal keys of all parts, added up."""
    rows = pl.concat(parts)
    return rows.group_by([column for column in rows.columns if column != "value"]).agg(pl.col("value").sum())


def _edges_of_actions(graph: KnowledgeGraph, first_action: int) -> pl.DataFrame:
    """The edges of a graph without clips, for one that has them before its actions."""
    head, relation, tail = (graph.triples.T + first_action * np.array([[1], [0], [1]])).tolist()
    rows = pl.DataFrame({"head": head, "relation": relation, "tail": tail, "support": graph.support})
    return rows.with_columns(first=pl.lit([], dtype=pl.List(pl.Int32)), last=pl.lit([], dtype=pl.List(pl.Int32)))
