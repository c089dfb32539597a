"""Measures the search for the nearest rows: time to build, time of a query, memory, recall.

    python -m tools.search_speed --rows 1000000 --dim 512

Rows are synthetic: numbers with the variance 1/k in dimension k, so that a few dimensions hold most of it, as in
embeddings of clips. Queries are drawn in the same way and are no rows. Each step is a process of its own.
"""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from jaxtyping import Float32

from kgclip.search.nearest import Graph, build_graph, nearest_exact, recall, unit_rows

BLOCK, COUNT = 100_000, 10


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    rows: int = 1_000_000
    """N"""
    dim: int = 512
    """F of a row: 256 of the synthetic CLIP, 512 of a CLIP ViT-B"""
    queries: int = 200
    """how many are timed"""
    folder: Path | None = None
    """where the rows are written, to measure on that disk; default: a temporary folder"""


def drawn(rng: np.random.Generator, count: int, dim: int) -> Float32[np.ndarray, "N F"]:
    """Synthetic rows of unit length."""
    scale = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    return unit_rows(rng.standard_normal((count, dim), np.float32) * scale)


def write_rows(folder: Path, options: Options) -> None:
    """Write rows and queries."""
    rng = np.random.default_rng(0)
    np.save(folder / "queries.npy", drawn(rng, options.queries, options.dim))
    shape = (options.rows, options.dim)
    rows = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, options.rows, BLOCK):
        rows[start : start + BLOCK] = drawn(rng, min(BLOCK, options.rows - start), options.dim)
    rows.flush()


def stored(file: Path) -> Float32[np.ndarray, "N F"]:
    """Rows on disk."""
    return np.lib.format.open_memmap(file, mode="r")


def search_exact(folder: Path) -> dict[str, Any]:
    """Every row compared with every query."""
    rows, queries = stored(folder / "rows.npy"), stored(folder / "queries.npy")
    return _timed(lambda query: nearest_exact(rows, query, COUNT)[0], queries)


def build(folder: Path) -> dict[str, Any]:
    """The graph of usearch."""
    rows = stored(folder / "rows.npy")
    started = time.perf_counter()
    build_graph(rows, np.arange(len(rows)), folder / "rows.usearch")
    size = (folder / "rows.usearch").stat().st_size
    return {"seconds": time.perf_counter() - started, "memory": peak_bytes(), "file": size}


def search_graph(folder: Path) -> dict[str, Any]:
    """The same queries by usearch."""
    queries = stored(folder / "queries.npy")
    ids = np.arange(len(stored(folder / "rows.npy")))
    graph = Graph(folder / "rows.usearch", ids, queries.shape[1])
    return _timed(lambda query: graph.nearest(query, COUNT)[0], queries)


def _timed(search: Any, queries: Float32[np.ndarray, "Q F"]) -> dict[str, Any]:
    found, seconds = [], []
    search(queries[0])  # the first reads the file
    for query in queries:
        started = time.perf_counter()
        found.append(search(query).tolist())
        seconds.append(time.perf_counter() - started)
    return {"found": found, "milliseconds": np.percentile(seconds, [50, 99]) * 1e3, "memory": peak_bytes()}


def peak_bytes() -> int:
    """The most memory this process had, with pages of files that it read."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measured(folder: Path, options: Options) -> list[str]:
    """The lines of the table."""
    results = []
    for step in (search_exact, build, search_graph):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results.append(pool.submit(step, folder).result())
    exact, built, graph = results
    share = recall(graph["found"], exact["found"])

    def line(name: str, built_s: float, found: dict[str, Any], recall_of: float, size: int) -> str:
        p50, p99 = found["milliseconds"]
        sizes = " | ".join(f"{value / 2**20:,.0f} MB" for value in (found["memory"], size))
        return f"| {name} | {built_s:,.0f} s | {p50:.1f} | {p99:.1f} | {sizes} | {recall_of:.3f} |"

    return [
        f"{options.rows:,} rows of {options.dim} dimensions, {options.queries} queries for {COUNT} rows each; "
        f"building the graph took {built['memory'] / 2**20:,.0f} MB.",
        "",
        "| search | build | query p50, ms | p99, ms | memory | file | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        line("numpy, exact", 0, exact, 1.0, (folder / "rows.npy").stat().st_size),
        line("usearch", built["seconds"], graph, share, built["file"]),
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = tyro.cli(Options, args=argv, description=__doc__)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_rows(folder, options)
        print("\n".join(measured(folder, options)))


if __name__ == "__main__":
    main()
