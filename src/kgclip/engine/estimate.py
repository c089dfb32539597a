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

# Steps that are timed at the run's own batch size; if one would take longer than this it is scaled from one of two
# clips and one of one.
TIMED_STEPS = 4
LONG_STEP_S = 5.0


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
            "validation": (config.epochs + 1) * num_val * clip_s,
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
    """Seconds of a training step without waiting for frames, and the most memory meanwhile."""
    device = rehearsal.trainer.fabric.device
    rehearsal.steps_s(1, 1)
    reset_peak_memory(device)
    one, memory_of_one = rehearsal.steps_s(1, 1), peak_memory(device)
    if one * batch_size < LONG_STEP_S:
        num_clips = min(rehearsal.num_clips, TIMED_STEPS * batch_size)
        rehearsal.steps_s(batch_size, batch_size)
        seconds = statistics.median(rehearsal.steps_s(num_clips, batch_size) for _ in range(5))
        return seconds * batch_size / num_clips, peak_memory(device)
    reset_peak_memory(device)
    two, memory_of_two = rehearsal.steps_s(2, 2), peak_memory(device)
    return (
        one + (batch_size - 1) * (two - one),
        memory_of_one + (batch_size - 1) * max(0, memory_of_two - memory_of_one),
    )


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
