"""What a training run will take: its own phases on a few clips, timed, times their number; and the batch size."""

import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import choose_device
from kgclip.engine.frames import trains
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import Prepared, prepare
from kgclip.engine.run import Run, check_learns, new_run
from kgclip.engine.state import TrainingState, trained_tensors
from kgclip.errors import KgclipError
from kgclip.remains import scratch_folder

log = logging.getLogger(__name__)

# Clips that each phase is timed on, or two steps' worth if that is more.
TIMED_CLIPS = 64
# Clips a step that `--batch auto` tries first and at most; fewer steps an epoch than LEAST_STEPS learn too little.
FIRST, MOST, LEAST_STEPS = 8, 1024, 8
# Twice the clips must be worth this much more clips a second on a CPU, where memory is not the limit.
WORTHWHILE = 1.1


@dataclass(frozen=True)
class Estimate:
    """What a run will take: seconds by phase, and the most bytes in use while the phases were timed."""

    train_clips: int
    val_clips: int
    steps: int
    trained_parameters: int
    parameters: int
    seconds: dict[str, float]
    memory_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the sum of all phases as ``wall_s``."""
        return {**vars(self), "wall_s": sum(self.seconds.values())}


def estimate(config: TrainConfig) -> Estimate:
    """Run each phase of a training on a few of its clips, and scale its time up by the number of clips.

    Raises:
        KgclipError: anything wrong with the input that the run itself would find before training.
    """
    choose_device(config.device)
    started = time.perf_counter()
    prepared = prepare(config)
    check_learns(config, prepared)
    seconds = {"preparation": time.perf_counter() - started}
    num_clips, num_val = len(prepared.split.train), len(prepared.split.val)
    size = min(config.optim.batch_size, num_clips)
    steps = config.optim.epochs * -(-num_clips // size) if config.trains else 0
    few = first_clips(prepared, max(TIMED_CLIPS, 2 * size if config.trains else 0))
    times = num_clips / len(few.split.train)
    with scratch_folder("dryrun") as folder:
        poses = None if config.keypoints is None else Poses(config.keypoints)
        run = new_run(config, few, folder, poses=poses)
        if trains(run.backbone, "image"):
            run.backbone.to(choose_device(config.device))
        seconds["features"] = times * (1 + num_val / num_clips) * seconds_of(lambda: run.frames.features)
        clip_s = seconds_of(lambda: run.frames.embeddings(few.split.train, config.frames)) / len(few.split.train)
        solving = times * seconds_of(lambda: run.solve(few))
        solves = 1
        if config.trains:
            seconds["training"] = config.optim.epochs * times * epoch_s(run, folder, size)
            seconds["validation"] = (config.optim.epochs + 1) * num_val * clip_s
            solves += config.optim.epochs + 1 if config.model.head == "closed_form" else 0
        seconds["solving"] = solves * solving
        trained = sum(tensor.numel() for tensor in trained_tensors(run.step).values()) if config.trains else 0
    parameters = sum(parameter.numel() for parameter in run.backbone.parameters())
    return Estimate(num_clips, num_val, steps, trained, parameters, seconds, peak_memory())


def first_clips(prepared: Prepared, count: int) -> Prepared:
    """The same data with its first training clips alone; labels stay as they may be used."""
    split = prepared.split
    train = split.train[:: max(1, len(split.train) // count)][:count]
    labelled = tuple(clip for clip in train if clip in set(split.labelled))
    return replace(prepared, split=replace(split, train=train, val=(), test=(), labelled=labelled))


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def epoch_s(run: Run, folder: Path, batch_size: int) -> float:
    """Seconds that an epoch over the run's clips takes, after one that warms up."""
    optim = replace(run.config.optim, batch_size=batch_size)
    trainer = replace(run, config=replace(run.config, optim=optim)).trainer(TrainingState(folder, {}))
    module, optimizer = trainer.fabric.setup(trainer.step, trainer.optimizer)
    records = [trainer.train_epoch(epoch, module, optimizer, lambda _: None) for epoch in (1, 2)]
    return records[-1]["wall_s"]


def peak_memory() -> int:
    """The most bytes used at once: by torch on a GPU, else by this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return torch.cuda.max_memory_reserved()
    return (1 if sys.platform == "darwin" else 1024) * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def with_batch_size(config: TrainConfig) -> TrainConfig:
    """The configuration with the largest power of two of clips a step that fits into memory and is worth its time.

    Raises:
        KgclipError: nothing is trained by gradient, or not even one clip fits.
    """
    if not config.trains:
        raise KgclipError("--batch auto: this head is solved, not trained; leave it out, or add --model.head gradient")
    prepared = prepare(config)
    check_learns(config, prepared)
    most = max(1, min(MOST, len(prepared.split.train) // LEAST_STEPS))
    best, speed, size = 0, 0.0, min(FIRST, most)
    while size and size <= most:
        faster = _clips_per_s(config, prepared, size)
        if faster is None and best == 0:
            size //= 2
            continue
        if faster is None or (faster < WORTHWHILE * speed and not torch.cuda.is_available()):
            break
        best, speed, size = size, faster, 2 * size
    if best == 0:
        raise KgclipError("--batch auto: not even one clip a step fits into memory; lower --frames or train less")
    log.info("batch size %d", best)
    return replace(config, optim=replace(config.optim, batch_size=best))


def _clips_per_s(config: TrainConfig, prepared: Prepared, size: int) -> float | None:
    """Clips a second at that batch size; None where it does not fit into memory."""
    few = first_clips(prepared, 2 * size)
    try:
        with scratch_folder("dryrun") as folder:
            run = new_run(config, few, folder)
            return len(few.split.train) / epoch_s(run, folder, size)
    except (MemoryError, RuntimeError) as error:
        # torch.OutOfMemoryError on a GPU; a plain RuntimeError of the allocator on a CPU.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
    return None
