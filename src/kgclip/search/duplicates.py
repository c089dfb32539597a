"""Near-identical clips: the same bytes, or the same pictures in another size, quality or container."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from kgclip.engine.explanation import rounded
from kgclip.remains import scratch_folder
from kgclip.search.index import SearchIndex
from kgclip.search.nearest import Graph, build_graph, unit_rows

# Correlation of sketches from which on two stretches are called near-identical (docs/search.md).
ALIKE = 0.98
# Rows of which every two are compared; of more, the nearest by usearch.
MOST_COMPARED = 100_000
NEAREST, BLOCK = 10, 4096


@dataclass(frozen=True)
class Stretch:
    """A stretch of a file."""

    file: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Pair:
    """Two stretches of different files.

    Attributes:
        correlation: of their sketches, in [ALIKE, 1].
        same_bytes: whether the files are equal.
    """

    first: Stretch
    second: Stretch
    correlation: float
    same_bytes: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return rounded(asdict(self))


def find_duplicates(index: SearchIndex) -> list[Pair]:
    """All pairs, equal files first and then by correlation.

    Raises:
        KgclipError: there are more rows than are compared one by one, and usearch is not installed.
    """
    places = index.places
    ends = dict(zip(places.clips.tolist(), places.end_s.tolist(), strict=True))

    def stretch(row: int) -> Stretch:
        file = index.clips[places.clips[row]][0]
        return Stretch(index.path(file), float(places.start_s[row]), float(places.end_s[row]))

    pairs = [
        Pair(Stretch(index.path(files[0]), 0.0, ends[clip]), Stretch(index.path(copy), 0.0, ends[clip]), 1.0, True)
        for clip, files in index.clips.items()
        for copy in files[1:]
    ]
    units = patterns(index.sketches)
    alike = _compared(units) if len(units) <= MOST_COMPARED else _by_graph(units)
    near = [(-value, a, b) for a, b, value in alike if places.clips[a] != places.clips[b]]
    return pairs + [Pair(stretch(a), stretch(b), min(1.0, -value), False) for value, a, b in sorted(near)]


def patterns(sketches: UInt8[np.ndarray, "N P"]) -> Float32[np.ndarray, "N P"]:
    """Sketches whose inner product is their correlation; one of a single gray is like no other."""
    values = sketches.astype(np.float32)
    return unit_rows(values - values.mean(axis=1, keepdims=True))


def _compared(units: Float32[np.ndarray, "N P"]) -> Iterator[tuple[int, int, float]]:
    """Every two rows that are alike, the first of them earlier."""
    for start in range(0, len(units), BLOCK):
        cosines = units[start : start + BLOCK] @ units[start:].T
        for a, b in np.argwhere(np.triu(cosines >= ALIKE, 1)).tolist():
            yield start + a, start + b, float(cosines[a, b])


def _by_graph(units: Float32[np.ndarray, "N P"]) -> Iterator[tuple[int, int, float]]:
    """The same among the nearest few of each row, as far as usearch finds them."""
    ids = np.arange(len(units))
    with scratch_folder("sketches") as folder:
        build_graph(units, ids, folder / "sketches.usearch")
        graph, found = Graph(folder / "sketches.usearch", ids, units.shape[1]), set[tuple[int, int]]()
        for row, unit in enumerate(units):
            near, _ = graph.nearest(unit, NEAREST)
            found |= {(min(row, other), max(row, other)) for other in near.tolist() if other != row}
    for a, b in found:
        if (cosine := float(units[a] @ units[b])) >= ALIKE:
            yield a, b, cosine
