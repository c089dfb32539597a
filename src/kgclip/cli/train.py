"""`kgclip train`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kgclip.cli.output import Switch, parse, print_json, print_table, short, warn_of_synthetic
from kgclip.config import TrainConfig
from kgclip.errors import KgclipError
from kgclip.presets import check_options, preset
from kgclip.visible import visible


@dataclass(frozen=True)
class TrainCommand:
    """Train a model on clips and on the graph of their movements.

    With a frozen image tower the heads are solved for; otherwise the best epoch is chosen on validation clips carved
    from the training part. A run that was killed goes on with --resume. torchrun trains in several processes:
    `torchrun --nproc-per-node 2 -m kgclip train ...`.

    Examples:

      kgclip train --data figures --out model

      kgclip train --data clips.csv --annotations parts --out model --model.backbone openai/clip-vit-base-patch16

      kgclip train --data figures --out clip-only --model.no-graph

      kgclip train --preset paper-b16 --data Kinetics-TPS --out model

      kgclip train --preset paper-b16 --data Kinetics-TPS --out model --dry-run
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    preset: str = "default"
    """where the defaults come from: default, paper, paper-b16 or paper-b32"""
    resume: Switch = False
    """go on with a run that was killed"""
    batch: Literal["auto"] | None = None
    """auto finds the batch size: the largest that fits, or on a CPU beyond which no larger one is faster"""
    dry_run: Switch = False
    """predict time, memory and steps, and train no model"""
    json: Switch = False
    """print the summary (or the prediction) as one JSON object"""


def train(argv: Sequence[str]) -> int:
    """Run the command."""
    name = next((b for a, b in pairwise(argv) if a == "--preset"), "default")
    name = next((a.partition("=")[2] for a in argv if a.startswith("--preset=")), name)
    default = TrainCommand(preset(name, Path(), Path()), preset=name)
    for required in ("data", "out"):
        # tyro asks for what is missing; the configuration itself takes only paths.
        object.__setattr__(default.config, required, tyro.MISSING)
    command = parse(TrainCommand, argv, "train", default)
    config = command.config
    check_options(config, preset(name, config.data, config.out))
    from kgclip.engine.folder_hash import stored_hash
    from kgclip.engine.processes import check_shard, launched
    from kgclip.engine.train import train as run_training
    from kgclip.engine.train import with_backbone

    if launched() > 1 and (command.dry_run or command.batch):
        option = "dry-run" if command.dry_run else "batch"
        raise KgclipError(f"--{option}: measures one process; leave torchrun out")
    check_shard(shard=config.shard)
    warn_of_synthetic(config, "--model.backbone auto")
    config = with_backbone(config)
    if command.batch == "auto":
        from kgclip.engine.dry_run import with_batch_size

        config = with_batch_size(config)
    if command.dry_run:
        return dry_run(config, as_json=command.json)
    checkpoint = run_training(config, resume=command.resume)
    if command.json:
        print_json({"model": str(command.config.out), **checkpoint.summary})
    else:
        summary = checkpoint.summary
        how = f"best epoch {summary['best_epoch']} of {summary['epochs']}" if summary["epochs"] else "solved"
        print(f"{visible(str(command.config.out))}: {how}", end="")
        if summary["val_top1"] is not None:
            print(f", validation top-1 {summary['val_top1']:.3f} on {summary['val_clips']} clips", end="")
        if summary["left_out_top1"] is not None:
            print(f", top-1 {summary['left_out_top1']:.3f} on {left_out(config, summary)}", end="")
        found = (checkpoint.split.hash, checkpoint.graph.hash, stored_hash(command.config.out))
        hashes = ", ".join(f"{what} {short(h)}" for what, h in zip(("split", "graph", "model"), found, strict=True))
        print(f", {summary['wall_s']:.0f} s; {hashes}")
    return 0


def left_out(config: TrainConfig, summary: dict[str, Any]) -> str:
    """The clips that the accuracy of left-out clips is of."""
    if not config.trains:
        told = ", by labels some of which were completed beside theirs" if summary["completed_clips"] else ""
        return f"training clips whose source was left out{told}"
    if summary["val_clips"]:
        return "validation clips by the last head without their source"
    return "training clips whose source was left out of the head, though not of the tower's training"


def dry_run(config: TrainConfig, *, as_json: bool) -> int:
    """Print what the run would take."""
    from kgclip.engine.dry_run import estimate

    expected = estimate(config).to_json()
    if as_json:
        print_json(expected)
        return 0
    print(
        f"{visible(str(config.out))}: {expected['train_clips']} training and {expected['val_clips']} validation clips",
        end="",
    )
    print(f", {expected['steps']} steps of {config.optim.batch_size} clips" if config.trains else ", solved")
    print(f"trained parameters: {expected['trained_parameters']:,} of {expected['parameters']:,}")
    print(f"time: {duration(expected['wall_s'])}")
    print_table("time by phase", ("phase", "time"), [(name, duration(s)) for name, s in expected["seconds"].items()])
    print(f"memory: {expected['memory_bytes'] / 2**30:.2f} GiB")
    return 0


def duration(seconds: float) -> str:
    """Seconds for a person."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
