"""What the pages keep of the runs of `python -m experiments`: all tables, the rows that pages show, and a plot."""

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.presets import PRESETS
from experiments.summary import SCHEMA

SUMMARY, TABLES = "summary.json", "tables.md"
# What a folder already says is left out.
_SCHEMA = {name: kind for name, kind in SCHEMA.items() if name not in ("experiment", "data", "p")}


@dataclass(frozen=True, eq=False)
class Kept:
    """One experiment on one data set.

    Attributes:
        folder: where it is kept: all tables and a plot lie beside the summary.
        preset: name of the experiment.
        source: provenance, see :func:`experiments.tables.provenance`.
        summary: rows of :func:`experiments.summary.summarize`, those of the main metrics.
    """

    folder: Path
    preset: str
    source: dict[str, Any]
    summary: pl.DataFrame

    @property
    def data(self) -> str:
        """The data set's name."""
        return self.source["data"]

    def rows(self, metric: str, point: str, frames: int | None = None) -> dict[str, dict[str, Any]]:
        """The rows of all arms under one condition, by arm; ``frames`` None takes any."""
        chosen = self.summary.filter(pl.col("metric") == metric, pl.col("point") == point)
        if frames is not None:
            chosen = chosen.filter(pl.col("frames") == frames)
        return {row["arm"]: row for row in chosen.iter_rows(named=True)}


def keep(runs: Sequence[Path], generated: Path) -> None:
    """Copy what is shown of runs to ``generated/<data>/<preset>``; what was kept of the same experiment goes.

    Args:
        runs: folders that ``python -m experiments --out`` wrote, of one experiment or of all.
        generated: the folder of kept results.

    Raises:
        ValueError: a folder holds no results, or two hold those of the same experiment on the same data.
    """
    taken: dict[Path, Path] = {}
    for run in runs:
        files = [file for file in (run / SUMMARY, *sorted(run.glob(f"*/{SUMMARY}"))) if file.is_file()]
        if not files:
            raise ValueError(f"{run}: holds no {SUMMARY}; give what `python -m experiments --out` wrote")
        for file in files:
            value = json.loads(file.read_text())
            folder = generated / slug(value["provenance"]["data"]) / value["experiment"]
            if folder in taken:
                raise ValueError(f"{file}: is of the same experiment and data as {taken[folder]}; give one of them")
            taken[folder] = file
            _copy(value, file.parent, folder)


def slug(name: str) -> str:
    """A data set's name as the name of a folder."""
    return "-".join("".join(letter if letter.isalnum() or letter in ".-" else " " for letter in name.lower()).split())


def _copy(value: dict[str, Any], run: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = value["provenance"]["command"]
    source = value["provenance"] | {"command": without_folders(command)}
    rows = [
        json.dumps(_short(row)) for row in value["summary"] if row["metric"] in PRESETS[value["experiment"]].metrics
    ]
    head = json.dumps({"experiment": value["experiment"], "provenance": source}, indent=1)
    # One row a line, so that a change shows.
    text = head.removesuffix("\n}") + ',\n "summary": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    (folder / SUMMARY).write_text(text)
    (folder / TABLES).write_text((run / TABLES).read_text().replace(command, source["command"]))
    for plot in sorted(run.glob("*.png")):
        shutil.copyfile(plot, folder / plot.name)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(row[name], 6) if isinstance(row[name], float) else row[name] for name in _SCHEMA}


def without_folders(command: str) -> str:
    """The command with the last part of every absolute path alone: where things lay says nothing to others."""
    words = (Path(word).name if word.startswith("/") else word for word in shlex.split(command))
    return shlex.join(words)


def load(generated: Path) -> list[Kept]:
    """All that is kept: synthetic figures first, then other data by name; experiments in the order of their presets."""
    results = []
    for file in generated.glob(f"*/*/{SUMMARY}"):
        value = json.loads(file.read_text())
        summary = pl.DataFrame(value["summary"], schema=_SCHEMA)
        results.append(Kept(file.parent, value["experiment"], value["provenance"], summary))
    order = list(PRESETS)
    return sorted(
        results, key=lambda kept: (not kept.data.startswith("synthetic"), kept.data, order.index(kept.preset))
    )
