"""The clips of a run as frames: given features, features that are computed once, or decoded pixels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.features import FeatureFile
from kgclip.data.loader import FeatureRows, Source, VideoSource, in_order
from kgclip.engine import processes
from kgclip.engine.checkpoint import choose_device
from kgclip.engine.encoder import backbone_encoder, pixels_of
from kgclip.engine.extract import encode_for_first, extract_features
from kgclip.engine.prepare import Prepared, feature_source
from kgclip.errors import KgclipError
from kgclip.models import fit_head
from kgclip.models.backbones.base import Backbone
from kgclip.models.fit_head import ClipRows
from kgclip.models.kgclip import frame_embeddings

# Frames cached a clip, for each frame that a step takes: enough for random sampling inside the segments, and for a
# solution at twice the frames.
CACHED_PER_FRAME = 2


def trains(backbone: Backbone, tower: str) -> bool:
    """Whether anything in the backbone's "image" or "text" tower trains; a tower that is not there does not."""
    towers = backbone.towers()
    return tower in towers and any(p.requires_grad for m in towers[tower].modules for p in m.parameters())


@dataclass
class RunFrames:
    """The frames of a run's clips; `folder` takes features where the image tower is frozen and none are given.

    Raises:
        KgclipError: features of the wrong width or of another encoder, or a backbone that takes no pixels without any.
    """

    config: TrainConfig
    prepared: Prepared
    backbone: Backbone
    folder: Path
    show_progress: bool

    def __post_init__(self) -> None:
        file = self.config.features
        if file is None:
            pixels_of(self.backbone)
            return
        if trains(self.backbone, "image"):
            raise KgclipError(f"{file}: features are of a frozen encoder; set --model.tuning frozen")
        features = FeatureFile(file)
        features.check_encoder(self.backbone.image_identity, self.backbone.frame_dim)
        # A backbone of ready-made features is from now on one of this encoder's.
        self.backbone.image_identity = features.encoder

    @cached_property
    def features(self) -> FeatureFile | None:
        """Features of the training and validation clips; None where the image tower trains."""
        if trains(self.backbone, "image"):
            return None
        if self.config.features is not None:
            return FeatureFile(self.config.features)
        file, split = self.folder / "features.safetensors", self.prepared.split
        clips = split.train + split.val
        paths = dict(zip(clips, self.prepared.paths(clips), strict=True))
        num_frames, workers = CACHED_PER_FRAME * self.config.frames, self.config.workers
        home = next(self.backbone.parameters()).device
        encoder = backbone_encoder(self.backbone.to(choose_device(self.config.device)))
        keep_going, progress = self.config.keep_going, self.show_progress
        (missing,) = processes.of_first(float(not file.exists()))
        if processes.is_first():
            extract_features(
                encoder, paths, num_frames, file, workers=workers, keep_going=keep_going, progress=progress
            )
        elif missing:
            encode_for_first(encoder, paths, num_frames, workers)
        processes.meet()
        self.backbone.to(home)
        return FeatureFile(file)

    def source(self, clips: tuple[str, ...], num_frames: int, *, training: bool = False) -> Source:
        """Some clips with that many frames: the centers of segments, or in training random ones, augmented."""
        config = self.config
        if self.features is not None:
            return feature_source(self.features, clips, num_frames, training=training, seed=config.seed)
        return VideoSource(
            self.prepared.paths(clips),
            num_frames,
            pixels_of(self.backbone),
            augmentation=config.augmentation if training else None,
            seed=config.seed,
            workers=config.workers,
        )

    def rows(self, clips: tuple[str, ...], num_frames: int) -> ClipRows:
        """As :meth:`embeddings`; features of many clips stay on the disk, and are read as they are needed."""
        if self.features is None or len(clips) <= fit_head.MOST_AT_ONCE:
            return self.embeddings(clips, num_frames)
        return FeatureRows(self.features, clips, num_frames)

    @torch.no_grad()
    def embeddings(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "N T F"]:
        """Embeddings of the frames of clips by the image tower as it stands; several processes share the encoding."""
        self.backbone.eval()
        device = next(self.backbone.parameters()).device
        source = self.source(clips, num_frames)
        encodes = self.features is None
        order = in_order(len(source), 32 * processes.count() if encodes else 32)
        mine = [processes.part_of(batch) for batch in order] if encodes else order
        whole = torch.zeros(len(source), num_frames, self.backbone.frame_dim)
        for batch in source.batches(mine):
            processes.meet()
            whole[batch.index] = frame_embeddings(self.backbone, batch.frames.to(device)).float().cpu()
        if encodes and not processes.is_first():
            whole[[batch[0] for batch in order]] = 0  # the first process's own, which fill up parts of others
        return processes.summed(whole) if encodes else whole
