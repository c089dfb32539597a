"""The rows of an index: stretches of clips as a model read them, in columns."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float16, Float32, Float64, Int64, UInt8
from safetensors import SafetensorError, safe_open

from kgclip.errors import KgclipError
from kgclip.files import check_safetensors, read_table, save_tensors, write_table
from kgclip.reading import one_sentence

VERSION = 1
ROWS_FILE, SPANS_FILE, TENSORS_FILE = "rows.parquet", "spans.parquet", "rows.safetensors"
# Columns with the kinds of their numpy types.
_SPANS = {"row": "i", "movement": "i", "start_s": "f", "end_s": "f", "strength": "f"}
_PLACES = {"id": "i", "clip": "O", "start_s": "f", "end_s": "f"}
_TENSORS = {"vectors": np.float32, "probability": np.float16, "sketches": np.uint8}


class Seen(NamedTuple):
    """A movement, by its position among the model's, and when it was seen how strongly."""

    movement: int
    start_s: float
    end_s: float
    strength: float


@dataclass(frozen=True)
class Reading:
    """One stretch of a clip: all of it, unless it is much longer than the clips of training.

    Attributes:
        start_s, end_s: where it lies, in seconds.
        vector: the mean of its frames' embeddings, at unit length.
        probability: stated, of each action.
        sketch: few small gray frames, by which near-identical clips are found.
        seen: movements, with times in seconds of the clip.
    """

    start_s: float
    end_s: float
    vector: Float32[np.ndarray, " F"]
    probability: Float32[np.ndarray, " K"]
    sketch: UInt8[np.ndarray, " P"]
    seen: tuple[Seen, ...]


@runtime_checkable
class Reader(Protocol):
    """What reads clips for an index: :class:`kgclip.search.reading.ClipReader`."""

    @property
    def identity(self) -> dict[str, Any]:
        """What readings depend on, as plain JSON values: "model" and "pose"."""
        ...

    def vocabulary(self) -> dict[str, Any]:
        """What can be asked of what it reads, as plain JSON values."""
        ...

    def read(self, path: Path) -> list[Reading]:
        """The stretches of a clip, in order of time; raises KgclipError for a file that cannot be read."""
        ...

    def text_vector(self, text: str) -> Float32[np.ndarray, " F"]:
        """The embedding of a text, at unit length."""
        ...


@dataclass(frozen=True)
class Spans:
    """Movements seen in rows, in columns.

    Attributes:
        row: position of the row.
        movement: position among the model's.
        start_s, end_s, strength: as of :class:`kgclip.engine.explanation.Span`.
    """

    row: Int64[np.ndarray, " S"]
    movement: Int64[np.ndarray, " S"]
    start_s: Float64[np.ndarray, " S"]
    end_s: Float64[np.ndarray, " S"]
    strength: Float64[np.ndarray, " S"]

    def of(self, chosen: Bool[np.ndarray, " S"] | Int64[np.ndarray, " _"]) -> "Spans":
        """Those chosen, by a mask or by their positions."""
        return Spans(*(column[chosen] for column in vars(self).values()))

    def items(self) -> list[Seen]:
        """One by one."""
        columns = (self.movement, self.start_s, self.end_s, self.strength)
        return [Seen(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]

    @classmethod
    def load(cls, folder: Path) -> "Spans":
        """Read them.

        Raises:
            KgclipError: the file is missing or damaged.
        """
        table, _ = read_table(folder / SPANS_FILE, "search spans", VERSION, most_rows=10**9)
        return cls(*_columns(folder / SPANS_FILE, table, _SPANS))


@dataclass(frozen=True)
class Places:
    """Where rows come from, in columns.

    Attributes:
        ids: that rows keep for life, ascending.
        clips: SHA-256 of the clip's file.
        start_s, end_s: of the stretch.
    """

    ids: Int64[np.ndarray, " N"]
    clips: np.ndarray
    start_s: Float64[np.ndarray, " N"]
    end_s: Float64[np.ndarray, " N"]

    @classmethod
    def load(cls, folder: Path) -> "Places":
        """Read them.

        Raises:
            KgclipError: the file is missing or damaged.
        """
        table, _ = read_table(folder / ROWS_FILE, "search rows", VERSION)
        return cls(*_columns(folder / ROWS_FILE, table, _PLACES))


@dataclass(frozen=True)
class Rows:
    """All columns of rows."""

    places: Places
    vectors: Float32[np.ndarray, "N F"]
    probability: Float16[np.ndarray, "N K"]
    sketches: UInt8[np.ndarray, "N P"]
    spans: Spans

    @classmethod
    def of(cls, readings: Sequence[tuple[str, Reading]]) -> "Rows":
        """The rows of at least one reading, each with the SHA-256 of its clip's file."""
        clips, read = zip(*readings, strict=True)
        seen = [(row, *item) for row, reading in enumerate(read) for item in reading.seen]
        spans = np.array(seen, dtype=np.float64).reshape(-1, 5).T
        return cls(
            Places(
                np.arange(len(read)),
                np.array(clips, dtype=object),
                np.array([reading.start_s for reading in read]),
                np.array([reading.end_s for reading in read]),
            ),
            np.stack([reading.vector for reading in read]),
            np.stack([reading.probability for reading in read]).astype(np.float16),
            np.stack([reading.sketch for reading in read]),
            Spans(spans[0].astype(np.int64), spans[1].astype(np.int64), *spans[2:]),
        )

    def only(self, clips: Collection[str]) -> "Rows":
        """The rows of these clips, with their ids."""
        keep = np.array([clip in clips for clip in self.places.clips], dtype=bool)
        places = Places(**{name: column[keep] for name, column in vars(self.places).items()})
        spans = self.spans.of(keep[self.spans.row])
        spans = replace(spans, row=(np.cumsum(keep) - 1)[spans.row])
        return Rows(places, self.vectors[keep], self.probability[keep], self.sketches[keep], spans)

    def save(self, folder: Path) -> None:
        """Write three files into a folder."""
        places = zip(("id", "clip", "start_s", "end_s"), vars(self.places).values(), strict=True)
        write_table(pa.table(dict(places)), folder / ROWS_FILE, {"content": "search rows", "version": VERSION})
        write_table(pa.table(vars(self.spans)), folder / SPANS_FILE, {"content": "search spans", "version": VERSION})
        columns = {"vectors": self.vectors, "probability": self.probability, "sketches": self.sketches}
        save_tensors({name: torch.from_numpy(column) for name, column in columns.items()}, folder / TENSORS_FILE)

    @classmethod
    def load(cls, folder: Path) -> "Rows":
        """Read what :meth:`save` wrote.

        Raises:
            KgclipError: a file is missing or damaged.
        """
        columns = {name: load_column(folder, name) for name in ("vectors", "probability", "sketches")}
        return cls(Places.load(folder), spans=Spans.load(folder), **columns)


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other; those of the first part keep their ids, all others get new ones."""
    first = parts[0].places.ids
    next_id = int(first[-1]) + 1 if len(first) else 0
    lengths = [len(part.places.ids) for part in parts]
    starts = np.cumsum([0, *lengths])
    new = np.arange(next_id, next_id + int(starts[-1]) - len(first))
    places = {name: np.concatenate([vars(part.places)[name] for part in parts]) for name in vars(parts[0].places)}
    spans = {name: np.concatenate([vars(part.spans)[name] for part in parts]) for name in vars(parts[0].spans)}
    spans["row"] += np.repeat(starts[:-1], [len(part.spans.row) for part in parts])
    columns = ("vectors", "probability", "sketches")
    return Rows(
        Places(**(places | {"ids": np.concatenate([first, new])})),
        spans=Spans(**spans),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
    )


def load_column(folder: Path, name: str) -> np.ndarray:
    """One of the columns vectors, probability, sketches.

    Raises:
        KgclipError: the file is missing or damaged.
    """
    file = folder / TENSORS_FILE
    check_safetensors(file)
    try:
        with safe_open(file, framework="np") as tensors:
            column = tensors.get_tensor(name)
    except (SafetensorError, OSError, MemoryError) as error:
        raise KgclipError(
            f"{file}: cannot be read ({error}); if `kgclip index` renews it now, ask again, else make it again"
        ) from None
    if column.ndim != 2 or column.dtype != _TENSORS[name]:
        raise KgclipError(f"{file}: holds other {name} than those of an index; make the index again")
    return column


def _columns(file: Path, table: pa.Table, kinds: Mapping[str, str]) -> list[np.ndarray]:
    with one_sentence(file, "columns of an index"):
        columns = [table[name].to_numpy() for name in kinds]
        if any(c.dtype.kind != kind for c, kind in zip(columns, kinds.values(), strict=True)) or any(
            table[name].null_count for name in kinds
        ):
            raise ValueError(f"types {', '.join(str(column.dtype) for column in columns)}")
        return columns
