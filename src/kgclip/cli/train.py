"""`kgclip train`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import tyro

from kgclip.cli.output import parse, print_json
from kgclip.config import TrainConfig, preset


@dataclass(frozen=True)
class TrainCommand:
    """Train a model on clips and on the graph of their movements.

    The best epoch is chosen on validation clips carved from the training part. A run that was killed goes on with
    --resume.

    Examples:

      kgclip train --data puppets --out model

      kgclip train --data clips.csv --annotations parts --out model --model.backbone openai/clip-vit-base-patch16

      kgclip train --data puppets --out clip-only --model.no-graph

      kgclip train --preset paper-b16 --data Kinetics-TPS --out model
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    preset: str = "default"
    """where the defaults come from: default, paper-b16 or paper-b32"""
    resume: bool = False
    """go on with a run that was killed"""
    json: bool = False
    """print the summary as one JSON object"""


def train(argv: Sequence[str]) -> int:
    """Run the command."""
    name = next((b for a, b in pairwise(argv) if a == "--preset"), "default")
    name = next((a.partition("=")[2] for a in argv if a.startswith("--preset=")), name)
    default = TrainCommand(preset(name, Path(), Path()), preset=name)
    for required in ("data", "out"):
        # tyro asks for what is missing; the configuration itself takes nothing but paths.
        object.__setattr__(default.config, required, tyro.MISSING)
    command = parse(TrainCommand, argv, "train", default)
    from kgclip.engine.train import train as run_training

    checkpoint = run_training(command.config, resume=command.resume)
    if command.json:
        print_json({"model": str(command.config.out), **checkpoint.summary})
    else:
        summary = checkpoint.summary
        print(f"{command.config.out}: best epoch {summary['best_epoch']} of {summary['epochs']}", end="")
        if summary["val_top1"] is not None:
            print(f", validation top-1 {summary['val_top1']:.3f} on {summary['val_clips']} clips", end="")
        print(f", {summary['wall_s']:.0f} s")
    return 0
