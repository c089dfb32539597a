"""Runs the cells of an experiment in worker processes; what is finished is never run again."""

import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import torch

from experiments.arms import ARMS, NEED_FOLDS, NEED_IMAGE_TOWER, NEED_POSE
from experiments.cells import Cell, run_cells
from experiments.data import OpenData, check_inputs, open_data
from experiments.protocol import DataSpec, Experiment
from kgclip.errors import KgclipError
from kgclip.files import write_table
from kgclip.locks import lock
from kgclip.parallel import map_in_workers
from kgclip.progress import progress_bar
from kgclip.remains import clear_remains, scratch_folder

log = logging.getLogger(__name__)

QUICK_SEEDS = 2
RESULTS = "results.parquet"
# Of columns whose first values may be null.
_TYPES = {"x": pl.Float64, "value": pl.Float64, "wall_s": pl.Float64} | dict.fromkeys(("commit", "gpu"), pl.String)


@dataclass(frozen=True)
class RunOptions:
    """How an experiment is run.

    Attributes:
        seeds: how many; None takes the experiment's own number.
        jobs: worker processes of one thread each; 1 runs the cells in this process.
        quick: two seeds, one fold, every other point; one seed of two arms where the image tower trains.
        show_progress: progress bars on stderr.
    """

    seeds: int | None = None
    jobs: int = 2
    quick: bool = False
    show_progress: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    Attributes:
        results: tidy: experiment, data, point, x, arm, seed, fold, frames, metric, value, num_test, wall_s,
            and what made the cell: commit, torch, gpu.
        experiment: as it was run, with the points that were taken.
        data_hashes: of the data of every seed.
        wall_s: of this call.
    """

    results: pl.DataFrame
    experiment: Experiment
    data_hashes: tuple[str, ...]
    wall_s: float


def out_of_place(experiment: Experiment, spec: DataSpec) -> str | None:
    """Why an experiment cannot be run on that data, None if it can."""
    if experiment.pixels and spec.root is not None:
        return "it trains a small image tower on figures' pixels; run it with --data synthetic"
    knows_words = spec.backbone != DataSpec.backbone and not spec.backbone.startswith("features:")
    if experiment.novel and spec.text is None and not knows_words:
        return "names must carry meaning; give --text with the folder of a sentence encoder"
    if experiment.pose and spec.keypoints is None:
        return "its arms read pose; give --keypoints with what `kgclip annotate` wrote"
    posed = [arm for arm in experiment.arms if arm in NEED_POSE]
    if posed and not experiment.pose:
        return f"{posed[0]!r} reads pose, and this experiment does not; run pose or pose-unseen, or leave the arm out"
    if experiment.published and spec.splits is None:
        return "it needs --splits with the folder of the published splits"
    return None


def run(experiment: Experiment, spec: DataSpec, out: Path, options: RunOptions, store: Path | None = None) -> Outcome:
    """Run all cells of an experiment that are not finished, and collect the results of all.

    Args:
        experiment: the preset.
        spec: the data.
        out: the folder that gets ``results.parquet``.
        options: how.
        store: keeps data and cells; experiments with the same one share them. None: ``out``.

    Raises:
        KgclipError: the data are not for this experiment, the options cannot be, a cell cannot be run (the sentence
            names it), or another process runs here.
    """
    started, store = time.monotonic(), store or out
    if reason := out_of_place(experiment, spec):
        raise KgclipError(f"{experiment.name}: {reason}")
    experiment, seeds, folds = _narrow(experiment, spec, options)
    check_inputs(spec, experiment.points)
    with lock(store), scratch_folder("experiment") as scratch:
        for folder in (out, *store.glob("cells/*"), *store.glob("work/*")):
            clear_remains(folder)
        data = _open_all(spec, seeds, store / "work", options)
        settings = [
            [Cell(opened, point, arm, seed, fold) for arm in experiment.arms if applies(arm, opened)]
            for seed, opened in zip(seeds, data, strict=True)
            for fold in folds
            for point in experiment.points
        ]
        to_run = [[cell for cell in cells if cell.result(store / "cells") is None] for cells in settings]
        total, left = (sum(map(len, groups)) for groups in (settings, to_run))
        log.info("%s on %s: %d cells, %d of them finished before", experiment.name, spec.name, total, total - left)
        # A training of the image tower takes as long as all other arms of a setting.
        parts = [[cell] for cells in to_run for cell in cells] if experiment.pixels else to_run
        tasks = [cells for cells in parts if cells]
        work = partial(_run_group, store=store / "cells", scratch=scratch)
        with progress_bar(experiment.name, left, "cells", show=options.show_progress) as advance:
            for done in map_in_workers(work, tasks, options.jobs, place=experiment.name):
                advance(done)
    results = collect(experiment, [cell for cells in settings for cell in cells], store / "cells")
    header = {"content": "experiment results", "version": 1, "experiment": experiment.name}
    write_table(results.to_arrow(), out / RESULTS, header)
    hashes = tuple(dict.fromkeys(opened.hash for opened in data))
    return Outcome(results, experiment, hashes, time.monotonic() - started)


def _run_group(cells: Sequence[Cell], store: Path, scratch: Path) -> int:
    """Run the cells of one setting with one thread, in a folder of this process' own; returns their number."""
    # With more threads, worker processes get in each other's way.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_cells(cells, store, scratch / str(os.getpid()))
    finally:
        torch.set_num_threads(threads)
    return len(cells)


def applies(arm: str, data: OpenData) -> bool:
    """Whether the arm can be run on that data."""
    if arm in NEED_IMAGE_TOWER:
        return not data.backbone.startswith("features:")
    return arm not in NEED_FOLDS or data.spec.folds > 0


def _narrow(experiment: Experiment, spec: DataSpec, options: RunOptions) -> tuple[Experiment, range, range]:
    """The experiment, seeds and folds that are asked for."""
    unknown = [arm for arm in (experiment.against, *experiment.arms) if arm not in ARMS]
    if unknown:
        raise KgclipError(f"--arms {unknown[0]!r}: there is no such arm; choose among {', '.join(ARMS)}")
    for name, value in (("--seeds", options.seeds), ("--jobs", options.jobs)):
        if value is not None and value < 1:
            raise KgclipError(f"{name} {value}: is too small; give 1 or more")
    if spec.folds == 1 or spec.folds < 0:
        raise KgclipError(f"--folds {spec.folds}: cannot be; give 2 or more, or 0 for the data's own test part")
    if experiment.against not in experiment.arms:
        experiment = dataclasses.replace(experiment, arms=(experiment.against, *experiment.arms))
    seeds = options.seeds or experiment.seeds
    if not options.quick:
        return experiment, range(seeds), range(max(1, spec.folds))
    experiment, seeds = dataclasses.replace(experiment, points=experiment.points[::2]), min(seeds, QUICK_SEEDS)
    if experiment.pixels:
        # A training of the image tower takes as long as a whole experiment on cached features.
        first = next(arm for arm in experiment.arms if arm != experiment.against)
        experiment, seeds = dataclasses.replace(experiment, arms=(experiment.against, first)), 1
    return experiment, range(seeds), range(1)


def _open_all(spec: DataSpec, seeds: Sequence[int], folder: Path, options: RunOptions) -> list[OpenData]:
    """The data of every seed; those on disk are the same for all."""
    if spec.root is not None:
        return [open_data(spec, 0, folder, workers=options.jobs, show_progress=options.show_progress)] * len(seeds)
    opened = []
    with progress_bar("making data", len(seeds), "sets", show=options.show_progress) as advance:
        for seed in seeds:
            opened.append(open_data(spec, seed, folder, workers=options.jobs))
            advance(1)
    return opened


def collect(experiment: Experiment, cells: Sequence[Cell], store: Path) -> pl.DataFrame:
    """The results of cells, one row a metric and number of frames; all cells must be finished."""
    rows = []
    for cell in cells:
        result = cell.result(store)
        if result is None:
            raise KgclipError(f"{cell.file(store)}: was removed while this ran; run it again, which measures it anew")
        rows += [
            {
                "experiment": experiment.name,
                "data": cell.data.spec.name,
                "point": cell.point.name,
                "x": cell.point.x,
                "arm": cell.arm,
                "seed": cell.seed,
                "fold": cell.fold,
                "frames": int(frames),
                "metric": metric,
                "value": value,
                "num_test": result["num_test"],
                "wall_s": result["wall_s"],
                **result["made"],
            }
            for frames, metrics in result["frames"].items()
            for metric, value in metrics.items()
        ]
    return pl.DataFrame(rows, schema_overrides=_TYPES)
