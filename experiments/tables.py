"""Results as Markdown: tables of means and of paired differences, and where the figures come from."""

import math
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from experiments.protocol import Experiment
from experiments.runner import Outcome

Row = dict[str, Any]

NONE = "–"
# What is not a share is not shown in percent.
_UNITS = {"latency_ms": "ms a clip", "nll": "nats"}
_NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "base_top1": "base top-1",
    "novel_top1": "novel top-1",
    "macro_f1": "macro F1",
    "nll": "NLL",
    "ece": "ECE",
    "aurc": "AURC",
    "movement_map": "movement mAP",
    "latency_ms": "latency",
}
LEGEND = (
    "± is the half-width of the 95 % interval over seeds (Student's t). Differences are paired by seed; bold: the "
    "interval is clear of zero; \\*: p < 0.05 in a two-sided paired t test after Holm's correction over the arms of "
    "the column."
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scale_of(metric: str) -> float:
    """What values are multiplied by where they are shown: shares in percent."""
    return 1.0 if metric in _UNITS else 100.0


def name_of(metric: str) -> str:
    """A metric as people call it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def label_of(metric: str) -> str:
    """A metric with its unit."""
    return f"{name_of(metric)}, {_UNITS.get(metric, '%')}"


def figure(metric: str, value: float, half: float | None, *, sign: str = "") -> str:
    """A value and its interval; shares in percent have one digit, the rest has two."""
    digits = 2 if metric in _UNITS else 1
    text = f"{scale_of(metric) * value:{sign}.{digits}f}"
    return text if half is None else f"{text} ± {scale_of(metric) * half:.{digits}f}"


def mean_of(row: Row | None) -> str:
    """Mean ± interval."""
    return NONE if row is None else figure(row["metric"], row["mean"], row["interval"])


def difference_of(row: Row | None, *, turned: bool = False, of: str = "difference") -> str:
    """Paired difference ± interval, bold where it is clear of zero.

    Args:
        row: of the summary.
        turned: the other arm minus this one.
        of: "difference", or "untouched" for the seeds that no choice has looked at.
    """
    if row is None or row[of] is None:
        return NONE
    difference, half = -row[of] if turned else row[of], row[f"{of}_interval"]
    text = figure(row["metric"], difference, half, sign="+")
    if half is not None and abs(difference) > half:
        text = f"**{text}**"
    return text + "\\*" * (of == "difference" and row["p_holm"] is not None and row["p_holm"] < 0.05)


def arms_table(summary: pl.DataFrame, metric: str, corner: str, cell: Callable[[Row | None], str], leave: str) -> str:
    """Arms in rows and conditions in columns; one arm may be left out."""
    of_metric = summary.filter(pl.col("metric") == metric)
    columns = list(dict.fromkeys(of_metric.select("point", "frames").iter_rows()))
    points = [point for point, _ in columns]
    header = [f"{point}, T = {frames}" if points.count(point) > 1 else point for point, frames in columns]
    rows = {(row["arm"], row["point"], row["frames"]): row for row in of_metric.iter_rows(named=True)}
    arms = [arm for arm in of_metric["arm"].unique(maintain_order=True).to_list() if arm != leave]
    return table([corner, *header], [[arm, *(cell(rows.get((arm, *place))) for place in columns)] for arm in arms])


def experiment_tables(summary: pl.DataFrame, experiment: Experiment) -> list[str]:
    """Means and differences of the main metrics, and means of all others."""
    present = summary["metric"].unique(maintain_order=True).to_list()
    parts = []
    for metric in (metric for metric in experiment.metrics if metric in present):
        parts.append(arms_table(summary, metric, label_of(metric), mean_of, ""))
        if summary["arm"].n_unique() > 1:
            corner = f"{name_of(metric)} minus {experiment.against}, {_UNITS.get(metric, 'points')}"
            parts.append(arms_table(summary, metric, corner, difference_of, experiment.against))
    others = [metric for metric in present if metric not in experiment.metrics]
    if others:
        parts += ["### Other figures", *(arms_table(summary, m, label_of(m), mean_of, "") for m in others)]
    return parts


def page(outcome: Outcome, summary: pl.DataFrame, source: dict[str, Any]) -> str:
    """All tables of one experiment, the main metrics first, and its provenance."""
    title = f"## {outcome.experiment.title}: {outcome.results['data'][0]}"
    parts = [title, LEGEND, *experiment_tables(summary, outcome.experiment), provenance_block(source)]
    return "\n\n".join(parts) + "\n"


def provenance(command: str, outcome: Outcome) -> dict[str, Any]:
    """Where figures come from: command, data, machine, time, and the commits, GPUs and versions that made the cells."""
    cells = outcome.results.unique(["point", "arm", "seed", "fold"])
    return {
        "command": command,
        "commits": sorted({short(commit) for commit in cells["commit"]}),
        "data": outcome.results["data"][0],
        "data_hash": list(outcome.data_hashes),
        "seeds": int(cells["seed"].n_unique()),
        "cells": len(cells),
        "cells_s": round(float(cells["wall_s"].sum())),
        "wall_s": round(outcome.wall_s),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "gpus": sorted(cells["gpu"].drop_nulls().unique()),
        "python": platform.python_version(),
        "torch": sorted(cells["torch"].unique()),
    }


def short(commit: str | None) -> str:
    """A commit by its first seven digits, with what stands behind it."""
    if commit is None:
        return "unknown"
    digits, _, rest = commit.partition("-")
    return digits[:7] + (" with changes" if rest else "")


def provenance_block(source: dict[str, Any]) -> str:
    """Provenance as a paragraph."""
    hashes = source["data_hash"]
    data = f"{hashes[0]}" + (f" and {len(hashes) - 1} more" if len(hashes) > 1 else "")
    gpus = "".join(f" and an {gpu}" for gpu in source["gpus"])
    return (
        f"{source['seeds']} seeds. `{source['command']}`, cells of commit {', '.join(source['commits'])}, data {data}: "
        f"{source['cells']} cells of {duration(source['cells_s'])} together, {duration(source['wall_s'])} in this run, "
        f"on {source['cpus']} cores ({source['machine']}){gpus}, Python {source['python']}, torch "
        f"{', '.join(source['torch'])}."
    )


def duration(seconds: float | int) -> str:
    """Seconds, or from two minutes on minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
