"""Time, memory and disk of a graph that is built from Parquet tables in parts.

    python -m benchmarks.big_graph --clips 100000 1000000 10000000

Makes the tables of so many clips, with nine movements each over three annotated frames: every file holds clips from
all over, so that nothing lies where it is wanted. Each graph is built by `kgclip kg build` in a process of its own,
which is ended where it takes more memory than allowed. Everything is written to a folder that is removed. Prints a
table.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import tyro

from kgclip.kg.movement import PARTS

STATES, OBJECTS = [f"state{number}" for number in range(10)], [None, "ball", "bar"]
WORDS = [(part, state, thing) for part in PARTS for state in STATES for thing in OBJECTS]
MOVEMENTS_OF_CLIP, FRAMES, ACTIONS, CLIPS_OF_FILE = 9, np.array([1, 6, 11], dtype=np.int32), 400, 100_000


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    clips: Annotated[tuple[int, ...], tyro.conf.arg(help="numbers of clips")] = (100_000, 1_000_000, 10_000_000)
    folder: Path | None = None
    """where the tables and graphs are written; a temporary folder is made in it"""
    most_gib: float = 8.0
    """memory at which a build is ended"""


def annotation_rows(clips: np.ndarray) -> pl.DataFrame:
    """What the annotators of these clips saw; follows from the clips' numbers."""
    numbers = clips.astype(np.uint64)[:, None] * np.uint64(MOVEMENTS_OF_CLIP) + np.arange(
        MOVEMENTS_OF_CLIP, dtype=np.uint64
    )
    drawn = (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    apart = len(WORDS) // MOVEMENTS_OF_CLIP
    words = (clips[:, None] % ACTIONS + apart * np.arange(MOVEMENTS_OF_CLIP) + (drawn % 8).astype(np.int64)) % len(
        WORDS
    )
    seen = ((drawn // 8 % 7 + 1).astype(np.int64)[..., None] >> np.arange(len(FRAMES))) & 1 == 1
    clip, _, frame = np.nonzero(seen)
    part, state, thing = zip(*WORDS, strict=True)
    columns = {"part": part, "state": state, "object": thing}
    rows = pl.Series(words.repeat(seen.sum(axis=2).ravel()))
    return pl.DataFrame(
        {"clip": clip_names(clips).gather(clip), "frame": FRAMES[frame], "human": np.zeros(len(clip), dtype=np.int16)}
        | {name: pl.Series(values, dtype=pl.Categorical).gather(rows) for name, values in columns.items()}
    )


def clip_names(clips: np.ndarray) -> pl.Series:
    """The names of clips."""
    return pl.select(pl.format("clip_{}", pl.Series(clips).cast(pl.String).str.zfill(9))).to_series()


def make_tables(count: int, folder: Path) -> None:
    """Write the table of the clips, and their annotations in files of CLIPS_OF_FILE clips."""
    (folder / "annotations").mkdir()
    files = -(-count // CLIPS_OF_FILE)
    for number in range(files):
        rows = annotation_rows(np.arange(number, count, files))
        rows.write_parquet(folder / "annotations" / f"{number:05}.parquet")
    clips = np.arange(count)
    actions = pl.Series([f"action {number}" for number in range(ACTIONS)]).gather(clips % ACTIONS)
    pl.DataFrame({"clip": clip_names(clips), "action": actions}).write_parquet(folder / "clips.parquet")


def built(words: list[str], most_bytes: float) -> dict[str, float]:
    """Run a command to its end: its edges, seconds by the clock and of processors, and the most bytes it took.

    Raises:
        SystemExit: it took more memory than allowed, or failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        status = Path(f"/proc/{process.pid}/statm")
        while process.poll() is None:
            pages = status.read_text().split()
            if len(pages) > 1 and int(pages[1]) * os.sysconf("SC_PAGE_SIZE") > most_bytes:
                process.kill()
                raise SystemExit(f"{' '.join(words)}: took more than {most_bytes / 2**30:.1f} GiB")
            time.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}: ended with {process.returncode}")
        counts = json.loads(process.stdout.read() if process.stdout else "{}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "edges": sum(counts["edges"].values()),
        "seconds": time.perf_counter() - started,
        "cpu": used.ru_utime + used.ru_stime,
        "bytes": 1024 * used.ru_maxrss,
    }


def measure(count: int, folder: Path, most_bytes: float) -> dict[str, float]:
    """Make the tables, build the graph, and say what it took."""
    make_tables(count, folder)
    graph = folder / "graph.parquet"
    tables = ["--data", str(folder / "clips.parquet"), "--annotations", str(folder / "annotations")]
    words = [sys.executable, "-m", "kgclip", "kg", "build", *tables, "--json", "--out", str(graph)]
    row = built(words, most_bytes)
    rows = sum(file.stat().st_size for file in folder.rglob("*.parquet")) - graph.stat().st_size
    return row | {"tables": rows, "graph": graph.stat().st_size}


def main(options: Options) -> None:
    """Measure and print."""
    print("| clips | edges | seconds | CPU seconds | memory, GiB | tables, GiB | graph, GiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for count in options.clips:
        with tempfile.TemporaryDirectory(prefix="kgclip-big-graph-", dir=options.folder) as folder:
            row = measure(count, Path(folder), options.most_gib * 2**30)
        sizes = " | ".join(f"{row[name] / 2**30:.2f}" for name in ("bytes", "tables", "graph"))
        print(f"| {count:,} | {row['edges']:,} | {row['seconds']:.0f} | {row['cpu']:.0f} | {sizes} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
