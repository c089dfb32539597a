"""Timing two ways of doing the same: alternating repeats in one run, medians, and the ratio with its range."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

from kgclip.errors import KgclipError

R = TypeVar("R")

REPEATS = 5
# A repeat runs its work as often as it takes to last this long, so that the clock's own error does not count.
LEAST_S = 0.05
# Threads that the work before has left spinning come to rest in this time, and do not slow the next one down.
REST_S = 0.02
# A committed ratio may fall by this much before the check fails.
TOLERANCE = 0.2


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was done.
        against: what it is compared with; None where only the time counts.
        ours, reference: medians of what was measured.
        ratio: median over the repeats of reference / ours; low and high are the least and greatest repeat.
        goal: the least ratio, or, without a reference, the most that ours may be.
        unit: of ours, reference and a goal without reference: seconds, or what else was measured.
    """

    name: str
    against: str | None
    ours: float
    reference: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    goal: float | None = None
    unit: str = "s"

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.ours <= self.goal if self.ratio is None else self.ratio >= self.goal


def once_s(work: Callable[[], Any]) -> float:
    """Seconds of one run of some work, the mean over as many as last long enough to be timed; begins after a rest."""
    time.sleep(REST_S)
    started, runs = time.perf_counter(), 0
    while True:
        work()
        runs += 1
        seconds = time.perf_counter() - started
        if seconds >= LEAST_S:
            return seconds / runs


def compare(
    name: str,
    ours: Callable[[], Any],
    reference: Callable[[], Any],
    against: str,
    *,
    goal: float | None = None,
    repeats: int = REPEATS,
) -> Row:
    """Time ours and the reference in turns, so that whatever else the machine does meets both alike."""
    ours()
    reference()
    pairs = [(once_s(ours), once_s(reference)) for _ in range(repeats)]
    ratios = [theirs / mine for mine, theirs in pairs]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(name, against, mine, theirs, statistics.median(ratios), min(ratios), max(ratios), goal)


def limit(name: str, work: Callable[[], Any], goal: float | None = None, *, repeats: int = REPEATS) -> Row:
    """Time some work alone; the goal is the most seconds."""
    work()
    return Row(name, None, statistics.median(once_s(work) for _ in range(repeats)), goal=goal)


def in_new_process(work: Callable[..., R], *arguments: Any) -> R:
    """Call a function of a module where nothing else has taken memory; it may start processes of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def machine() -> dict[str, Any]:
    """Where the numbers are from: processor, cores, threads, versions and commit."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: installed(name) for name in ("torch", "transformers", "polars", "av", "kgclip")},
        "commit": commit or None,
        "date": time.strftime("%Y-%m-%d"),
    }


def installed(package: str) -> str | None:
    """The version of a package; None where it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def to_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Machine and rows as plain values."""
    return {"machine": machine(), "rows": [asdict(row) for row in rows]}


def seconds(value: float) -> str:
    """A duration for a person."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table: work, against, ours, reference, ratio with its range, goal, reached."""
    show = seconds if row.unit == "s" else lambda value: f"{value:,.3g} {row.unit}"
    if row.ratio is None:
        goal = "" if row.goal is None else f"≤ {show(row.goal)}"
        compared = ("", "")
    else:
        goal = "" if row.goal is None else f"≥ {row.goal:,g}×"
        compared = (show(row.reference or 0), f"{row.ratio:,.3g}× ({row.low:,.3g}–{row.high:,.3g})")
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    return (row.name, row.against or "", show(row.ours), *compared, goal, reached)


COLUMNS = ("work", "against", "ours", "reference", "ratio (range)", "goal", "reached")


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def fallen(rows: Sequence[Row], committed: dict[str, Any]) -> list[str]:
    """A sentence for each ratio that is a fifth or more below the committed one against the same."""
    before = {(row["name"], row["against"]): row["ratio"] for row in committed["rows"]}
    sentences = []
    for row in rows:
        old = before.get((row.name, row.against))
        if row.ratio is not None and old and row.ratio < (1 - TOLERANCE) * old:
            against = f" against {row.against}" if row.against else ""
            sentences.append(f"{row.name}{against}: {row.ratio:.3g}×, the committed table says {old:.3g}×")
    return sentences


def read_table(file: Path) -> dict[str, Any]:
    """What :mod:`benchmarks` wrote.

    Raises:
        KgclipError: the file cannot be read, or is something else.
    """
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise KgclipError(f"{file}: cannot be read as JSON ({error}); run python -m benchmarks") from error
    if not isinstance(values, dict) or "rows" not in values:
        raise KgclipError(f"{file}: holds no rows of a benchmark; run python -m benchmarks")
    return values
