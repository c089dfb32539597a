"""The parts of one training run: its frames, its backbone and head, what trains them and what solves the head."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import new_head
from kgclip.engine.frames import CACHED_PER_FRAME, RunFrames, trains
from kgclip.engine.loop import Trainer, loss_weights
from kgclip.engine.metrics import fit_temperature
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import (
    GraphTargets,
    Prepared,
    graph_targets,
    known_actions,
    taught_actions,
    without_clips,
)
from kgclip.engine.solve import SolvedModel, solve
from kgclip.engine.solved_step import SolvedStep, check_goal
from kgclip.engine.state import TrainingState
from kgclip.engine.step import TrainingStep
from kgclip.engine.unknown import Threshold, choose_threshold
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.fit_head import ClipRows
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import KGCLIP, embed_texts, unsolved_model
from kgclip.models.tuning import set_trainable

log = logging.getLogger(__name__)


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
        """The model with its head, or with a trained head its reading of movements, solved on the training clips.

        Those of them that are this run's validation clips tell how good it is, where the tower has learned from the
        others.
        """
        rows = self.frames.rows(prepared.split.train, CACHED_PER_FRAME * self.config.frames)
        held = set(self.prepared.split.val) if self.config.trains else set()
        fresh = torch.tensor([clip in held for clip in prepared.split.train], dtype=torch.bool)
        return self._solved(prepared, rows, fresh)

    def _solved(self, prepared: Prepared, embeddings: ClipRows, fresh: Bool[Tensor, " N"] | None = None) -> SolvedModel:
        config = self.config
        # Beside rows of embeddings, which lie in memory and not on a GPU.
        trained = (self.head.cpu(), self.action_embeddings()) if config.model.head == "gradient" else None
        targets, pose = self.targets(prepared), self.pose(prepared.split.train)
        return solve(self.backbone, embeddings, targets, config.frames, config.path_weight, trained, pose, fresh)

    @torch.no_grad()
    def action_embeddings(self) -> Float[Tensor, "K D"]:
        """Of unit length, by the text tower as it stands."""
        return embed_texts(self.backbone, self.config.prompts.around("action", self.actions)).cpu()

    def validate(self) -> tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]:
        """Logits and labels of the validation clips by the model as it stands; of a trained head without the path."""
        if isinstance(self.step, SolvedStep):
            return self.val_logits(self._solved(self.prepared, self.step.encoded()).model)
        return self.val_logits(unsolved_model(self.backbone, self.head, self.action_embeddings()))

    @cached_property
    def val_labels(self) -> dict[str, str]:
        """The labels of validation clips whose actions the training part teaches."""
        val, taught = self.prepared.split.val, taught_actions(self.config, self.prepared)
        return {c: n for c, n in zip(val, self.prepared.labels(val), strict=True) if n is not None and n in taught}

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
