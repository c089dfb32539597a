"""Baselines that see neither the graph nor the movements, fitted on cached features, each in less than a second.

They stand on the same statistics of a clip's frames as KG-CLIP, learn from every training clip whose label may be used,
and have a solution for each number of frames, as KG-CLIP has. Their constants are fixed for all data, as KG-CLIP's are;
a choice on hidden labels was worse (docs/log.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from experiments.propagation import propagate
from experiments.setting import Arm, Fitted, Setting
from kgclip.compare import PENALTIES, solve_ridge
from kgclip.data.splits import without_validation
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.completion import z_score
from kgclip.models.pooling import frame_statistics

Linear = tuple[Float[Tensor, "P S"], Float[Tensor, " P"]]
Teacher = Callable[[Float[Tensor, "N S"], Float[Tensor, "N K"]], Float[Tensor, "N K"]]
"""From vectors of clips and one-hot labels, zero where unknown, to scores of the actions for all clips."""
# How far labels travel over nearest neighbors, and how sure the soft labels are.
REACH, SHARPNESS = 0.8, 2.0
BALANCE_ROUNDS, BALANCE_STEP = 30, 0.7
LEFT_OUT_PARTS = 5


class Vectors:
    """Clips as vectors: statistics over time, standardized by the training clips seen with as many frames.

    Args:
        setting: where the clips come from.
        num_frames: T.
    """

    def __init__(self, setting: Setting, num_frames: int):
        self.setting, self.num_frames = setting, num_frames
        statistics = frame_statistics(setting.frames(setting.prepared.split.train, num_frames))
        self.mean, self.scale = statistics.mean(dim=0), statistics.std(dim=0, correction=0).clamp(min=1e-4)
        self.train: Float[Tensor, "N S"] = (statistics - self.mean) / self.scale

    def __call__(self, clips: tuple[str, ...]) -> Float[Tensor, "B S"]:
        """The vectors of other clips."""
        return (frame_statistics(self.setting.frames(clips, self.num_frames)) - self.mean) / self.scale


@dataclass(frozen=True)
class LinearFit:
    """Linear maps of the vectors, one for each number of frames, solved when it is first asked for.

    Attributes:
        setting: the clips.
        actions: solves for the map to the actions.
        readout: solves for the map to the movements, if the arm reads any.
    """

    setting: Setting
    actions: Callable[[Vectors], Linear]
    readout: Callable[[Vectors], Linear] | None = None
    solved: dict[int, tuple[Vectors, Linear, Linear | None]] = field(default_factory=dict)

    def _solution(self, num_frames: int) -> tuple[Vectors, Linear, Linear | None]:
        if num_frames not in self.solved:
            vectors = Vectors(self.setting, num_frames)
            readout = None if self.readout is None else self.readout(vectors)
            self.solved[num_frames] = vectors, self.actions(vectors), readout
        return self.solved[num_frames]

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        vectors, actions, _ = self._solution(num_frames)
        return F.linear(vectors(clips), *actions)

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        vectors, _, readout = self._solution(num_frames)
        return None if readout is None else F.linear(vectors(clips), *readout)


@dataclass(frozen=True)
class Pipeline:
    """Imputer, scaler and ridge of scikit-learn on vectors of clips, fitted for each number of frames.

    Attributes:
        setting: the clips.
        vectors: from clips and T to vectors, NaN where a number is unknown.
    """

    setting: Setting
    vectors: Callable[[tuple[str, ...], int], np.ndarray]
    fitted: dict[int, object] = field(default_factory=dict)

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        known = without_validation(self.setting.prepared.split, self.setting.prepared.dataset).labelled
        if num_frames not in self.fitted:
            imputer = SimpleImputer(keep_empty_features=True)
            pipeline = make_pipeline(imputer, StandardScaler(), RidgeClassifierCV(alphas=PENALTIES))
            self.fitted[num_frames] = pipeline.fit(self.vectors(known, num_frames), self.setting.labels(known))
        pipeline = self.fitted[num_frames]
        values = np.full((len(clips), len(self.setting.actions)), -2.0)
        # Of two classes scikit-learn says one value; an action without a clip has none.
        said = pipeline.decision_function(self.vectors(clips, num_frames))  # pyright: ignore[reportAttributeAccessIssue]
        values[:, pipeline.classes_] = said if said.ndim == 2 else np.stack([-said, said], axis=1)  # pyright: ignore[reportAttributeAccessIssue]
        return torch.from_numpy(values).float()

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None: it reads no movements."""


@dataclass(frozen=True)
class _ZeroShot:
    setting: Setting
    prompts: Float[Tensor, "K D"]

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return F.normalize(self.setting.frames(clips, num_frames).mean(dim=1), dim=1) @ self.prompts.T

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None: it reads no movements."""


def zero_shot(setting: Setting) -> Fitted:
    """The backbone as it is: cosine of the mean frame embedding and the actions' prompts.

    Raises:
        KgclipError: the features come from a foreign encoder, which has no text tower.
    """
    name = setting.config.model.backbone
    if name.startswith("features:"):
        raise KgclipError(f"zero-shot: backbone {name} has no space that images and texts share; leave this arm out")
    with torch.no_grad():
        prompts = load_backbone(name).encode_text(setting.config.prompts.around("action", setting.actions))
    return _ZeroShot(setting, F.normalize(prompts, dim=1))


def pipeline(setting: Setting, *, over_time: bool = True) -> Fitted:
    """What somebody writes in fifteen lines: StandardScaler and RidgeClassifierCV of scikit-learn."""

    def vectors(clips: tuple[str, ...], num_frames: int) -> np.ndarray:
        frames = setting.frames(clips, num_frames)
        return (frame_statistics(frames) if over_time else frames.mean(dim=1)).numpy()

    return Pipeline(setting, vectors)


def pseudo_labels(setting: Setting, *, balance: bool = False) -> Fitted:
    """Ridge regression on all training clips; those without a label get a soft one by ridge and nearest neighbors.

    Args:
        setting: the clips.
        balance: the soft labels have the class sizes that the known labels show.
    """
    onehot, _ = labels_of_train(setting)

    def actions(vectors: Vectors) -> Linear:
        return ridge(vectors.train, soft_labels(by_ridge_and_neighbors(vectors.train, onehot), onehot, balance))

    return LinearFit(setting, actions)


def by_ridge(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """What ridge regression says of all clips, as z-scores over the actions."""
    return z_score(F.linear(x, *ridge(x, onehot)))


def by_ridge_and_neighbors(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """The same, plus the z-scores of labels that spread over nearest neighbors."""
    return by_ridge(x, onehot) + z_score(propagate(x, onehot, REACH))


def ridge(x: Float[Tensor, "N S"], y: Float[Tensor, "N P"]) -> Linear:
    """Ridge regression on the rows that have a target."""
    known = y.any(dim=1)
    return solve_ridge(x[known], y[known])


def left_out(x: Float[Tensor, "N S"], y: Float[Tensor, "N P"], sources: Int[Tensor, " N"]) -> Float[Tensor, "N P"]:
    """What ridge regression says of each row that it did not learn from, nor from its source; in five parts."""
    values, part = torch.zeros_like(y), parts_of(sources, LEFT_OUT_PARTS)
    for number in part.unique().tolist():
        held = part == number
        if y[~held].any():
            values[held] = F.linear(x[held], *ridge(x[~held], y[~held]))
    return values


def parts_of(sources: Int[Tensor, " N"], count: int) -> Int[Tensor, " N"]:
    """The number of the part of each clip, of so many, with a source in one part."""
    place = {source: place % count for place, source in enumerate(dict.fromkeys(sources.tolist()))}
    return torch.tensor([place[source] for source in sources.tolist()])


def labels_of_train(setting: Setting) -> tuple[Float[Tensor, "N K"], Bool[Tensor, " N"]]:
    """One-hot labels of the training clips, zero where the split does not allow their use, and which have one."""
    onehot = setting.targets.edges["performs"]
    return onehot, onehot.any(dim=1)


def soft_labels(scores: Float[Tensor, "N K"], onehot: Float[Tensor, "N K"], balance: bool) -> Float[Tensor, "N K"]:
    """Labels of all clips: the true one where it is known, else softmax of SHARPNESS times z-score.

    Args:
        scores: of every clip and action.
        onehot: known labels, zero rows elsewhere.
        balance: shift the actions until the soft labels have the class sizes of the known ones.
    """
    logits, known = SHARPNESS * z_score(scores), onehot.any(dim=1)
    if known.all():
        return onehot
    shift = torch.zeros(logits.shape[1])
    sizes = (onehot.sum(dim=0) / known.sum() * (~known).sum()).clamp(min=1e-3)
    for _ in range(BALANCE_ROUNDS if balance else 0):
        reached = (logits[~known] + shift).softmax(dim=1).sum(dim=0).clamp(min=1e-6)
        shift += BALANCE_STEP * (sizes / reached).log()
    return torch.where(known[:, None], onehot, (logits + shift).softmax(dim=1))


PIPELINE = "scikit-learn pipeline"
PLAIN: dict[str, Arm] = {
    PIPELINE: pipeline,
    "pipeline on means": partial(pipeline, over_time=False),
    "zero-shot": zero_shot,
    "pseudo-labels": pseudo_labels,
    "pseudo-labels, balanced": partial(pseudo_labels, balance=True),
}
