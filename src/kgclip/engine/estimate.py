"""What a training run will take: time, memory, steps and parameters, from a rehearsal before anything trains."""

import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import check_device
from kgclip.engine.prepare import prepare
from kgclip.engine.rehearsal import START_CLIPS, Rehearsal, peak_memory, reset_peak_memory
from kgclip.engine.state import trained_tensors
from kgclip.engine.train import solvable

# Steps that are timed at the run's own batch size. If a step of fewer clips takes longer than this already, the run's
# is scaled from it and one of half as many.
TIMED_STEPS = 4
LONG_STEP_S = 3.0


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        train_clips, val_clips: of the split.
        batch_size: clips a step.
        steps: of all epochs.
        trained_parameters, parameters: of the model.
        step_s: one step, without waiting for frames.
        seconds: of each phase (preparation, features, start, training, validation, end).
        memory_bytes: most memory at once: of the process on a CPU, of the device on a GPU.
    """

    train_clips: int
    val_clips: int
    batch_size: int
    steps: int
    trained_parameters: int
    parameters: int
    step_s: float
    seconds: dict[str, float]
    memory_bytes: int

    @property
    def wall_s(self) -> float:
        """All phases together."""
        return sum(self.seconds.values())

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "wall_s": self.wall_s}


def estimate(config: TrainConfig) -> Estimate:
    """Rehearse a run: a few of its steps on frames of the right shape, and its other phases on a few clips.

    Raises:
        KgclipError: anything wrong with the input that the run itself would find before training.
    """
    check_device(config.device)
    started = time.perf_counter()
    prepared = prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = Rehearsal(config, prepared, Path(folder))
        preparation = time.perf_counter() - started
        batch_size, num_clips, num_val = config.optim.batch_size, rehearsal.num_clips, len(prepared.split.val)
        step_s, memory = measure_step(rehearsal, min(batch_size, num_clips))
        decode, forward = rehearsal.decode_s(), rehearsal.forward_s()
        begin, begin_memory = measure_start(rehearsal)
        batches = num_clips / min(batch_size, num_clips)
        epoch_s = batches * with_loading(step_s, decode * num_clips / batches, config)
        clip_s = with_loading(forward, decode, config)
        needs_readout = config.model.graph and not solvable(rehearsal.model)
        seconds = {
            "preparation": preparation,
            "features": rehearsal.features_s(),
            "start": begin,
            "training": config.epochs * epoch_s,
            "validation": (config.epochs + 1) * (num_val * clip_s + rehearsal.actions_s()) if num_val else 0.0,
            "end": num_clips * clip_s if needs_readout else 0.0,
        }
    trained = trained_tensors(rehearsal.model).values()
    return Estimate(
        num_clips,
        num_val,
        batch_size,
        config.epochs * math.ceil(batches),
        sum(tensor.numel() for tensor in trained),
        sum(parameter.numel() for parameter in rehearsal.model.parameters()),
        step_s,
        seconds,
        # The best epoch's weights are kept beside those that train.
        max(memory + sum(tensor.nbytes for tensor in trained), begin_memory),
    )


def measure_step(rehearsal: Rehearsal, batch_size: int) -> tuple[float, int]:
    """Seconds of a training step without waiting for frames, and the most memory meanwhile.

    Steps of 1, 2, 4 … clips are tried up to one that takes long; time and memory beyond it grow by the clip.
    """
    device = rehearsal.trainer.fabric.device
    rehearsal.steps_s(1, 1)
    trials: list[tuple[int, float, int]] = []
    size, seconds = 0, 0.0
    while size < batch_size and (len(trials) < 2 or seconds < LONG_STEP_S):
        size = min(max(1, 2 * size), batch_size)
        reset_peak_memory(device)
        # The quicker of two: the first may have to warm up.
        seconds = min(rehearsal.steps_s(size, size) for _ in range(2))
        trials.append((size, seconds, peak_memory(device)))
    if size < batch_size:
        (half, half_seconds, half_memory), (_, _, memory) = trials[-2:]
        beyond = (batch_size - size) / (size - half)
        return seconds + beyond * (seconds - half_seconds), memory + round(beyond * max(0, memory - half_memory))
    num_clips = min(rehearsal.num_clips, TIMED_STEPS * batch_size)
    if seconds < LONG_STEP_S:
        steps = statistics.median(rehearsal.steps_s(num_clips, batch_size) for _ in range(5))
        seconds = steps * batch_size / num_clips
    return seconds, peak_memory(device)


def measure_start(rehearsal: Rehearsal) -> tuple[float, int]:
    """Seconds of what happens before the first step, and the most memory meanwhile, scaled up from a few clips."""
    device = rehearsal.trainer.fabric.device
    reset_peak_memory(device)
    before = peak_memory(device)
    seconds = rehearsal.start_s()
    grown = max(0, peak_memory(device) - before)
    return seconds, before + grown * rehearsal.num_clips // min(rehearsal.num_clips, START_CLIPS)


def with_loading(compute_s: float, decode_s: float, config: TrainConfig) -> float:
    """Seconds of some computation together with the decoding that feeds it.

    Without workers the two follow each other. With workers they overlap, as far as there are cores for both: a GPU
    leaves the cores to the workers, computation on the CPU shares them.
    """
    if config.workers == 0:
        return compute_s + decode_s
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(config.workers, cores)
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    threads = min(torch.get_num_threads(), cores) if on_cpu else 0
    return max(compute_s, decode_s / workers, (compute_s * threads + decode_s) / cores)
