"""The arms that are runs of ``kgclip train``: KG-CLIP, CLIP only, and KG-CLIP with one thing changed.

This file alone knows how a model is trained and asked.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.setting import Arm, Fitted, Setting
from kgclip.compare import scores_of
from kgclip.config import FusionConfig, TrainConfig, without_graph
from kgclip.data.loader import VideoSource, in_order
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.extract import pixels_of
from kgclip.engine.prepare import Prepared
from kgclip.engine.train import train
from kgclip.kg.graph import KnowledgeGraph
from kgclip.models.backbone import Backbone
from kgclip.video.augmentation import Augmentation

Change = Callable[[TrainConfig], TrainConfig]
GraphChange = Callable[[KnowledgeGraph, int], KnowledgeGraph]

KG_CLIP, CLIP_ONLY, PAPER = "KG-CLIP", "CLIP only", "paper's design"
# Epochs of the arms that train by gradient on cached features, and of those that train the image tower.
GRADIENT_EPOCHS, FULL_EPOCHS = 30, 10
# Clips whose pixels are embedded at once.
CHUNK = 64
# Left and right of a figure are known by the colors of its suit, which must stay.
SYNTHETIC_AUGMENTATION = Augmentation(
    (1.0, 0.875), flip=0.0, brightness=0.2, contrast=0.2, saturation=0.0, hue=0.0, gray=0.0
)


@dataclass(frozen=True, eq=False)
class TrainedFit:
    """A trained model on the clips of a setting."""

    setting: Setting
    checkpoint: Checkpoint

    def _frames(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B T F"]:
        if self.setting.features is not None:
            return self.setting.frames(clips, num_frames)
        backbone: Backbone = self.checkpoint.model.backbone
        source = VideoSource(self.setting.prepared.paths(clips), num_frames, pixels_of(backbone))
        with torch.no_grad():
            parts = [
                backbone.encode_image(batch.frames.flatten(0, 1)).unflatten(0, (-1, num_frames))
                for batch in source.batches(in_order(len(source), CHUNK))
            ]
        return torch.cat(parts)

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """Logits, whose softmax are the probabilities that the model states."""
        return scores_of(self.checkpoint, self._frames(clips, num_frames))[0] / self.checkpoint.temperature

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        if not self.checkpoint.config.model.graph:
            return None
        return scores_of(self.checkpoint, self._frames(clips, num_frames))[1]


def trained(*changes: Change, graph: GraphChange | None = None) -> Arm:
    """An arm that trains the setting's configuration with these changes, on its graph or one made from it."""

    def fit(setting: Setting) -> Fitted:
        config, prepared = setting.config, setting.prepared
        for change in changes:
            config = change(config)
        if graph is not None:
            prepared = Prepared(prepared.dataset, prepared.split, graph(prepared.graph, config.seed))
        return TrainedFit(setting, train(config, prepared=prepared, show_progress=False))

    return fit


def without_path(config: TrainConfig) -> TrainConfig:
    """S_output alone, as in the paper."""
    return dataclasses.replace(config, fusion=FusionConfig(path=None))


def by_gradient(config: TrainConfig) -> TrainConfig:
    """From the closed-form solution on by gradient."""
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, epochs=GRADIENT_EPOCHS))


def model(**changes: object) -> Change:
    """Change fields of the model's configuration."""
    return lambda config: dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


def loss(**changes: object) -> Change:
    """Change fields of the loss."""
    return lambda config: dataclasses.replace(config, loss=dataclasses.replace(config.loss, **changes))


def full(config: TrainConfig) -> TrainConfig:
    """Everything trains, mean pooling, as published but with a batch and rates for small towers and few clips."""
    optim = dataclasses.replace(config.optim, epochs=FULL_EPOCHS, batch_size=16, lr_backbone=3e-4, texts="batch")
    changed = dataclasses.replace(config.model, tuning="full", pooling="mean")
    return dataclasses.replace(config, model=changed, optim=optim, augmentation=SYNTHETIC_AUGMENTATION)


GRAPH: dict[str, Arm] = {
    CLIP_ONLY: trained(without_graph),
    KG_CLIP: trained(),
    "KG-CLIP without path": trained(without_path),
    "KG-CLIP by gradient": trained(by_gradient),
}
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
# The paper's design on frozen features: a linear map of the mean, trained by gradient, no path.
ABLATION: dict[str, Arm] = {
    "CLIP only, mean pooling": trained(without_graph, by_gradient, model(pooling="projected")),
    **{PAPER + part: trained(without_path, by_gradient, model(pooling="projected"), *c) for part, c in PARTS.items()},
}
# All of the image tower trains.
FINE_TUNED: dict[str, Arm] = {
    "CLIP only, fine-tuned": trained(without_graph, full),
    **{f"{PAPER}, fine-tuned{part}": trained(without_path, full, *changes) for part, changes in PARTS.items()},
}
VARIANTS: dict[str, Arm] = GRAPH | ABLATION | FINE_TUNED
