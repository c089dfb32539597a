"""The number of clips a step, found by trying."""

import gc
import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import check_device
from kgclip.engine.prepare import prepare
from kgclip.engine.rehearsal import Rehearsal, available_memory, peak_memory, reset_peak_memory
from kgclip.engine.state import RUN_FILE
from kgclip.errors import KgclipError
from kgclip.files import read_json

log = logging.getLogger(__name__)

FIRST = 8
# Fewer steps an epoch than this learn too little from it.
LEAST_STEPS = 8
MOST = 1024
# Twice the clips must be worth this much more clips a second where nothing but time is won.
WORTHWHILE = 1.1
# Share of the memory that a step may take; the rest is for the best epoch's weights and other processes.
USABLE_MEMORY = 0.8


def with_batch_size(config: TrainConfig, state: Path | None = None) -> TrainConfig:
    """The configuration with the batch size that suits the machine: a power of two.

    On a GPU it is the largest whose step fits into memory; on a CPU the search also ends where clips a second no longer
    grow. At least eight steps an epoch remain. The number is part of the configuration from then on, so that the
    model's folder tells it. A run without epochs takes no steps; its configuration stays as it is.

    Args:
        config: the run.
        state: folder of a run to be resumed; its batch size is kept.

    Raises:
        KgclipError: not even one clip fits, or anything wrong with the input.
    """
    if config.epochs == 0:
        log.info("--batch auto: this run solves for its heads and takes no steps, so nothing was tried")
        return config
    if state is not None and (state / RUN_FILE).exists():
        size = read_json(state / RUN_FILE)["config"]["optim"]["batch_size"]
    else:
        check_device(config.device)
        with tempfile.TemporaryDirectory() as folder:
            size = _search(Rehearsal(config, prepare(config), Path(folder)))
        log.info("batch size %d", size)
    return replace(config, optim=replace(config.optim, batch_size=size))


def _search(rehearsal: Rehearsal) -> int:
    device = rehearsal.trainer.fabric.device
    peaks: dict[int, int] = {}

    def clips_per_s(size: int) -> float:
        if device.type != "cuda" and _expected(peaks, size) > USABLE_MEMORY * available_memory():
            raise MemoryError
        rehearsal.steps_s(size, size)
        reset_peak_memory(device)
        # The quickest of a few: whatever else runs only ever slows a step down.
        seconds = min(rehearsal.steps_s(size, size) for _ in range(3))
        peaks[size] = peak_memory(device)
        return size / seconds

    return largest_batch(clips_per_s, rehearsal.num_clips // LEAST_STEPS, speed_decides=device.type != "cuda")


def _expected(peaks: dict[int, int], size: int) -> int:
    """Bytes that a step of ``size`` clips adds to one of half as many, as memory grew from a quarter to the half."""
    half, quarter = peaks.get(size // 2), peaks.get(size // 4)
    return 0 if half is None or quarter is None else 2 * (half - quarter)


def largest_batch(clips_per_s: Callable[[int], float], most: int, *, speed_decides: bool) -> int:
    """The largest power of two whose step fits.

    Args:
        clips_per_s: runs a step of that many clips; out of memory it raises.
        most: not more than this, or 1.
        speed_decides: end where twice the clips are not done notably faster.

    Raises:
        KgclipError: not even one clip fits.
    """
    most = max(1, min(most, MOST))
    size = min(FIRST, 1 << (most.bit_length() - 1))
    speed = _speed_or_none(clips_per_s, size)
    while speed is None:
        if size == 1:
            raise KgclipError("--batch auto: not even one clip a step fits into memory; lower --frames or train less")
        size //= 2
        speed = _speed_or_none(clips_per_s, size)
        if speed is not None:
            return size
    while 2 * size <= most:
        faster = _speed_or_none(clips_per_s, 2 * size)
        if faster is None or (speed_decides and faster < WORTHWHILE * speed):
            break
        size, speed = 2 * size, faster
    return size


def _speed_or_none(clips_per_s: Callable[[int], float], size: int) -> float | None:
    try:
        return clips_per_s(size)
    except MemoryError:
        pass
    except RuntimeError as error:
        # torch.OutOfMemoryError on a GPU; a plain RuntimeError of the allocator on a CPU.
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
    # What the failed step held goes with its frames, which the exception no longer keeps alive here.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
