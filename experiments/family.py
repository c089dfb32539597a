"""The arms that are runs of ``kgclip train``: KG-CLIP, CLIP only, and KG-CLIP with one thing changed.

This file alone knows how a model is trained and asked.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.setting import Arm, Fitted, Setting
from kgclip.config import TrainConfig, without_graph
from kgclip.data.loader import VideoSource
from kgclip.engine.checkpoint import Checkpoint, choose_device
from kgclip.engine.encoder import pixels_of
from kgclip.engine.evaluate import score_source
from kgclip.engine.prepare import Prepared, feature_source
from kgclip.engine.train import train
from kgclip.kg.graph import KnowledgeGraph
from kgclip.models.kgclip import KGCLIP, Score
from kgclip.video.augmentation import Augmentation

Change = Callable[[TrainConfig], TrainConfig]
GraphChange = Callable[[KnowledgeGraph, int], KnowledgeGraph]
Part = Callable[[KGCLIP, Score], Float[Tensor, "B K"]]
"""Which of a score's parts ranks the actions."""

KG_CLIP, CLIP_ONLY, PAPER = "KG-CLIP", "CLIP only", "paper's design"
# Epochs of the arms that train the image tower, by the loss of mean pooling or beneath the solved head.
FULL_EPOCHS, TOWER_EPOCHS = 4, 6
# Logit of an action that a model does not know.
UNKNOWN = -1e4
# Left and right of a figure are known by the colors of its suit, which must stay.
SYNTHETIC_AUGMENTATION = Augmentation(
    (1.0, 0.875), flip=0.0, brightness=0.2, contrast=0.2, saturation=0.0, hue=0.0, gray=0.0
)
NO_AUGMENTATION = Augmentation((1.0, 1.0), flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, gray=0.0)


def whole(model: KGCLIP, score: Score) -> Float[Tensor, "B K"]:
    """All of the score."""
    return score.total


@dataclass(frozen=True, eq=False)
class TrainedFit:
    """A trained model on the clips of a setting.

    Attributes:
        setting: the clips.
        checkpoint: the model.
        part: of its score.
        last: the clips and T that were scored last, with their score: decoding and encoding take longest.
    """

    setting: Setting
    checkpoint: Checkpoint
    part: Part = whole
    last: dict[tuple[tuple[str, ...], int], Score] = field(default_factory=dict)

    @property
    def states_probabilities(self) -> bool:
        """Whether its scores are those of the whole model, from which it states probabilities."""
        return self.part is whole

    def _score(self, clips: tuple[str, ...], num_frames: int) -> Score:
        model, features = self.checkpoint.model, self.setting.features
        if self.setting.config.features is not None:
            assert features is not None
            numbers = None if model.pose is None else self.setting.numbers(clips)
            return score_source(model, feature_source(features, clips, num_frames), numbers=numbers)
        source = VideoSource(self.setting.prepared.paths(clips), num_frames, pixels_of(model.backbone))
        return score_source(model, source, choose_device(self.setting.config.device))

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """Logits, whose softmax are the probabilities that the model states."""
        model = self.checkpoint.model
        logits = torch.full((len(clips), len(self.setting.actions)), UNKNOWN)
        known = [self.setting.actions.index(action) for action in self.checkpoint.actions]
        score = self._score(clips, num_frames)
        self.last.clear()
        self.last[clips, num_frames] = score
        logits[:, known] = self.part(model, score) / model.temperature
        return logits

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        if not self.checkpoint.config.model.graph:
            return None
        return (self.last.get((clips, num_frames)) or self._score(clips, num_frames)).shares


def trained(*changes: Change, graph: GraphChange | None = None, part: Part = whole) -> Arm:
    """An arm that trains the setting's configuration with these changes, on its graph or one made from it."""

    def fit(setting: Setting) -> Fitted:
        config, prepared = setting.config, setting.prepared
        for change in changes:
            config = change(config)
        if graph is not None:
            prepared = Prepared(prepared.dataset, prepared.split, graph(prepared.graph, config.seed))
        poses = None if config.keypoints is None else setting.poses
        return TrainedFit(setting, train(config, prepared=prepared, poses=poses, show_progress=False), part)

    return fit


def without_path(config: TrainConfig) -> TrainConfig:
    """S_output alone, as in the paper."""
    return dataclasses.replace(config, path_weight=0.0)


def model(**changes: object) -> Change:
    """Change fields of the model's configuration."""
    return lambda config: dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


def loss(**changes: object) -> Change:
    """Change fields of the loss."""
    return lambda config: dataclasses.replace(config, loss=dataclasses.replace(config.loss, **changes))


def full(config: TrainConfig) -> TrainConfig:
    """Everything trains, mean pooling, as published but with a batch, rates and epochs for small towers."""
    optim = dataclasses.replace(
        config.optim, epochs=FULL_EPOCHS, warmup_epochs=0.5, batch_size=16, lr_backbone=3e-4, texts="batch"
    )
    changed = dataclasses.replace(config.model, head="gradient", tuning="full", pooling="mean")
    return dataclasses.replace(config, model=changed, optim=optim, augmentation=SYNTHETIC_AUGMENTATION)


def tower(config: TrainConfig) -> TrainConfig:
    """The whole image tower trains beneath the solved head, on frames as they are."""
    optim = dataclasses.replace(
        config.optim,
        epochs=TOWER_EPOCHS,
        warmup_epochs=1.0,
        batch_size=32,
        lr_backbone=1e-3,
    )
    changed = dataclasses.replace(config.model, tuning="full")
    return dataclasses.replace(config, model=changed, optim=optim, augmentation=NO_AUGMENTATION)


def frames_alone(config: TrainConfig) -> TrainConfig:
    """No pose, where the data have keypoints."""
    return dataclasses.replace(config, keypoints=None)


by_gradient = model(head="gradient", pooling="statistics")
# The paper's design on frozen features: a linear map of the mean, trained by gradient, no path.
on_means = model(head="gradient", pooling="projected")
GRAPH: dict[str, Arm] = {
    CLIP_ONLY: trained(without_graph),
    KG_CLIP: trained(),
    "KG-CLIP by gradient": trained(by_gradient),
    # The parts of its score, one left out at a time.
    "KG-CLIP without path": trained(without_path),
    "KG-CLIP without S_tri": trained(
        part=lambda model, score: model.join(score.mm, None, score.shares, score.pose).total
    ),
    "KG-CLIP without S_mm": trained(
        part=lambda model, score: model.join(_tri(score), None, score.shares, score.pose).total
    ),
    "KG-CLIP, path alone": trained(part=lambda model, score: score.mm * 0 if score.path is None else score.path),
}


def _joined(model: KGCLIP, score: Score, part: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """The score with one of S_mm and S_tri in place of both."""
    return model.join(part, None, score.shares, score.pose).total


def _tri(score: Score) -> Float[Tensor, "B K"]:
    assert score.tri is not None
    return score.tri


# The parts of the triplet encoder one by one.
PARTS: dict[str, tuple[Change, ...]] = {
    "": (),
    ", movements as text only": (model(subspace=None),),
    ", no ε": (model(epsilon="none"),),
    ", shared ε": (model(epsilon="shared"),),
    ", matrix": (model(subspace="matrix"),),
    ", context": (model(subspace="context"),),
    ", margin loss": (loss(margin=1.0),),
    ", λ = 0": (loss(mm=0.0),),
    ", λ = 0.5": (loss(mm=0.5),),
    ", λ = 1.5": (loss(mm=1.5),),
}
ABLATION: dict[str, Arm] = {
    "CLIP only, mean pooling": trained(without_graph, on_means),
    **{PAPER + part: trained(without_path, on_means, *changes) for part, changes in PARTS.items()},
}
# All of the image tower trains, beneath the solved head or, with mean pooling, as in the paper.
FINE_TUNED: dict[str, Arm] = {
    "CLIP only, tower frozen": trained(without_graph, model(tuning="frozen")),
    "KG-CLIP, tower frozen": trained(model(tuning="frozen")),
    "CLIP only, tower fine-tuned": trained(without_graph, tower),
    "KG-CLIP, tower fine-tuned": trained(tower),
}
# On frozen features other λ gained nothing.
FINE_TUNED_PARTS: dict[str, Arm] = {
    "CLIP only, mean pooling, fine-tuned": trained(without_graph, full),
    **{
        f"{PAPER}, fine-tuned{part}": trained(without_path, full, *changes)
        for part, changes in PARTS.items()
        if "λ" not in part
    },
}
# Where clips have keypoints, the arms above read pose too.
POSE: dict[str, Arm] = {
    "CLIP only, frames alone": trained(without_graph, frames_alone),
    "KG-CLIP, frames alone": trained(frames_alone),
    "KG-CLIP, path alone": GRAPH["KG-CLIP, path alone"],
}
VARIANTS: dict[str, Arm] = GRAPH | ABLATION | FINE_TUNED | FINE_TUNED_PARTS | POSE
