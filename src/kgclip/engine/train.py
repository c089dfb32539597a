"""A training run from its configuration: checks, the loop, the solved head, calibration, and the model folder."""

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.config import TrainConfig, from_json, to_json
from kgclip.data.loader import worker_deaths
from kgclip.engine import processes
from kgclip.engine.checkpoint import CONFIG_FILE, FORMAT, Checkpoint, choose_device, new_head
from kgclip.engine.code_version import code_version
from kgclip.engine.frames import CACHED_PER_FRAME, RunFrames, trains
from kgclip.engine.left_out import left_out_clips
from kgclip.engine.loop import Trainer, loss_weights
from kgclip.engine.metrics import fit_temperature
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import (
    GraphTargets,
    Prepared,
    graph_targets,
    known_actions,
    prepare,
    with_validation,
    without_clips,
)
from kgclip.engine.solve import SolvedModel, solve
from kgclip.engine.solved_step import SolvedStep, check_goal
from kgclip.engine.state import TrainingState
from kgclip.engine.step import TrainingStep
from kgclip.engine.stored import read_stored
from kgclip.engine.unknown import Threshold, choose_threshold
from kgclip.errors import KgclipError
from kgclip.locks import free_output, lock
from kgclip.models.backbones import auto
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.fit_head import ClipRows
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import KGCLIP, embed_texts, unsolved_model
from kgclip.models.tuning import merge_lora, set_trainable
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
        "val_clips": len(prepared.split.val),
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


@dataclass(frozen=True)
class Run:
    """The parts of one run; backbone and head are what trains by gradient, if anything does."""

    config: TrainConfig
    prepared: Prepared
    actions: tuple[str, ...]
    backbone: Backbone
    head: GradientHead
    frames: RunFrames
    poses: Poses | None

    def of_readable_clips(self) -> "Run":
        """This run without the clips that could not be encoded, which are warned of."""
        features = self.frames.features
        skipped = {} if features is None else features.skipped
        unreadable = [clip for clip in (*self.prepared.split.train, *self.prepared.split.val) if clip in skipped]
        if not unreadable:
            return self
        for clip in unreadable:
            log.warning("%s: left out: %s", clip, skipped[clip])
        prepared = without_clips(self.prepared, self.config, unreadable)
        self.frames.prepared = prepared
        return replace(self, prepared=prepared, actions=known_actions(self.config, prepared))

    @cached_property
    def step(self) -> TrainingStep | SolvedStep:
        """One step of training by gradient."""
        config, split = self.config, self.prepared.split
        targets, weights = self.targets(self.prepared), loss_weights(config)
        if config.model.head == "closed_form":
            wanted = CACHED_PER_FRAME * config.frames
            encode = partial(self.frames.embeddings, split.train, wanted)
            return SolvedStep(self.backbone, targets, config.frames, weights, encode, self.pose(split.train))
        if config.model.pooling == "statistics":
            self.head.pooling.fit(self.frames.embeddings(split.train, config.frames))
        every_text = config.optim.texts == "all"
        return TrainingStep(self.backbone, self.head, targets, config.prompts, weights, every_text=every_text)

    def targets(self, prepared: Prepared) -> GraphTargets:
        """The graph over training clips."""
        return graph_targets(prepared, prepared.split.train, self.actions, graph=self.config.model.graph)

    def pose(self, clips: tuple[str, ...]) -> Float[Tensor, "N S"] | None:
        """Pose numbers of clips; None where the run reads no pose."""
        return None if self.poses is None else self.poses.numbers(clips)

    def trainer(self, state: TrainingState) -> Trainer:
        """What trains backbone and head by gradient."""
        validate = self.validate if self.val_labels else None
        source = self.frames.source(self.prepared.split.train, self.config.frames, training=True)
        return Trainer(self.config, self.step, source, validate, state)

    def train(self, state: TrainingState) -> dict[str, Any]:
        """Train backbone and head by gradient; they then hold the weights of the best epoch."""
        fixed_texts = not trains(self.backbone, "text")
        return self.trainer(state).run(show_progress=self.frames.show_progress, fixed_texts=fixed_texts)

    def solve(self, prepared: Prepared) -> SolvedModel:
        """The model with its head, or with a trained head its reading of movements, solved on the training clips."""
        return self._solved(prepared, self.frames.rows(prepared.split.train, CACHED_PER_FRAME * self.config.frames))

    def _solved(self, prepared: Prepared, embeddings: ClipRows) -> SolvedModel:
        config = self.config
        # Beside rows of embeddings, which lie in memory and not on a GPU.
        trained = (self.head.cpu(), self.action_embeddings()) if config.model.head == "gradient" else None
        targets, pose = self.targets(prepared), self.pose(prepared.split.train)
        return solve(self.backbone, embeddings, targets, config.frames, config.path_weight, trained, pose)

    @torch.no_grad()
    def action_embeddings(self) -> Float[Tensor, "K D"]:
        """Of unit length, by the text tower as it stands."""
        return embed_texts(self.backbone, self.config.prompts.around("action", self.actions)).cpu()

    def validate(self) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
        """Logits and labels of the validation clips by the model as it stands; of a trained head without the path."""
        if isinstance(self.step, SolvedStep):
            return self.val_logits(self._solved(self.prepared, self.step.encoded()).model)
        return self.val_logits(unsolved_model(self.backbone, self.head, self.action_embeddings()))

    @property
    def val_labels(self) -> dict[str, str]:
        """The labels of validation clips that may be used and that the model knows."""
        val = self.prepared.split.val
        return {
            c: n for c, n in zip(val, self.prepared.labels(val), strict=True) if n is not None and n in self.actions
        }

    @torch.no_grad()
    def val_logits(self, model: KGCLIP) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
        """Logits and labels of the validation clips."""
        labels = self.val_labels
        positions = torch.tensor([self.actions.index(name) for name in labels.values()])
        embeddings = self.frames.embeddings(tuple(labels), self.config.frames)
        device = next(self.backbone.parameters()).device
        numbers = self.pose(tuple(labels))
        score = model.to(device)(embeddings.to(device), None if numbers is None else numbers.to(device))
        return (score.total / model.temperature).cpu(), positions

    def calibrate(self, model: KGCLIP) -> Threshold | None:
        """Fit the temperature of a trained head on the validation clips; without any it is that of training.

        Returns:
            The threshold of "unknown" on the same clips.
        """
        model.temperature.fill_(float(1 / self.head.scale().detach()))
        if not self.val_labels:
            return None
        logits, labels = self.val_logits(model)
        temperature = fit_temperature(logits, labels)
        model.temperature.mul_(temperature)
        return choose_threshold((logits / temperature).softmax(dim=1), labels, "validation")


def check_learns(config: TrainConfig, prepared: Prepared) -> None:
    """Raise KgclipError if a tower is to train beneath a solved head, and nothing says how it should change."""
    if config.trains and config.model.head == "closed_form":
        actions = known_actions(config, prepared)
        targets = graph_targets(prepared, prepared.split.train, actions, graph=config.model.graph)
        check_goal(targets, loss_weights(config))


def new_run(
    config: TrainConfig, prepared: Prepared, folder: Path, *, poses: Poses | None = None, show_progress: bool = False
) -> Run:
    """A run with its backbone loaded, the weights that train chosen, and a new head; `folder` is for its features."""
    torch.manual_seed(config.seed)
    model = config.model
    backbone = load_backbone(model.backbone, model.text)
    # What is trained in bf16 is also validated, extracted and used in it.
    backbone.in_bf16 = config.optim.precision == "bf16-mixed"
    set_trainable(backbone, model.tuning, model.lora_rank, model.partial_layers, names=model.head == "gradient")
    frames = RunFrames(config, prepared, backbone, folder, show_progress)
    if poses is not None:
        poses.check(prepared.split.train)
    head = new_head(config, backbone)
    return Run(config, prepared, known_actions(config, prepared), backbone, head, frames, poses)
