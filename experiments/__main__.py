"""`python -m experiments`."""

import dataclasses
import inspect
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from experiments.plots import save_plot
from experiments.presets import PRESETS
from experiments.protocol import DataSpec, Experiment
from experiments.runner import RunOptions, out_of_place, run
from experiments.summary import summarize
from experiments.tables import page, provenance
from kgclip.errors import KgclipError
from kgclip.files import atomic_path, write_json

ALL, SYNTHETIC = "all", "synthetic"
# Where the image tower trains: training clips of each action, so that there are 2,040 of them beside 600 test clips.
TOWER_CLIPS, TOWER_TEST_CLIPS = 100, 25


@dataclass(frozen=True)
class Command:
    """Compare arms, with and without the graph, on the same clips: tables with intervals, plots, and all results.

    What is finished is kept: the same command goes on where an earlier one was killed.

    Examples:

      python -m experiments few-labels --out results

      python -m experiments all --out results --quick

      python -m experiments all --out results --data clips --features features.safetensors --folds 3
    """

    preset: Positional[str]
    """which experiment, or all of them: docs/experiments.md lists them"""
    out: Path
    """folder to write: a folder for each experiment with results.parquet, summary.json, tables.md and plots"""
    data: str = SYNTHETIC
    """a data set in the layout of Kinetics-TPS; figures are generated, another set for every seed"""
    name: str | None = None
    """of the data set in tables, such as "JHMDB-TPS, SqueezeNet"; default: its folder's"""
    features: Path | None = None
    """cached features of that data set, see `kgclip data features`; default: made once by the backbone"""
    keypoints: Path | None = None
    """keypoints.parquet of its clips by `kgclip annotate`, for pose and pose-unseen"""
    annotations: Path | None = None
    """part annotations in place of its own, such as those by `kgclip annotate`"""
    backbone: str = "synthetic"
    """synthetic, or the name or folder of a CLIP or SigLIP model"""
    text: str | None = None
    """folder of a sentence encoder for the names of unseen actions; default: the backbone's own text tower"""
    splits: Path | None = None
    """folder of the published Kinetics-TPS splits (split_20_train.txt and so on), for published-splits"""
    folds: int = 0
    """source-grouped folds, each the test part once; 0 takes the data set's own test part"""
    part_noise: float = 0.2
    """how often a figure's body part departs from its action's script"""
    seeds: int | None = None
    """how many; default: the experiment's own number"""
    jobs: int = 2
    """processes"""
    quick: bool = False
    """two seeds, one fold, every other point; one seed of two arms where the image tower trains"""
    arms: tuple[str, ...] = ()
    """only these; default: all of the experiment"""


def data_spec(command: Command) -> DataSpec:
    """The data of the command.

    Raises:
        KgclipError: options that do not go together.
    """
    common = {name: getattr(command, name) for name in ("features", "backbone", "text", "splits", "folds")}
    if command.data == SYNTHETIC:
        noise = command.part_noise
        for option in ("keypoints", "annotations"):
            if getattr(command, option) is not None:
                raise KgclipError(f"--{option}: is for a data set on disk; give --data with its path, or leave it out")
        name = SYNTHETIC if noise == DataSpec.part_noise else f"{SYNTHETIC}, part noise {noise:g}"
        return DataSpec(command.name or name, part_noise=noise, **common)
    common |= {name: getattr(command, name) for name in ("keypoints", "annotations")}
    root = Path(command.data)
    if not root.exists():
        raise KgclipError(f"--data {root}: not found; give a data set in the layout of Kinetics-TPS, or {SYNTHETIC}")
    if command.part_noise != DataSpec.part_noise:
        raise KgclipError(f"--part-noise: is for generated figures; leave it out, or give --data {SYNTHETIC}")
    return DataSpec(command.name or root.resolve().name, root, **common)


def run_one(command: Command, experiment: Experiment, spec: DataSpec, words: str) -> None:
    """Run one experiment, write its tables and plots, and print them."""
    if not experiment.novel:
        # Elsewhere names are only told apart; with one text tower everywhere, `all` gives what single runs give.
        spec = dataclasses.replace(spec, text=None)
    if not experiment.pose:
        spec = dataclasses.replace(spec, keypoints=None)
    if experiment.pixels:
        name = f"{spec.name}, {'negative, ' if experiment.negative else ''}pixels"
        clips = {"clips_per_action": TOWER_CLIPS, "test_per_action": TOWER_TEST_CLIPS}
        spec = dataclasses.replace(spec, name=name, pixels=True, negative=experiment.negative, **clips)
    out = command.out / experiment.name
    options = RunOptions(command.seeds, command.jobs, command.quick)
    outcome = run(experiment, spec, out, options, store=command.out)
    summary, source = summarize(outcome.results, experiment.against), provenance(words, outcome)
    text = page(outcome, summary, source)
    with atomic_path(out / "tables.md") as temporary:
        temporary.write_text(text)
    value: dict[str, Any] = {"experiment": experiment.name, "provenance": source, "summary": summary.to_dicts()}
    write_json(out / "summary.json", value)
    save_plot(summary, experiment.metrics[0], experiment.axis, out / f"{experiment.metrics[0]}.png")
    print(text)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("experiments").setLevel(logging.INFO)
    command = tyro.cli(
        Command,
        args=list(argv),
        prog="python -m experiments",
        description=inspect.getdoc(Command),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    words = shlex.join(["python", "-m", "experiments", *argv])
    try:
        spec = data_spec(command)
        chosen = list(PRESETS.values()) if command.preset == ALL else [PRESETS.get(command.preset)]
        for experiment in chosen:
            if experiment is None:
                raise KgclipError(
                    f"{command.preset}: there is no such experiment; choose {ALL} or {', '.join(PRESETS)}"
                )
            if command.arms:
                experiment = dataclasses.replace(experiment, arms=command.arms)
            reason = "it takes hours; run it by itself" if experiment.pixels else out_of_place(experiment, spec)
            if command.preset == ALL and reason:
                logging.getLogger("experiments").info("%s: left out, %s", experiment.name, reason)
                continue
            run_one(command, experiment, spec, words)
    except KgclipError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
