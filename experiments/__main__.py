"""`python -m experiments`."""

import dataclasses
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from kgclip.cli.output import parse, print_json, print_table
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from experiments.protocol import DataSpec, Experiment

LIST, ALL, SYNTHETIC = "list", "all", "synthetic"
# Training clips of each action where the image tower trains: an epoch then takes seconds.
PIXEL_CLIPS = 10


@dataclass(frozen=True)
class ExperimentCommand:
    """Compare arms, with and without the graph, on the same clips: tables with intervals, plots, and all results.

    What is finished is kept: the same command goes on where an earlier one was killed.

    Examples:

      python -m experiments list

      python -m experiments few-labels --out results

      python -m experiments all --out results --quick

      python -m experiments few-labels --out results --data Kinetics-TPS --backbone openai/clip-vit-base-patch16

      python -m experiments few-labels --out results --data clips --features features.safetensors --folds 5
    """

    preset: Positional[str]
    """which experiment; `all` runs every one, `list` says what there is"""
    out: Path | None = None
    """folder to write: a folder for each experiment with results.parquet, summary.json, tables.md and plots"""
    data: str = SYNTHETIC
    """a data set in the layout of Kinetics-TPS; figures are generated, another set for every seed"""
    features: Path | None = None
    """cached features of that data set, see `kgclip data features`; default: made once by the backbone"""
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
    legacy_best_on_test: bool = False
    """also show what each arm would have got by choosing its epoch on the test clips"""
    arms: tuple[str, ...] = ()
    """only these; default: all of the experiment"""
    json: bool = False
    """print one JSON object"""


def experiment(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(ExperimentCommand, argv, "experiment")
    from experiments.presets import PRESETS

    titles = [(name, preset.title) for name, preset in PRESETS.items()]
    if command.preset == LIST:
        if command.json:
            print_json(dict(titles))
        else:
            print_table("experiments", ("name", "what it asks"), titles)
        return 0
    chosen = list(PRESETS.values()) if command.preset == ALL else [PRESETS.get(command.preset)]
    if None in chosen:
        print(f"kgclip: experiment {command.preset}: there is no such preset; choose one of", file=sys.stderr)
        for name, title in [*titles, (ALL, "all of them, one after the other")]:
            print(f"  {name:<20} {title}", file=sys.stderr)
        return 2
    if command.out is None:
        raise KgclipError("experiment: no place for the results; give --out DIR")
    spec, results = data_spec(command), []
    for preset in chosen:
        assert preset is not None
        if command.arms:
            preset = dataclasses.replace(preset, arms=command.arms)
        if command.preset == ALL and (reason := out_of_place(preset, spec)):
            logging.getLogger(__name__).info("%s: left out, %s", preset.name, reason)
            continue
        results.append(
            _run(command, preset, spec, command.out / preset.name, shlex.join(["python", "-m", "experiments", *argv]))
        )
    if command.json:
        print_json({"experiments": results})
    return 0


def data_spec(command: ExperimentCommand) -> "DataSpec":
    """The data of the command.

    Raises:
        KgclipError: options that do not go together.
    """
    from experiments.protocol import DataSpec

    common = {
        "features": command.features,
        "backbone": command.backbone,
        "text": command.text,
        "splits": command.splits,
        "folds": command.folds,
    }
    if command.data == SYNTHETIC:
        noise = command.part_noise
        name = SYNTHETIC if noise == DataSpec.part_noise else f"{SYNTHETIC} with part noise {noise:g}"
        return DataSpec(name, part_noise=noise, **common)
    root = Path(command.data)
    if not root.exists():
        raise KgclipError(f"--data {root}: not found; give a data set in the layout of Kinetics-TPS, or {SYNTHETIC}")
    if command.part_noise != DataSpec.part_noise:
        raise KgclipError(f"--part-noise: is for generated figures; leave it out, or give --data {SYNTHETIC}")
    return DataSpec(root.resolve().name, root, **common)


def out_of_place(preset: "Experiment", spec: "DataSpec") -> str | None:
    """Why an experiment cannot be run on that data, None if it can."""
    from experiments.protocol import DataSpec

    if preset.pixels and spec.root is not None:
        return "it trains a small image tower on figures' pixels; run it with --data figures"
    knows_words = spec.backbone != DataSpec.backbone and not spec.backbone.startswith("features:")
    if preset.novel and spec.text is None and not knows_words:
        return "names must carry meaning; give --text with the folder of a sentence encoder"
    if preset.published and spec.splits is None:
        return "it needs --splits with the folder of the published splits"
    return None


def _run(command: ExperimentCommand, preset: "Experiment", spec: "DataSpec", out: Path, words: str) -> dict[str, Any]:
    """Run one experiment, write its tables and plots, and print them."""
    from experiments.plots import save_plots
    from experiments.runner import RunOptions, run
    from experiments.summary import summarize
    from experiments.tables import page, provenance
    from kgclip.files import atomic_path, write_json

    if reason := out_of_place(preset, spec):
        raise KgclipError(f"experiment {preset.name}: {reason}")
    if not preset.novel:
        # Elsewhere names are only told apart; with one text tower everywhere, `all` gives what single runs give.
        spec = dataclasses.replace(spec, text=None)
    if preset.pixels:
        spec = dataclasses.replace(spec, name="small synthetic", pixels=True, clips_per_action=PIXEL_CLIPS)
    options = RunOptions(command.seeds, command.jobs, command.quick, command.legacy_best_on_test)
    outcome = run(preset, spec, out, options, store=command.out)
    summary = summarize(outcome.results, preset.against)
    source = provenance(words, outcome)
    text = page(outcome, summary, source)
    with atomic_path(out / "tables.md") as temporary:
        temporary.write_text(text)
    value = {"experiment": preset.name, "provenance": source, "summary": summary.to_dicts()}
    write_json(out / "summary.json", value)
    save_plots(summary, preset.metrics, preset.axis, out)
    if not command.json:
        print(text)
    return value
