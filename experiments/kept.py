"""What the results page keeps of the runs of `python -m experiments`: the shown rows, provenance and plots."""

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.plots import LATENCY
from experiments.presets import PRESETS
from experiments.summary import SCHEMA

SUMMARY = "summary.json"
# The tables of link prediction, which is an experiment of its own kind (experiments.link_runs).
LINKS = "links.md"
# Runs with test clips as validation clips are kept apart: no honest table shows them.
LEGACY, LEGACY_OPTION = "-chosen-on-test", "--legacy-best-on-test"
# The point whose other metrics are shown.
DETAILED = ("few-labels", "labels on 20 %")
CALIBRATION = ("top5", "mean_class_accuracy", "macro_f1", "nll", "ece", "aurc")
MOVEMENTS = ("movement_map", "shows_mrr", "shows_hits1", "shows_hits3", "shows_hits10")
# The experiments whose latency is shown: their points differ in frames.
TIMED = ("few-frames", "few-frames-alike")
_FIRST = ("synthetic", "jhmdb-tps")
# What a folder already says, or no table shows, is left out.
_SCHEMA = {name: kind for name, kind in SCHEMA.items() if name not in ("experiment", "data", "p")}


@dataclass(frozen=True, eq=False)
class Kept:
    """One experiment on one data set.

    Attributes:
        folder: where it is kept; plots lie beside the summary.
        preset: name of the experiment.
        source: provenance, see :func:`experiments.tables.provenance`.
        summary: rows of :func:`experiments.summary.summarize`, those that are shown.
    """

    folder: Path
    preset: str
    source: dict[str, Any]
    summary: pl.DataFrame

    @property
    def data(self) -> str:
        """The data set's name."""
        return self.source["data"]

    @property
    def legacy(self) -> bool:
        """Whether arms were also allowed to choose on the test clips."""
        return self.folder.name.endswith(LEGACY)

    @property
    def plots(self) -> list[Path]:
        """Its pictures."""
        return sorted(self.folder.glob("*.png"))

    def rows(self, metric: str, point: str, frames: int | None = None) -> dict[str, dict[str, Any]]:
        """The rows of all arms under one condition, by arm, best first; ``frames`` None takes any."""
        chosen = self.summary.filter(pl.col("metric") == metric, pl.col("point") == point)
        if frames is not None:
            chosen = chosen.filter(pl.col("frames") == frames)
        return {row["arm"]: row for row in chosen.sort("mean", descending=True).iter_rows(named=True)}


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
        found = [file for file in (run / SUMMARY, *sorted(run.glob(f"*/{SUMMARY}"))) if file.is_file()]
        links = [file for file in (run / LINKS, *sorted(run.glob(f"*/{LINKS}"))) if file.is_file()]
        if links:
            generated.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(links[0], generated / LINKS)
        if not found and not links:
            raise ValueError(f"{run}: holds no {SUMMARY}; give what `python -m experiments --out` wrote")
        for file in found:
            value = json.loads(file.read_text())
            folder = generated / _place(value)
            if folder in taken:
                raise ValueError(f"{file}: is of the same experiment and data as {taken[folder]}; give one of them")
            taken[folder] = file
            _copy(value, file.parent, folder)


def _place(value: dict[str, Any]) -> Path:
    """Where a run is kept."""
    source = value["provenance"]
    legacy = LEGACY if LEGACY_OPTION in source["command"].split() else ""
    return Path(source["data"].replace(" ", "-"), value["experiment"] + legacy)


def _copy(value: dict[str, Any], run: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = [json.dumps(_short(row)) for row in value["summary"] if _is_shown(value["experiment"], row)]
    source = value["provenance"] | {"command": without_folders(value["provenance"]["command"])}
    head = json.dumps({"experiment": value["experiment"], "provenance": source}, indent=1)
    # One row a line, so that a change shows.
    text = head.removesuffix("\n}") + ',\n "summary": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    (folder / SUMMARY).write_text(text)
    if not folder.name.endswith(LEGACY):
        for plot in sorted(run.glob("*.png")):
            shutil.copyfile(plot, folder / plot.name)


def _is_shown(preset: str, row: dict[str, Any]) -> bool:
    metric = row["metric"]
    if (preset, row["point"]) == DETAILED and metric in CALIBRATION + MOVEMENTS:
        return True
    return metric in PRESETS[preset].metrics or (metric == LATENCY and preset in TIMED)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(row[name], 6) if isinstance(row[name], float) else row[name] for name in _SCHEMA}


def without_folders(command: str) -> str:
    """The command with the last part of every absolute path alone: where things lay says nothing to others."""
    words = (Path(word).name if word.startswith("/") else word for word in shlex.split(command))
    return shlex.join(words)


def load(generated: Path) -> list[Kept]:
    """All that is kept: figures first, then real clips, then the rest; experiments in the order of their presets."""
    return sorted(_found(generated), key=lambda kept: (*_rank(kept.data), list(PRESETS).index(kept.preset)))


def _rank(data: str) -> tuple[int, str]:
    return (_FIRST.index(data) if data in _FIRST else len(_FIRST)), data


def _found(generated: Path) -> Iterator[Kept]:
    for file in generated.glob(f"*/*/{SUMMARY}"):
        value = json.loads(file.read_text())
        summary = pl.DataFrame(value["summary"], schema=_SCHEMA)
        yield Kept(file.parent, value["experiment"], value["provenance"], summary)
