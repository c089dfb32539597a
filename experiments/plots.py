"""Results as pictures: metrics against the protocol's axis, and against the number of frames."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.tables import label_of, scale_of
from kgclip.files import atomic_path

LATENCY = "latency_ms"
_MARKERS = "osD^vP*X<>"


def save_plots(summary: pl.DataFrame, metrics: tuple[str, ...], axis: str, out: Path) -> list[Path]:
    """Draw what has an axis, as PNG and SVG; equal results give equal bytes.

    Each of ``metrics`` against x where the points of the protocol have one, and against T where a point is tested with
    several numbers of frames; beside the latter stands the latency.

    Args:
        summary: of :func:`experiments.summary.summarize`.
        metrics: which.
        axis: what x is.
        out: the folder to write to.

    Returns:
        The PNG files.
    """
    files = []
    for metric in metrics:
        table = summary.filter(pl.col("metric") == metric)
        along_x = table.filter(pl.col("x").is_not_null() & (pl.col("frames").count().over("point", "arm") == 1))
        if along_x["x"].n_unique() > 1:
            panels = [(along_x, "x", axis, metric)]
            if along_x["frames"].n_unique() > 1:
                latency = summary.filter(pl.col("metric") == LATENCY)
                panels.append((latency.join(along_x, on=("point", "arm", "frames"), how="semi"), "x", axis, LATENCY))
            files.append(_save(panels, out / metric.replace("_", "-")))
        for point, at_point in table.group_by("point", maintain_order=True):
            if at_point["frames"].n_unique() > 1:
                latency = summary.filter(pl.col("metric") == LATENCY, pl.col("point") == point[0])
                panels = [(at_point, "frames", "frames in the test", metric)]
                panels.append((latency, "frames", "frames in the test", LATENCY))
                name = re.sub(r"[^a-z0-9]+", "-", str(point[0]).lower()).strip("-")
                files.append(_save(panels, out / f"frames-{name}-{metric.replace('_', '-')}"))
    return files


def _save(panels: list[tuple[pl.DataFrame, str, str, str]], stem: Path) -> Path:
    """Panels (rows, column of the axis, its label, metric) beside each other, with one legend."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "kgclip"}):
        figure = Figure(figsize=(1.5 + 5 * len(panels), 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (rows, column, label, metric) in zip(all_axes, panels, strict=True):
            _lines(axes, rows, column, metric)
            axes.set_xlabel(label)
            axes.set_ylabel(label_of(metric))
        handles, labels = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize=8)
        kinds: Mapping[str, dict[str, Any]] = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
        for suffix, metadata in kinds.items():
            with atomic_path(stem.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=130, metadata=metadata)
    return stem.with_suffix(".png")


def _lines(axes: Any, rows: pl.DataFrame, column: str, metric: str) -> None:
    """One line an arm, with its intervals; equal ticks for doubled values."""
    scale, values = scale_of(metric), sorted(set(rows[column].to_list()))
    for number, (arm, line) in enumerate(rows.group_by("arm", maintain_order=True)):
        line = line.sort(column)
        half = line["interval"].fill_null(0.0) * scale
        axes.errorbar(
            line[column].to_list(),
            (line["mean"] * scale).to_list(),
            yerr=half.to_list(),
            label=str(arm[0]),
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1.2,
            capsize=2,
            linestyle="--" if number >= len(_MARKERS) else "-",
        )
    if min(values) > 0 and max(values) / min(values) >= 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    if scale == 100:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), min(high, scale))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
