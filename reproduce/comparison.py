"""What every comparison of arms needs: seeds, intervals, paired differences, and tables."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

GENERATED = Path(__file__).resolve().parents[1] / "docs" / "generated"


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the half-width of its 95 % confidence interval (Student's t over seeds)."""
    array = np.asarray(values, dtype=float)
    half = (
        stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)) if len(array) > 1 else math.nan
    )
    return float(array.mean()), float(half)


def summarize(top1: Mapping[str, Sequence[float]], against: str) -> dict[str, dict[str, Any]]:
    """Mean, interval and paired difference per seed against one arm, in points of top-1.

    Args:
        top1: fractions, one a seed, of each arm; the same seeds in the same order.
        against: the arm that the others are compared with.
    """
    summary = {}
    for arm, values in top1.items():
        mean, half = mean_and_interval(values)
        row: dict[str, Any] = {"mean": 100 * mean, "interval": 100 * half, "seeds": [100 * v for v in values]}
        if arm != against:
            pairs = [a - b for a, b in zip(values, top1[against], strict=True)]
            difference, half = mean_and_interval(pairs)
            row["difference"], row["difference_interval"] = 100 * difference, 100 * half
        summary[arm] = row
    return summary


def markdown(settings: Mapping[str, Mapping[str, Mapping[str, Any]]], against: str) -> str:
    """A table: arms in rows, for each setting the mean ± interval and the paired difference."""
    arms = list(dict.fromkeys(arm for rows in settings.values() for arm in rows))
    header = ["arm", *(text for name in settings for text in (name, f"against {against}"))]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for arm in arms:
        cells = [arm]
        for rows in settings.values():
            row = rows.get(arm)
            cells.append("–" if row is None else f"{row['mean']:.1f} ± {row['interval']:.1f}")
            has = row is not None and "difference" in row
            cells.append(f"{row['difference']:+.1f} ± {row['difference_interval']:.1f}" if has and row else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def provenance(command: str, wall_s: float) -> dict[str, Any]:
    """Where figures come from: command, commit, machine, versions, time."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": command,
        "commit": commit.stdout.strip(),
        "wall_s": round(wall_s),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write_result(name: str, result: Mapping[str, Any]) -> None:
    """Write a result where `python -m reproduce.results` makes the page from it."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    (GENERATED / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
