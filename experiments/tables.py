"""Results as Markdown: tables of means and of paired differences, and where the figures come from."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch

from experiments.cells import CHOSEN_ON_TEST
from experiments.runner import Outcome, duration

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
    "shows_mrr": "shows MRR",
    "latency_ms": "latency",
}
_NONE = "–"
LEGEND = (
    "± is the half-width of the 95 % interval over seeds (Student's t). Differences are paired by seed; bold: the "
    "interval is clear of zero; \\*: p < 0.05 in a two-sided paired t test after Holm's correction over the arms of "
    "the column."
)


def _columns(summary: pl.DataFrame) -> list[tuple[str, int]]:
    """The conditions, in their order: point and number of frames."""
    return list(dict.fromkeys(summary.select("point", "frames").iter_rows()))


def _header(column: tuple[str, int], columns: Sequence[tuple[str, int]]) -> str:
    point, frames = column
    several = sum(name == point for name, _ in columns) > 1
    return f"{point}, T = {frames}" if several else point


def scale_of(metric: str) -> float:
    """What values are multiplied by where they are shown: shares in percent."""
    return 1.0 if metric in _UNITS else 100.0


def name_of(metric: str) -> str:
    """A metric as people call it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def label_of(metric: str) -> str:
    """A metric with its unit."""
    return f"{name_of(metric)}, {_UNITS.get(metric, '%')}"


def _number(metric: str, value: float, half: float | None, *, signed: bool = False) -> str:
    """A value and its interval; shares in percent have one digit, the rest has two."""
    sign, digits = "+" if signed else "", 2 if metric in _UNITS else 1
    text = f"{scale_of(metric) * value:{sign}.{digits}f}"
    return text if half is None else f"{text} ± {scale_of(metric) * half:.{digits}f}"


def _lines(summary: pl.DataFrame, metric: str, corner: str, cell: Any, arms: Sequence[str]) -> str:
    table = summary.filter(pl.col("metric") == metric)
    columns = _columns(table)
    rows = {(row["arm"], row["point"], row["frames"]): row for row in table.iter_rows(named=True)}
    header = [corner, *(_header(column, columns) for column in columns)]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * len(columns)]
    for arm in arms:
        cells = [rows.get((arm, *column)) for column in columns]
        if any(row is not None for row in cells):
            lines.append("| " + " | ".join([arm, *(_NONE if row is None else cell(row) for row in cells)]) + " |")
    return "\n".join(lines)


def mean_table(summary: pl.DataFrame, metric: str) -> str:
    """Arms in rows, conditions in columns, mean ± interval."""

    def cell(row: dict[str, Any]) -> str:
        return _number(metric, row["mean"], row["interval"])

    return _lines(summary, metric, label_of(metric), cell, _arms(summary))


def difference_table(summary: pl.DataFrame, metric: str, against: str) -> str:
    """The other arms' paired differences against one; marked where they are clear of zero."""

    def cell(row: dict[str, Any]) -> str:
        difference, half, p = row["difference"], row["difference_interval"], row["p_holm"]
        if difference is None:
            return _NONE
        text = _number(metric, difference, half, signed=True)
        if half is not None and abs(difference) > half:
            text = f"**{text}**"
        return text + "\\*" * (p is not None and p < 0.05)

    unit = _UNITS.get(metric, "points")
    corner = f"{name_of(metric)} against {against}, {unit}"
    return _lines(summary, metric, corner, cell, [arm for arm in _arms(summary) if arm != against])


def _arms(summary: pl.DataFrame) -> list[str]:
    return summary["arm"].unique(maintain_order=True).to_list()


def page(outcome: Outcome, summary: pl.DataFrame, source: dict[str, Any]) -> str:
    """All tables of one experiment, the main metrics first, and its provenance."""
    experiment = outcome.experiment
    data = outcome.results["data"][0]
    present = summary["metric"].unique(maintain_order=True).to_list()
    parts = [f"## {experiment.title}: {data}", LEGEND]
    if any(arm.endswith(CHOSEN_ON_TEST) for arm in summary["arm"].unique()):
        parts.append(
            f"Rows that end in “{CHOSEN_ON_TEST.removeprefix(', ')}” cheat; they show what that habit is worth."
        )
    for metric in (metric for metric in experiment.metrics if metric in present):
        parts.append(mean_table(summary, metric))
        if summary["arm"].n_unique() > 1:
            parts.append(difference_table(summary, metric, experiment.against))
    others = [metric for metric in present if metric not in experiment.metrics]
    if others:
        parts += ["### Other figures", *(mean_table(summary, metric) for metric in others)]
    return "\n\n".join([*parts, provenance_block(source)]) + "\n"


def provenance(command: str, outcome: Outcome) -> dict[str, Any]:
    """Where figures come from: command, commit, data, machine, versions, time."""
    cells = outcome.results.unique(["point", "arm", "seed", "fold"])
    return {
        "command": command,
        "commit": _git("rev-parse", "--short", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "data": outcome.results["data"][0],
        "data_hash": list(outcome.data_hashes),
        "cells": len(cells),
        "cells_s": round(float(cells["wall_s"].sum())),
        "wall_s": round(outcome.wall_s),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def commit() -> str:
    """The commit of the source tree, and whether it has changes since; nothing where there is no repository."""
    dirty = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return _git("rev-parse", "--short", "HEAD") + dirty


def _git(*words: str) -> str:
    """What git says of the source tree; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def provenance_block(source: dict[str, Any]) -> str:
    """Provenance as a paragraph."""
    hashes = source["data_hash"]
    data = f"{hashes[0]}" + (f" and {len(hashes) - 1} more" if len(hashes) > 1 else "")
    commit = (source["commit"] or "unknown") + " with changes" * source["dirty"]
    return (
        f"`{source['command']}`, commit {commit}, data {data}: {source['cells']} cells of "
        f"{duration(source['cells_s'])} together, {duration(source['wall_s'])} in this run, on {source['cpus']} cores "
        f"({source['machine']}), Python {source['python']}, torch {source['torch']}."
    )
