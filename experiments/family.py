"""The arms that are runs of ``kgclip train``: KG-CLIP, CLIP only, and KG-CLIP with one thing changed."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from kgclip.engine.scoring import Embedded, Scorer
from torch import Tensor

from experiments.setting import Arm, Fitted, Setting
from kgclip.config import FusionConfig, TrainConfig, without_graph
from kgclip.data.loader import Source, VideoSource, in_order
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import pixels_of
from kgclip.engine.prepare import Prepared, feature_source
from kgclip.engine.train import train
from kgclip.kg.graph import KnowledgeGraph
from kgclip.video.augmentation import Augmentation

Change = Callable[[TrainConfig], TrainConfig]
GraphChange = Callable[[KnowledgeGraph, int], KnowledgeGraph]

# Epochs and head of the arms that train by gradient on cached features: what the defaults take where they train.
GRADIENT_EPOCHS = 30
FULL_EPOCHS = 10
# Left and right of a figure are told by the colors of its suit, which must stay.
SYNTHETIC_AUGMENTATION = Augmentation(
    (1.0, 0.875), flip=0.0, brightness=0.2, contrast=0.2, saturation=0.0, hue=0.0, gray=0.0
)


@dataclass(frozen=True, eq=False)
class TrainedFit:
    """A trained model on the clips of a setting."""

    setting: Setting
    checkpoint: Checkpoint
    scorer: Scorer

    def _source(self, clips: tuple[str, ...], num_frames: int) -> Source:
        features = self.setting.features
        if features is not None:
            return feature_source(features, clips, num_frames)
        paths = self.setting.prepared.paths(clips)
        return VideoSource(paths, num_frames, pixels_of(self.checkpoint.model.backbone))

    def _embedded(self, clips: tuple[str, ...], num_frames: int) -> Embedded:
        source = self._source(clips, num_frames)
        return self.scorer.embed_batches(source.batches(in_order(len(source), 64)))

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        fused = self.scorer.score(self._embedded(clips, num_frames)).fused
        return (self.scorer.model.scale().detach() * fused).cpu()

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        if not self.checkpoint.config.model.graph:
            return None
        return self.scorer.movement_evidence(self._embedded(clips, num_frames)).cpu()


def trained(*changes: Change, graph: GraphChange | None = None) -> Arm:
    """An arm that trains the setting's configuration with these changes, on its graph or one made from it."""

    def fit(setting: Setting) -> Fitted:
        config, prepared = setting.config, setting.prepared
        for change in changes:
            config = change(config)
        if graph is not None:
            prepared = Prepared(prepared.dataset, prepared.split, graph(prepared.graph, config.seed))
        checkpoint = train(config, prepared=prepared, show_progress=False)
        return TrainedFit(setting, checkpoint, Scorer(checkpoint))

    return fit


def clip_only(config: TrainConfig) -> TrainConfig:
    """Without triplet encoder, movements and path."""
    return without_graph(config)


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


def path(form: str, weight: float | None = None) -> Change:
    """Another form or weight of path evidence."""
    return lambda config: dataclasses.replace(config, fusion=FusionConfig(form, weight))  # pyright: ignore[reportArgumentType]


def full(config: TrainConfig) -> TrainConfig:
    """Everything trains, mean pooling, as published but with a batch and rates for small towers and few clips."""
    optim = dataclasses.replace(config.optim, epochs=FULL_EPOCHS, batch_size=16, lr_backbone=3e-4, texts="batch")
    changed = dataclasses.replace(config.model, tuning="full", pooling="mean")
    return dataclasses.replace(config, model=changed, optim=optim, augmentation=SYNTHETIC_AUGMENTATION)
