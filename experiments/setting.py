"""What an arm of an experiment may learn from, and what it gives back: the contract between protocols and arms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.compare import clip_frames
from kgclip.config import TrainConfig
from kgclip.data.features import FeatureFile
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import GraphTargets, Prepared, graph_targets


@lru_cache(maxsize=1)
def _poses(file: Path) -> Poses:
    return Poses(file)


@dataclass(frozen=True)
class Setting:
    """The data of one cell: one split of one data set with the graph of its training clips.

    An arm learns from ``prepared.split.train`` (labels only of ``split.labelled``). It must not look at the test part;
    the runner alone reads the test labels.

    Attributes:
        config: of KG-CLIP by default on this cell; arms of the family change a copy. Its ``out`` lies in a folder that
            is removed after the cell.
        prepared: the clips, the split and the graph.
        novel: actions without any training clip; empty where every action has clips.
        definitions: the movements that somebody has written down for an action, where the data come with them.
        cached: features of all clips by the tower as it comes, where the image tower of the family trains on pixels.
    """

    config: TrainConfig
    prepared: Prepared
    novel: tuple[str, ...] = ()
    definitions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cached: Path | None = None

    @cached_property
    def features(self) -> FeatureFile | None:
        """Features of all clips by the tower as it comes."""
        file = self.config.features or self.cached
        return None if file is None else FeatureFile(file)

    @property
    def actions(self) -> tuple[str, ...]:
        """All actions (K), sorted: the columns of every score."""
        return tuple(self.prepared.dataset.actions)

    @cached_property
    def targets(self) -> GraphTargets:
        """The graph as arrays over the training clips."""
        return graph_targets(self.prepared, self.prepared.split.train, self.actions)

    def frames(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B T F"]:
        """Features of T frames of each clip, from the centers of equal segments; needs cached features."""
        assert self.features is not None
        return clip_frames(self.features, clips, num_frames)

    @property
    def poses(self) -> Poses | None:
        """The keypoints of all clips, where the data have any."""
        return None if self.config.keypoints is None else _poses(self.config.keypoints)

    def numbers(self, clips: tuple[str, ...]) -> Float[Tensor, "B S"]:
        """Pose numbers of clips, NaN where unknown; needs keypoints."""
        assert self.poses is not None
        return self.poses.numbers(clips)

    def labels(self, clips: tuple[str, ...]) -> Int[Tensor, " B"]:
        """Positions of the clips' actions, whether or not the split allows their use: callers see to that."""
        by_id = self.prepared.dataset.by_id
        return torch.tensor([self.actions.index(str(by_id[clip].action)) for clip in clips], dtype=torch.int64)


@runtime_checkable
class Fitted(Protocol):
    """A recognizer that an arm has made."""

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """Values of every action of the setting for every clip, seen with T frames; the highest is the answer."""
        ...

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """Values of every movement of the graph for every clip; None for an arm that does not read movements."""
        ...


Arm = Callable[[Setting], Fitted]
