"""How time and memory grow with actions, movements, clips, frames and entities, from once to a hundred times as many.

python -m benchmarks.growth writes docs/growth.json, docs/images/growth.png and the table in docs/performance.md. Every
size runs in a process of its own, started from one that has loaded everything but done nothing.
"""

import ctypes
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kgclip.engine.rehearsal import peak_memory, reset_peak_memory

from benchmarks.growth_work import GROWTHS, Growth
from benchmarks.harness import machine, once_s, seconds
from benchmarks.head_memory import HeadMemory, head_memory
from benchmarks.page import DOCS, fill
from kgclip.files import atomic_path
from kgclip.memory import keep_freed_memory

TIMES = (1, 3, 10, 30, 100)
# Exponents are those of the upper end, where a constant part no longer hides them.
UPPER = 10
MOST_EXPONENT = 1.1
# Memory counts as flat if a hundred times as many take at most this much more: names and places must be known.
FLAT_MIB = 32.0
REPEATS = 3
# After that long, a size is timed no more.
LONG_S = 2.0
# Where a figure is above, so much of it is what the system's own counting may be off by.
LEAST_MIB = 0.5
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Point:
    """One size: the median of the seconds, and the most memory, what the work was given included."""

    number: int
    seconds: float
    mib: float


@dataclass(frozen=True)
class Curve:
    """A work at all its sizes."""

    quantity: str
    work: str
    streams: bool
    points: tuple[Point, ...]

    @property
    def exponent(self) -> float:
        """Of the time, at the upper end."""
        return fitted_exponent([(p.number, p.seconds) for p in self.points])

    @property
    def memory_exponent(self) -> float:
        """Of the memory, at the upper end."""
        return fitted_exponent([(p.number, max(p.mib, LEAST_MIB)) for p in self.points])

    @property
    def flat(self) -> bool:
        """Whether memory hardly grows."""
        return self.points[-1].mib - self.points[0].mib <= FLAT_MIB

    @property
    def reached(self) -> bool:
        """Whether neither time nor memory grows faster than in proportion, and memory not at all where it must not."""
        memory = self.flat or (not self.streams and self.memory_exponent <= MOST_EXPONENT)
        return memory and self.exponent <= MOST_EXPONENT


def fitted_exponent(points: Sequence[tuple[float, float]]) -> float:
    """The p of ``y ∝ x^p`` by least squares of the logarithms, over the sizes from the tenfold on."""
    upper = [(x, y) for x, y in points if x >= UPPER * points[0][0]]
    logs = np.log(np.array(upper if len(upper) > 1 else points))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def mapped_bytes() -> int:
    """Bytes of files that are mapped into memory, which the system takes back when it needs them."""
    return PAGE * int(Path("/proc/self/statm").read_text().split()[2])


def resident_bytes() -> int:
    """Bytes that this process holds in memory, mapped files apart."""
    return PAGE * int(Path("/proc/self/statm").read_text().split()[1]) - mapped_bytes()


def give_back() -> None:
    """Return freed memory to the system, where the C library can; else it would be counted, or serve uncounted."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def measure(position: int, number: int) -> Point:
    """One size of one work; to be called in a process that has done nothing else."""
    growth, device = GROWTHS[position], torch.device("cpu")
    torch.manual_seed(0)
    keep_freed_memory()  # as the kgclip command does
    with tempfile.TemporaryDirectory() as directory:
        small, folder = Path(directory) / "small", Path(directory) / "full"
        small.mkdir()
        folder.mkdir()
        # What the first call of anything takes once and for all is no growth.
        growth.make(growth.base, small)()
        give_back()
        before = resident_bytes()
        work = growth.make(number, folder)
        give_back()  # what was needed to make it, and the process has kept
        reset_peak_memory(device)
        work()
        mib = (peak_memory(device) - mapped_bytes() - before) / 2**20
        taken: list[float] = []
        started = time.perf_counter()
        while len(taken) < REPEATS and (not taken or time.perf_counter() - started < LONG_S):
            taken.append(once_s(work))
    return Point(number, statistics.median(taken), max(mib, 0.0))


def run(growths: Sequence[Growth] = GROWTHS, times: Sequence[int] = TIMES) -> list[Curve]:
    """All curves, each size in its own process."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.growth_work"])
    curves = []
    for growth in growths:
        points = []
        for factor in times:
            with context.Pool(1) as pool:
                points.append(pool.apply(measure, (GROWTHS.index(growth), factor * growth.base)))
        curves.append(Curve(growth.quantity, growth.work, growth.streams, tuple(points)))
        print(" | ".join(cells(curves[-1])), file=sys.stderr)
    return curves


COLUMNS = ("grows with", "work", "numbers", "time", "exponent", "memory, MiB", "exponent", "in proportion at most")


def cells(curve: Curve) -> tuple[str, ...]:
    """A row of the table."""
    first, last = curve.points[0], curve.points[-1]
    return (
        curve.quantity,
        curve.work,
        f"{first.number:,} → {last.number:,}",
        f"{seconds(first.seconds)} → {seconds(last.seconds)}",
        f"{curve.exponent:.2f}",
        f"{first.mib:.3g} → {last.mib:.3g}",
        "flat" if curve.flat else f"{curve.memory_exponent:.2f}",
        "yes" if curve.reached else "no",
    )


def markdown(curves: Sequence[Curve], memories: Sequence[HeadMemory]) -> str:
    """Both tables and the plot, for the page."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(cells(curve) for curve in curves)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    columns = (
        "actions",
        "inputs, KiB",
        "output, KiB",
        "most besides the inputs, KiB",
        "2 × inputs + output",
        "reached",
    )
    rows = [
        (
            f"{m.actions:,}",
            *(f"{value / 1024:,.0f}" for value in (m.inputs, m.output, m.peak)),
            f"{(2 * m.inputs + m.output) / 1024:,.0f}, taken {(m.inputs + m.peak) / 1024:,.0f}",
            "yes" if m.reached else "no",
        )
        for m in memories
    ]
    head = "\n".join("| " + " | ".join(line) + " |" for line in [columns, ("---",) * len(columns), *rows])
    return f"{table}\n\n![Time and memory at all sizes](images/growth.png)\n\nMemory of the scoring head:\n\n{head}"


def plot(curves: Sequence[Curve], file: Path) -> None:
    """One panel a quantity, time above memory, both axes logarithmic; dotted lines grow in proportion."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    quantities = list(dict.fromkeys(curve.quantity for curve in curves))
    figure = Figure(figsize=(4 * len(quantities), 9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(quantities), squeeze=False)
    for column, quantity in enumerate(quantities):
        for axes, label in ((panels[0][column], "seconds"), (panels[1][column], "MiB")):
            for curve in (c for c in curves if c.quantity == quantity):
                values = [p.seconds if label == "seconds" else max(p.mib, LEAST_MIB) for p in curve.points]
                power = curve.exponent if label == "seconds" else curve.memory_exponent
                numbers = [p.number for p in curve.points]
                name = f"{curve.work}, {power:.2f}"
                (line,) = axes.loglog(numbers, values, marker="o", markersize=3, label=name)
                straight = [values[-1] * number / numbers[-1] for number in numbers]
                axes.loglog(numbers, straight, color=line.get_color(), alpha=0.25, linewidth=1, linestyle=":")
            axes.set_xlabel(quantity)
            axes.set_ylabel(label)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    file.parent.mkdir(exist_ok=True)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, format="png", dpi=90, metadata={"Software": None})


def to_json(curves: Sequence[Curve], memories: Sequence[HeadMemory]) -> dict[str, Any]:
    """Machine, curves with their exponents, and the memory of the head as plain values."""
    told = [
        asdict(c) | {"exponent": c.exponent, "memory_exponent": c.memory_exponent, "reached": c.reached} for c in curves
    ]
    if any(not math.isfinite(curve["exponent"]) for curve in told):
        raise SystemExit("a size took no time: no exponent can be told")
    return {"machine": machine(), "curves": told, "head_memory": [asdict(m) for m in memories]}


def write(curves: Sequence[Curve], memories: Sequence[HeadMemory], docs: Path = DOCS) -> None:
    """JSON, plot and the block of the page."""
    values = to_json(curves, memories)
    (docs / "growth.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    plot(curves, docs / "images" / "growth.png")
    told = ", ".join(f"{name} {value}" for name, value in values["machine"].items() if value is not None)
    fill(docs / "performance.md", "growth", f"{told}.\n\n{markdown(curves, memories)}\n")


if __name__ == "__main__":
    write(run(), head_memory())
