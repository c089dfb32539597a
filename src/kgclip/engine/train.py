"""A training run from its configuration: checks, the loop, the solved head, calibration, and the model folder."""

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kgclip.config import TrainConfig, from_json, to_json
from kgclip.data.loader import worker_deaths
from kgclip.engine import processes
from kgclip.engine.checkpoint import CONFIG_FILE, FORMAT, Checkpoint, choose_device
from kgclip.engine.code_version import code_version
from kgclip.engine.left_out import left_out_clips
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import (
    Prepared,
    prepare,
    with_validation,
)
from kgclip.engine.run import check_learns, new_run
from kgclip.engine.state import TrainingState
from kgclip.engine.stored import read_stored
from kgclip.errors import KgclipError
from kgclip.locks import free_output, lock
from kgclip.models.backbones import auto
from kgclip.models.tuning import merge_lora
from kgclip.pose.keypoints import KEYPOINTS_FILE
from kgclip.remains import clear_remains, remove_folder
from kgclip.video.frames import typical_duration_s

log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    *,
    prepared: Prepared | None = None,
    poses: Poses | None = None,
    resume: bool = False,
    show_progress: bool = True,
) -> Checkpoint:
    """Train a model and write it to ``config.out``.

    What is trained by gradient takes its best epoch on the validation clips. A head that is solved is solved at the end
    on training and validation clips together. Where torchrun has started several processes, all of them give the same
    model, and the first writes it.

    Args:
        prepared: data, split and graph where they are at hand.
        poses: the keypoints of ``config.keypoints`` where they are at hand.
        resume: go on with the state that a killed run left beside ``config.out``.

    Raises:
        KgclipError: anything wrong with the input, found before training wherever possible.
    """
    choose_device(config.device)
    processes.check_shard(shard=config.shard)

    def run() -> Checkpoint:
        with processes.in_turn():
            named = with_backbone(config)
            keypoints = Poses(config.keypoints) if poses is None and config.keypoints is not None else poses
            data = prepared or prepare(named)
        show = show_progress and processes.is_first()
        with worker_deaths():
            return _train(named, data, keypoints, state_folder(config.out), show_progress=show)

    with processes.together(config.device):
        return _alone_on(config.out, resume, run) if processes.is_first() else run()


def _alone_on(out: Path, resume: bool, run: Callable[[], Checkpoint]) -> Checkpoint:
    """Run as the one process that writes the model and the state."""
    folder = state_folder(out)
    with lock(out):
        clear_remains(out.parent, folder.name)
        clear_remains(folder)
        _check_folders(out, folder, resume)
        fresh = not folder.exists()
        try:
            return run()
        except (KgclipError, OSError):
            # Bad input that shows late (a broken video) and a full disk leave nothing behind, unless there are epochs
            # or encoded clips to go on from.
            files = (*folder.glob(".features*/features.bin"), *folder.glob("features.safetensors"))
            encoded = any(file.stat().st_size for file in files)
            if fresh and not encoded and not any(folder.glob("epoch-*")):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def with_backbone(config: TrainConfig) -> TrainConfig:
    """The run with a backbone that has a name in place of "auto"."""
    model = config.model
    if model.backbone != auto.NAME:
        return config
    name, text = auto.backbone_at_hand(model.text)
    return replace(config, model=replace(model, backbone=name, text=text))


def state_folder(out: Path) -> Path:
    """Where a run keeps its state until its model folder is written."""
    return out.with_name(out.name + ".training")


def _check_folders(out: Path, state: Path, resume: bool) -> None:
    if resume and (out / CONFIG_FILE).is_file():
        # A run that was killed after it had written its model, and before it took its state away.
        written = from_json(TrainConfig, read_stored(out / CONFIG_FILE, FORMAT).config)
        if TrainingState(state, {}).left_of(_lasting(written)):
            remove_folder(state)
        raise KgclipError(f"{out}: this run has ended and its model is there; nothing is left to --resume")
    free_output(out)
    if state.exists() and not resume:
        raise KgclipError(f"{state}: a run that did not end left its state here; add --resume to go on, or remove it")


def _lasting(config: TrainConfig) -> dict[str, Any]:
    """The options that a run has in common with one that goes on with it."""
    free = ("out", "workers", "save_every_s", "keep_going", "shard")
    return {key: value for key, value in to_json(config).items() if key not in free}


def _train(
    config: TrainConfig, prepared: Prepared, poses: Poses | None, folder: Path, *, show_progress: bool
) -> Checkpoint:
    started = time.monotonic()
    state = TrainingState(
        folder, {"config": _lasting(config), "split": prepared.split.hash, "graph": prepared.graph.hash}
    )
    if processes.is_first():
        folder.mkdir(parents=True, exist_ok=True)
        state.check_identity()
    processes.meet()
    beside = None if config.annotations is None else config.annotations / KEYPOINTS_FILE
    if poses is None and beside is not None and beside.is_file() and config.model.head == "closed_form":
        log.info("%s: keypoints lie beside the annotations; add --keypoints to read pose too", beside)
    check_learns(config, prepared)
    run = new_run(config, prepared, folder, poses=poses, show_progress=show_progress)
    if config.keep_going:
        run = run.of_readable_clips()
        prepared = run.prepared
    summary: dict[str, Any] = {"epochs": 0, "best_epoch": 0, "val_top1": None, "trained_parameters": 0}
    if config.trains:
        summary = run.train(state)
    merge_lora(run.backbone)
    final = with_validation(prepared, config) if config.model.head == "closed_form" else prepared
    solved = run.solve(final)
    unknown = run.calibrate(solved.model) if config.model.head == "gradient" else solved.unknown
    summary |= {
        "train_clips": len(final.split.train),
        "labeled_clips": len(final.split.labelled),
        "completed_clips": solved.completed,
        "val_clips": len(run.val_labels),
        "left_out_top1": solved.left_out_top1,
        "clip_s": typical_duration_s([final.dataset.by_id[clip].path for clip in final.split.train]),
        **code_version(),
        "torch": torch.__version__,
        "wall_s": round(time.monotonic() - started, 2),
    }
    origin = None if run.poses is None else run.poses.origin
    left_out = left_out_clips(final, run.actions, solved.left_out)
    checkpoint = Checkpoint(
        solved.model.cpu(), config, run.actions, final.graph, final.split, summary, unknown, origin, left_out
    )
    if processes.is_first():
        checkpoint.save(config.out, extra=(state.log_file,) if config.trains else ())
        remove_folder(folder)
    return checkpoint
