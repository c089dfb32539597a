"""What a training run will take: time, memory, steps and parameters, from a rehearsal before anything trains."""

import math
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import check_device
from kgclip.engine.prepare import prepare
from kgclip.engine.rehearsal import START_CLIPS, Pace, Rehearsal, peak_memory, reset_peak_memory
from kgclip.engine.state import trained_tensors
from kgclip.engine.train import solvable

# Steps that are timed at the run's own batch size. If a step of fewer clips takes longer than this already, the run's
# is scaled from it and one of half as many.
TIMED_STEPS = 4
LONG_STEP_S = 3.0
# Steps of the shorter of two passes whose difference gives the pace; four times these make no more than an epoch.
PASS_STEPS = 2


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
        step = measure_step(rehearsal, min(batch_size, num_clips))
        training, embedding = measure_passes(rehearsal, step)
        begin, begin_memory = measure_start(rehearsal, embedding)
        # Before the first epoch, after each, and once more to weigh the path and calibrate.
        validations = config.epochs + 2 if num_val else 0
        needs_readout = config.model.graph and not solvable(rehearsal.model)
        seconds = {
            "preparation": preparation,
            "features": rehearsal.features_s(),
            "start": begin,
            "training": config.epochs * training.seconds(num_clips),
            "validation": validations * (embedding.seconds(num_val) + rehearsal.actions_s()),
            "end": embedding.seconds(num_clips) if needs_readout else 0.0,
        }
    trained = trained_tensors(rehearsal.model).values()
    return Estimate(
        num_clips,
        num_val,
        batch_size,
        config.epochs * math.ceil(num_clips / min(batch_size, num_clips)),
        sum(tensor.numel() for tensor in trained),
        sum(parameter.numel() for parameter in rehearsal.model.parameters()),
        step.seconds,
        seconds,
        # The best epoch's weights are kept beside those that train.
        max(step.memory_bytes + sum(tensor.nbytes for tensor in trained), begin_memory),
    )


@dataclass(frozen=True)
class Step:
    """A training step without waiting for frames.

    Attributes:
        clips: in the step.
        seconds, memory_bytes: that it takes; the most memory at once.
        timed_clips, timed_s: of the largest step that was timed, if this one takes too long for that.
    """

    clips: int
    seconds: float
    memory_bytes: int
    timed_clips: int
    timed_s: float


def measure_step(rehearsal: Rehearsal, batch_size: int) -> Step:
    """What a step takes: those of 1, 2, 4 … clips are tried, and beyond one that takes long all grows by the clip."""
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
        grown = memory + round(beyond * max(0, memory - half_memory))
        return Step(batch_size, seconds + beyond * (seconds - half_seconds), grown, size, seconds)
    num_clips = min(rehearsal.num_clips, TIMED_STEPS * batch_size)
    if seconds < LONG_STEP_S and not rehearsal.on_pixels:  # whose passes are timed as well
        steps = statistics.median(rehearsal.steps_s(num_clips, batch_size) for _ in range(5))
        seconds = steps * batch_size / num_clips
    return Step(batch_size, seconds, peak_memory(device), batch_size, seconds)


def measure_passes(rehearsal: Rehearsal, step: Step) -> tuple[Pace, Pace]:
    """The paces of training epochs and of validation, reading of the clips included."""
    steps = PASS_STEPS if step.timed_s < LONG_STEP_S else 1
    few = max(1, min(steps * step.timed_clips, rehearsal.num_clips // 4))
    embedding = rehearsal.embedding_pace(step.timed_clips, few)
    if not rehearsal.on_pixels:
        return Pace(0.0, step.seconds / step.clips), embedding
    training = rehearsal.training_pace(step.timed_clips, few)
    # A clip takes less of a larger step.
    share = (step.seconds / step.clips) / (step.timed_s / step.timed_clips)
    return Pace(training.begin_s, training.clip_s * share), embedding


def measure_start(rehearsal: Rehearsal, embedding: Pace) -> tuple[float, int]:
    """Seconds of what happens before the first step, and the most memory meanwhile, scaled up from a few clips."""
    device = rehearsal.trainer.fabric.device
    if not solvable(rehearsal.model):
        statistics_pooling = rehearsal.model.pooling.kind == "statistics"
        return embedding.seconds(rehearsal.num_clips) if statistics_pooling else 0.0, peak_memory(device)
    reset_peak_memory(device)
    before = peak_memory(device)
    seconds = rehearsal.start_s()
    grown = max(0, peak_memory(device) - before)
    return seconds, before + grown * rehearsal.num_clips // min(rehearsal.num_clips, START_CLIPS)
