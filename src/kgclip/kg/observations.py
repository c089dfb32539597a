"""What annotators saw: the state of every body part, frame by frame."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kgclip.errors import KgclipError
from kgclip.files import read_table, write_table
from kgclip.reading import one_sentence

PARTS_SCHEMA: dict[str, pl.DataType] = {
    "clip": pl.Categorical(),
    "frame": pl.Int32(),
    "human": pl.Int16(),
    "part": pl.Categorical(),
    "state": pl.Categorical(),
    "object": pl.Categorical(),
}
FRAMES_SCHEMA: dict[str, pl.DataType] = {"clip": pl.Categorical(), "frame": pl.Int32()}

_CONTENT, _VERSION = "observations table", 2


@dataclass(frozen=True, eq=False)
class Observations:
    """The part annotations of some clips.

    ``parts`` has one row per annotated body part: clip, frame (1-based image index), human (index in the frame), part,
    state and object (null: none), names with spaces. ``frames`` has one row per annotated frame (clip, frame), also
    for frames without humans: it is what supports are shares of. Names are categorical: millions of rows hold few.

    Raises:
        KgclipError: columns or their types differ from these, or a part stands in a frame that ``frames`` lacks.
    """

    parts: pl.DataFrame
    frames: pl.DataFrame

    def __post_init__(self) -> None:
        for name, table, schema in (("parts", self.parts, PARTS_SCHEMA), ("frames", self.frames, FRAMES_SCHEMA)):
            if table.schema != pl.Schema(schema):
                raise KgclipError(f"observations: {name} has columns {dict(table.schema)}, expected {schema}")
        unknown = _places(self.parts).join(self.frames, on=["clip", "frame"], how="anti").head(1)
        if len(unknown):
            raise KgclipError(
                f"observations: frame {unknown['frame'][0]} of clip {unknown['clip'][0]!r} has parts but is not "
                "in the list of annotated frames"
            )

    def only(self, clips: Collection[str]) -> "Observations":
        """Keep the observations of these clips only."""
        wanted = pl.col("clip").is_in(pl.Series(list(clips), dtype=pl.String).implode())
        return Observations(self.parts.filter(wanted), self.frames.filter(wanted))

    def save(self, path: Path) -> None:
        """Write one Parquet file, atomically; a frame without parts becomes a row whose part is null."""
        empty = self.frames.join(_places(self.parts), on=["clip", "frame"], how="anti")
        rows = pl.concat([self.parts, empty], how="diagonal")
        write_table(rows.to_arrow(), path, {"content": _CONTENT, "version": _VERSION})

    @classmethod
    def load(cls, path: Path) -> "Observations":
        """Read what ``save`` wrote; parts keep their order, frames come sorted and once each.

        Raises:
            KgclipError: the file is missing, damaged or holds something else.
        """
        table, _ = read_table(path, _CONTENT, _VERSION)
        with one_sentence(path, f"an {_CONTENT}"):
            rows = pl.DataFrame(table)
        if rows.schema != pl.Schema(PARTS_SCHEMA):
            raise KgclipError(f"{path}: has columns {dict(rows.schema)}, expected {PARTS_SCHEMA}; write it again")
        frames = _places(rows).unique().sort("clip", "frame")
        return cls(rows.filter(pl.col("part").is_not_null()), frames)


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    """The clip and frame of every row that differs from the row before in one of them: few rows, seldom one twice."""
    changes = pl.any_horizontal(pl.col(column).ne_missing(pl.col(column).shift()) for column in FRAMES_SCHEMA)
    return rows.lazy().select(*FRAMES_SCHEMA).filter(changes).collect()
