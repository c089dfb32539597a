"""Baselines for clips with keypoints: pose numbers alone, and the scores of frames and pose added without a graph."""

from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from experiments.baselines import (
    Linear,
    LinearFit,
    Pipeline,
    Teacher,
    Vectors,
    by_ridge,
    by_ridge_and_neighbors,
    labels_of_train,
    pipeline,
    ridge,
    soft_labels,
)
from experiments.setting import Arm, Fitted, Setting
from kgclip.models.completion import z_score
from kgclip.models.pose_stream import has_pose, known_scales, standardized


@dataclass(frozen=True)
class Added:
    """The z-scores of two recognizers, added."""

    first: Fitted
    second: Fitted

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return sum_of(*(fit.scores(clips, num_frames) for fit in (self.first, self.second)))

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None: it reads no movements."""


@dataclass(frozen=True)
class PoseFit:
    """A linear map of standardized pose numbers."""

    setting: Setting
    linear: Linear

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        scores = F.linear(pose_vectors(self.setting, clips), *self.linear)
        # Without a pose nothing is said; z-scores would make the constant as loud as a pose.
        return scores * has_pose(self.setting.numbers(clips))[:, None]

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None: it reads no movements."""


def sum_of(first: Float[Tensor, "N K"], second: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """The scores of two recognizers, added as z-scores over the actions."""
    return z_score(first) + z_score(second)


def pose_vectors(setting: Setting, clips: tuple[str, ...]) -> Float[Tensor, "B S"]:
    """Pose numbers, standardized by the training clips, unknown ones at the mean."""
    return standardized(setting.numbers(clips), *known_scales(setting.numbers(setting.prepared.split.train)))


def pose_pipeline(setting: Setting) -> Fitted:
    """The scikit-learn pipeline on pose numbers."""
    return Pipeline(setting, lambda clips, _: setting.numbers(clips).numpy())


def pipelines_added(setting: Setting) -> Fitted:
    """The scikit-learn pipelines on frames and on pose, their scores added."""
    return Added(pipeline(setting), pose_pipeline(setting))


def pseudo_labels_in_both(setting: Setting, teacher: Teacher) -> Fitted:
    """Clips without a label get a soft one by looks and poses together, at the class sizes that the labels show.

    Then ridge regression on frames and on pose, their scores added.

    Args:
        setting: the clips.
        teacher: says for each stream what the clips are.
    """
    looks = Vectors(setting, setting.config.frames).train
    poses, (onehot, _) = pose_vectors(setting, setting.prepared.split.train), labels_of_train(setting)
    labels = soft_labels(sum_of(teacher(looks, onehot), teacher(poses, onehot)), onehot, balance=True)
    return Added(
        LinearFit(setting, lambda vectors: ridge(vectors.train, labels)), PoseFit(setting, ridge(poses, labels))
    )


POSE_BASELINES: dict[str, Arm] = {
    "pipeline on pose": pose_pipeline,
    "pipelines added": pipelines_added,
    "pseudo-labels in both streams": partial(pseudo_labels_in_both, teacher=by_ridge_and_neighbors),
    "pseudo-labels by ridge in both streams": partial(pseudo_labels_in_both, teacher=by_ridge),
}
