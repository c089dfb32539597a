"""Runs the cells of an experiment in worker processes; what is finished is never run again."""

import dataclasses
import logging
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from experiments.arms import ARMS, NEED_FOLDS, NEED_IMAGE_TOWER
from experiments.cells import Cell, run_cell
from experiments.data import OpenData, check_inputs, is_made, open_data
from experiments.protocol import DataSpec, Experiment
from experiments.workers import Work, work_in
from kgclip.errors import KgclipError
from kgclip.files import write_table
from kgclip.progress import progress_bar

log = logging.getLogger(__name__)

QUICK_SEEDS = 2
RESULTS = "results.parquet"


@dataclass(frozen=True)
class RunOptions:
    """How an experiment is run.

    Attributes:
        seeds: how many; None takes the experiment's own number.
        jobs: worker processes; 1 runs the cells in this process.
        quick: two seeds, one fold, every other point; one seed of two arms where the image tower trains.
        legacy: run every arm a second time with the test clips as its validation clips.
        show_progress: progress bars on stderr.
    """

    seeds: int | None = None
    jobs: int = 2
    quick: bool = False
    legacy: bool = False
    show_progress: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    Attributes:
        results: tidy: experiment, data, point, x, arm, seed, fold, frames, metric, value, num_test, wall_s.
        experiment: as it was run, with the points that were taken.
        data_hashes: of the data of every seed.
        wall_s: of this call.
    """

    results: pl.DataFrame
    experiment: Experiment
    data_hashes: tuple[str, ...]
    wall_s: float


def run(experiment: Experiment, spec: DataSpec, out: Path, options: RunOptions, store: Path | None = None) -> Outcome:
    """Run all cells of an experiment that are not finished, and collect the results of all.

    Args:
        experiment: the preset.
        spec: the data.
        out: the folder that gets ``results.parquet``.
        options: how.
        store: keeps data and cells; experiments with the same one share them. None: ``out``.

    Raises:
        KgclipError: the options cannot be, or a cell cannot be run; the sentence names it.
    """
    started = time.monotonic()
    store = store or out
    experiment, seeds, folds = _narrow(experiment, spec, options)
    check_inputs(spec, experiment.points)
    with work_in(options.jobs) as work, tempfile.TemporaryDirectory(prefix="kgclip-experiment-") as scratch:
        data = _open_all(spec, seeds, store / "work", options, work)
        cells = [
            Cell(opened, point, arm, seed, fold, chosen_on_test)
            for seed, opened in zip(seeds, data, strict=True)
            for fold in folds
            for point in experiment.points
            for arm in experiment.arms
            if applies(arm, opened)
            for chosen_on_test in ((False, True) if options.legacy else (False,))
        ]
        open_cells = [cell for cell in cells if cell.result(store / "cells") is None]
        log.info(
            "%s on %s: %d cells, %d of them finished before",
            *(experiment.name, spec.name, len(cells), len(cells) - len(open_cells)),
        )
        _run_all(experiment.name, [(cell, store / "cells", Path(scratch)) for cell in open_cells], options, work)
    results = collect(experiment, cells, store / "cells")
    header = {"content": "experiment results", "version": 1, "experiment": experiment.name}
    write_table(results.to_arrow(), out / RESULTS, header)
    hashes = tuple(dict.fromkeys(opened.hash for opened in data))
    return Outcome(results, experiment, hashes, time.monotonic() - started)


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


def _open_all(spec: DataSpec, seeds: Sequence[int], folder: Path, options: RunOptions, work: Work) -> list[OpenData]:
    """The data of every seed; those on disk are the same for all."""
    if spec.root is not None:
        return [open_data(spec, 0, folder, workers=options.jobs, show_progress=options.show_progress)] * len(seeds)
    to_make = [(spec, seed, folder) for seed in seeds if not is_made(spec, seed, folder)]
    with progress_bar("making data", len(to_make), "sets", show=options.show_progress and bool(to_make)) as advance:
        for _ in work(open_data, to_make):
            advance(1)
    return [open_data(spec, seed, folder) for seed in seeds]


def duration(seconds: float | int) -> str:
    """Seconds, or from two minutes on minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"


def _run_all(name: str, tasks: Sequence[tuple[Cell, Path, Path]], options: RunOptions, work: Work) -> None:
    """Run cells; says how long the rest takes once every arm was run."""
    # The first cells start the workers, which takes longer than some cells.
    warm = options.jobs
    enough, begun = warm + max(4, len({cell.row for cell, _, _ in tasks})), 0.0
    with progress_bar(name, len(tasks), "cells", show=options.show_progress) as advance:
        for done, _ in enumerate(work(_run_cell, tasks), start=1):
            advance(1)
            if done == warm:
                begun = time.monotonic()
            elif done == enough < len(tasks):
                left_s = (time.monotonic() - begun) / (done - warm) * (len(tasks) - done)
                log.info("%s: about %s left", name, duration(left_s))


def _run_cell(cell: Cell, store: Path, scratch: Path) -> None:
    """Run a cell in a folder of this process' own; whatever goes wrong names the cell."""
    try:
        run_cell(cell, store, scratch / str(os.getpid()))
    except KgclipError as error:
        raise KgclipError(f"{cell}: {error}") from error
    except Exception as error:
        error.add_note(f"in the cell: {cell}")
        raise


def collect(experiment: Experiment, cells: Sequence[Cell], store: Path) -> pl.DataFrame:
    """The results of cells, one row a metric and number of frames; all cells must be finished."""
    rows = []
    for cell in cells:
        result = cell.result(store)
        assert result is not None
        rows += [
            {
                "experiment": experiment.name,
                "data": cell.data.spec.name,
                "point": cell.point.name,
                "x": cell.point.x,
                "arm": cell.row,
                "seed": cell.seed,
                "fold": cell.fold,
                "frames": int(frames),
                "metric": metric,
                "value": value,
                "num_test": result["num_test"],
                "wall_s": result["wall_s"],
            }
            for frames, metrics in result["frames"].items()
            for metric, value in metrics.items()
        ]
    return pl.DataFrame(rows, schema_overrides={"x": pl.Float64, "value": pl.Float64, "wall_s": pl.Float64})
