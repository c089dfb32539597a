"""Whether several processes have the loss and the gradients of one: every step of an epoch, at the first weights.

    python -m tools.many_processes DATA --processes 2 4

Each number of processes is started by torchrun on this machine. Batches are of 7 clips, so that parts are uneven, and
the last batch is smaller still. Prints a table.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from tyro.conf import Positional

from kgclip.cli.main import leave
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine import processes
from kgclip.engine.dry_run import first_clips
from kgclip.engine.loop import Trainer
from kgclip.engine.prepare import prepare
from kgclip.engine.run import new_run
from kgclip.engine.sharding import whole
from kgclip.engine.state import TrainingState
from kgclip.files import save_tensors
from kgclip.models.options import LossWeights

BATCH, CLIPS, LARGE = 7, 24, 1e9
# Nothing moves, so that every step is at the first weights, and no gradient is cut.
STILL = OptimConfig(epochs=1, batch_size=BATCH, lr_backbone=0.0, lr_new=0.0, weight_decay=0.0, clip_norm=LARGE)


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    data: Positional[Path]
    """data set with labels and annotations, such as `kgclip data synthetic` writes"""
    processes: Annotated[tuple[int, ...], tyro.conf.arg(help="numbers of processes")] = (2, 4)
    cases: tuple[str, ...] = ()
    """which cases; all if none is given"""
    save: Path | None = None
    """write the gradients of this process's run there, in place of comparing"""


@dataclass(frozen=True)
class Difference:
    """Of one case: the largest difference of a step's loss and of a gradient, as shares of the largest of each.

    Attributes:
        held: bytes of weights and optimizer state in the first process, as a share of what one process holds.
    """

    case: str
    loss: float
    gradient: float
    held: float


def cases(data: Path) -> dict[str, TrainConfig]:
    """What is compared: heads, losses, tunings, and towers that are shared out over several processes."""
    head = ModelConfig(head="gradient", pooling="projected")
    start = TrainConfig(data, Path("unused"), frames=2, workers=0, device="cpu", model=head, optim=STILL)
    margin = LossWeights(mm=0.0, margin=2.0)
    full = replace(start, model=replace(head, tuning="full"))
    solved = replace(start, model=ModelConfig(tuning="full"))
    lora = replace(start, model=replace(head, tuning="lora", subspace="context"), optim=replace(STILL, accumulate=2))
    shard = processes.launched() > 1
    return {
        "contrastive": start,
        "texts of the batch": replace(start, optim=replace(STILL, texts="batch")),
        "margin": replace(start, loss=margin),
        "full tuning": full,
        "full tuning, sharded": replace(full, shard=shard),
        "solved head": solved,
        "solved head, sharded": replace(solved, shard=shard),
        "LoRA, two steps an update": lora,
        "LoRA, two steps an update, sharded": replace(lora, shard=shard),
    }


def gradients(data: Path, folder: Path, chosen: Sequence[str] = ()) -> dict[str, Tensor]:
    """Losses and gradients of every case, by "case/step/name"; the same in all processes that train together.

    "case/held" is the bytes of weights and optimizer state in this process.

    Args:
        folder: new or empty, the same for all of them.
        chosen: names of cases; all if there is none.
    """
    found: dict[str, Tensor] = {}
    for case, config in cases(data).items():
        if chosen and case not in chosen:
            continue
        with processes.together("cpu"):
            with processes.in_turn():
                prepared = first_clips(prepare(config), CLIPS)
            trainer = new_run(config, prepared, folder / case).trainer(TrainingState(folder / case, {}))
            steps = 0

            def keep(*_: Any, case: str = case, trainer: Any = trainer) -> None:
                nonlocal steps
                for name, parameter in trainer.step.named_parameters():
                    if parameter.grad is not None:
                        found[f"{case}/{steps}/{name}"] = whole(parameter.grad).clone()
                steps += 1

            trainer.optimizer.register_step_pre_hook(keep)
            processes.meet()
            module, optimizer = trainer.fabric.setup(trainer.step, trainer.optimizer)
            record = trainer.train_epoch(1, module, optimizer, lambda _: None)
            found[f"{case}/loss"] = torch.tensor(record["loss"], dtype=torch.float64)
            found[f"{case}/held"] = torch.tensor(held(trainer), dtype=torch.float64)
    return found


def held(trainer: Trainer) -> int:
    """Bytes of weights and optimizer state in this process."""
    state = (value for values in trainer.optimizer.state.values() for value in values.values())
    tensors = (t.to_local() if isinstance(t, DTensor) else t for t in (*trainer.step.parameters(), *state))
    return sum(tensor.nbytes for tensor in tensors)


def gradients_of(data: Path, chosen: Sequence[str], count: int) -> dict[str, Tensor]:
    """:func:`gradients` by that many new processes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gradients.safetensors"
        words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--standalone"]
        subprocess.run(
            [*words, "-m", "tools.many_processes", str(data), "--save", str(file), "--cases", *chosen], check=True
        )
        return load_file(file)


def differences(one: dict[str, Tensor], several: dict[str, Tensor]) -> Iterator[Difference]:
    """The differences of every case; infinite where one side has a gradient that the other has not."""
    for case in dict.fromkeys(name.partition("/")[0] for name in one):
        names = {name for name in (*one, *several) if name.startswith(f"{case}/") and name.count("/") > 1}
        largest = max(float(one[name].abs().max()) for name in names & set(one))
        apart = [
            float((one[name] - several[name]).abs().max()) if name in one and name in several else float("inf")
            for name in names
        ]
        loss = one[f"{case}/loss"]
        share = float(several[f"{case}/held"] / one[f"{case}/held"])
        yield Difference(case, float(abs(several[f"{case}/loss"] - loss) / loss), max(apart) / largest, share)


def main(options: Options) -> None:
    """Measure and print the table, or save what one process has."""
    if options.save is not None:
        found = gradients(options.data, options.save.parent, options.cases)
        if os.environ["RANK"] == "0":
            save_tensors(found, options.save)
        leave()
    one = gradients_of(options.data, options.cases, 1)
    print("| case | processes | loss | gradients | held |\n|---|---:|---:|---:|---:|")
    for count in options.processes:
        for row in differences(one, gradients_of(options.data, options.cases, count)):
            print(f"| {row.case} | {count} | {row.loss:.0e} | {row.gradient:.0e} | {row.held:.3f} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
