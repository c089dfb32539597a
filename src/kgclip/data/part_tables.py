"""Graphs from part annotations in Parquet tables, whose clips are a data set's or a table's too."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from kgclip.data.dataset import open_dataset
from kgclip.data.splits import SplitOptions, make_split
from kgclip.data.vocabulary import Vocabulary
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule, named_movements
from kgclip.kg.build_in_parts import Tables, build_in_parts
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.movement import PARTS
from kgclip.kg.shipped import definitions_for
from kgclip.kg.tables import WORDS, read_clips, scan_annotations, unknown_words, words_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartTables:
    """Which clips a graph is built of.

    Attributes:
        clips: clip and action (null: no label) of the training clips, sorted by clip.
        vocabulary: of the data set, if it has one.
        split_hash: of the split that the clips come from; None where a table lists them.
    """

    clips: pl.DataFrame
    vocabulary: Vocabulary | None = None
    split_hash: str | None = None

    @classmethod
    def of_table(cls, path: Path) -> "PartTables":
        """The clips that a table lists."""
        return cls(read_clips(path))

    @classmethod
    def of_dataset(cls, path: Path, source_pattern: str | None, options: SplitOptions, validate: bool) -> "PartTables":
        """The training clips of a data set's split."""
        dataset = open_dataset(path, source_pattern=source_pattern)
        split = make_split(dataset, options, validate=validate)
        labelled = set(split.labelled)
        actions = [dataset.by_id[clip].action if clip in labelled else None for clip in split.train]
        columns = {"clip": pl.Series(split.train, dtype=pl.String), "action": pl.Series(actions, dtype=pl.String)}
        return cls(pl.DataFrame(columns).sort("clip"), dataset.vocabulary, split.hash)

    def build(
        self,
        annotations: Path,
        rule: MovementRule,
        out: Path,
        *,
        definitions: Path | None = None,
        graphs: Sequence[KnowledgeGraph] = (),
        keep_going: bool = False,
    ) -> dict[str, Any]:
        """Write the graph; returns its counts and hash.

        Args:
            annotations: a Parquet file, or a folder of them.
            rule: which movements enter.
            out: Parquet file to write.
            definitions, graphs: that are merged with it.
            keep_going: leave rows of unknown words out with a warning.

        Raises:
            KgclipError: damaged tables, unknown words, or what merging raises.
        """
        scan = scan_annotations(annotations)
        rows = words_of(scan, annotations)
        known = self.vocabulary
        parts = {"part": known.parts, "state": known.states, "object": known.objects} if known else {"part": PARTS}
        words, problem = unknown_words(rows, parts)
        if problem:
            if not keep_going:
                raise KgclipError(f"{annotations}: has {problem}; correct them, or leave them out with --keep-going")
            logger.warning("%s: has %s; these rows are left out", annotations, problem)
        others = list(graphs)
        if definitions is not None:
            actions = self.clips["action"].cast(pl.String).drop_nulls().unique().sort().to_list()
            movements = named_movements(words)["movement"].cast(pl.String).unique().to_list()
            states = known.states if known else ()
            others.append(definitions_for(definitions, actions, movements=movements, states=states))
        tables = Tables(self.clips, scan, words.select(WORDS), int(rows["rows"].sum()), annotations)
        return build_in_parts(tables, rule, out, split_hash=self.split_hash, others=others)
