"""The rows nearest to a vector: every row compared by numpy up to a million, beyond that a graph of usearch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int64

from kgclip.errors import KgclipError
from kgclip.files import atomic_path

if TYPE_CHECKING:
    from usearch.index import Index

# Rows that are compared one by one; more of them are found by usearch.
MOST_EXACT = 1_000_000
# Neighbors of a row in the graph, and candidates looked at when one is added and when one is looked for.
NEIGHBORS, TRIED_ADDING, TRIED_SEARCHING = 16, 64, 512

Found = tuple[Int64[np.ndarray, " C"], Float32[np.ndarray, " C"]]
"""Rows and their cosines, the nearest first."""


def nearest_exact(vectors: Float32[np.ndarray, "N F"], query: Float32[np.ndarray, " F"], count: int) -> Found:
    """The nearest of all rows, both of unit length."""
    cosines = vectors @ query
    count = min(count, len(cosines))
    rows = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)
    rows = rows[np.lexsort((rows, -cosines[rows]))]
    return rows, cosines[rows]


def build_graph(
    vectors: Float32[np.ndarray, "N F"], ids: Int64[np.ndarray, " N"], path: Path, before: Path | None = None
) -> None:
    """Write the graph of these rows.

    Args:
        vectors: of unit length.
        ids: of the rows; a row keeps its own for life.
        path: the file to write.
        before: an earlier graph, from which rows that are gone are taken, and to which only new ones are added.

    Raises:
        KgclipError: usearch is not installed.
    """
    graph, known = _graph(vectors.shape[1]), np.empty(0, np.int64)
    if before is not None:
        graph.load(str(before))
        known = np.asarray(graph.keys[:]).astype(np.int64)
    gone = np.setdiff1d(known, ids)
    if len(gone):
        graph.remove(gone.astype(np.uint64))
    new = ~np.isin(ids, known)
    if new.any():
        graph.add(ids[new].astype(np.uint64), vectors[new])
    with atomic_path(path) as temporary:
        graph.save(str(temporary))


class Graph:
    """The graph in a file, which is read from the disk as far as a search needs it.

    Args:
        path: that :func:`build_graph` wrote.
        ids: of the rows, ascending.
        dim: F.

    Raises:
        KgclipError: usearch is not installed.
    """

    def __init__(self, path: Path, ids: Int64[np.ndarray, " N"], dim: int):
        self._ids, self._graph = ids, _graph(dim)
        self._graph.view(str(path))

    def nearest(self, query: Float32[np.ndarray, " F"], count: int) -> Found:
        """Nine in ten of the nearest rows (docs/search.md), by vectors rounded to bfloat16."""
        matches = self._graph.search(query, count)
        rows = np.searchsorted(self._ids, np.asarray(matches.keys).astype(np.int64))
        return rows, 1 - np.asarray(matches.distances, dtype=np.float32)


def _graph(dim: int) -> "Index":
    try:
        from usearch.index import Index
    except ImportError:
        raise KgclipError(
            f"usearch: is not installed, and more than {MOST_EXACT:,} rows are searched by it; "
            "install it with `pip install 'kgclip[search]'`"
        ) from None
    return Index(
        ndim=dim,
        metric="cos",
        dtype="bf16",
        connectivity=NEIGHBORS,
        expansion_add=TRIED_ADDING,
        expansion_search=TRIED_SEARCHING,
    )


def unit_rows(vectors: Float32[np.ndarray, "N F"]) -> Float32[np.ndarray, "N F"]:
    """Rows at unit length; a row of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def recall(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    """The share of the nearest rows that was found."""
    return float(np.mean([len(set(some) & set(every)) / len(every) for some, every in zip(found, exact, strict=True)]))
