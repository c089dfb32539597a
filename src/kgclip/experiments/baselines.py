"""Rivals that see neither the graph nor the movements: fitted on cached features, all of them in seconds.

What they have in common: statistics are standardized for each number of frames apart, because with few frames a
standard deviation or a change over time has another scale, or none; and what tells of time counts half. Both
were found by exploration on folds of real clips and on puppets. Penalties come from leave-one-out error, everything
else from the validation clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from kgclip.engine.metrics import negative_log_likelihood
from kgclip.errors import KgclipError
from kgclip.experiments.setting import Fitted, Setting
from kgclip.models.backbone import load_backbone
from kgclip.models.ridge import fit_ridge
from kgclip.models.statistics import frame_statistics

Pooling = Literal["mean", "statistics"]
FittedT = TypeVar("FittedT", bound=Fitted)

# How much standard deviation, direction and change count against the mean. With few labels 1 loses 5 points on puppets,
# 0.25 loses 2 on real clips; with all labels it does not matter.
TIME_SCALE = 0.5
# Candidate strengths of the linear probe's penalty, per clip and weight.
PROBE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
# Candidates of the propagation of labels: how far labels travel, and how sure the soft labels are.
NEIGHBORS = 10
PROPAGATION_REACH = (0.5, 0.8)
PROPAGATION_SHARPNESS = (1.0, 2.0)
# Factors on z-scores between which a candidate's calibration is chosen before its likelihood counts.
_TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


class PooledFeatures:
    """Clips as standardized vectors: the mean over frames, or the frame statistics.

    Mean and scale are those of all training clips seen with as many frames (no labels are needed). A statistic that
    is constant there, as a standard deviation over one frame is, becomes 0.

    Args:
        setting: where the clips come from.
        pooling: which vectors.
    """

    def __init__(self, setting: Setting, pooling: Pooling):
        self.setting, self.pooling = setting, pooling
        self._moments: dict[int, tuple[Tensor, Tensor]] = {}

    def _pool(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B S"]:
        frames = self.setting.frames(clips, num_frames)
        return frames.mean(dim=1) if self.pooling == "mean" else frame_statistics(frames)

    def __call__(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B S"]:
        """The clips seen with that many frames."""
        if num_frames not in self._moments:
            pooled = self._pool(self.setting.prepared.split.train, num_frames)
            self._moments[num_frames] = pooled.mean(dim=0), pooled.std(dim=0, correction=0).clamp(min=1e-4)
        mean, scale = self._moments[num_frames]
        standardized = (self._pool(clips, num_frames) - mean) / scale
        if self.pooling == "statistics":
            standardized[:, standardized.shape[1] // 4 :] *= TIME_SCALE
        return standardized


@dataclass(frozen=True)
class LinearFit:
    """A linear classifier of pooled features, and a readout of movements if it has one.

    Attributes:
        features: what it sees.
        weight, bias: of the actions.
        readout: weight and bias of the movements.
    """

    features: PooledFeatures
    weight: Float[Tensor, "K S"]
    bias: Float[Tensor, " K"]
    readout: tuple[Float[Tensor, "M S"], Float[Tensor, " M"]] | None = None

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        return F.linear(self.features(clips, num_frames), self.weight, self.bias)

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        return None if self.readout is None else F.linear(self.features(clips, num_frames), *self.readout)


@dataclass(frozen=True)
class _ZeroShot:
    setting: Setting
    prompts: Float[Tensor, "K D"]
    scale: float

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        means = F.normalize(self.setting.frames(clips, num_frames).mean(dim=1), dim=1)
        return self.scale * means @ self.prompts.T

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None: it reads no movements."""


def zero_shot(setting: Setting) -> Fitted:
    """The backbone as it is: cosine of the mean frame embedding and the actions' prompts, times its scale.

    Raises:
        KgclipError: the features come from a foreign encoder, which has no text tower.
    """
    name = setting.config.model.backbone
    if name.startswith("features:"):
        raise KgclipError(f"zero-shot: backbone {name} has no space that images and texts share; leave this arm out")
    backbone = load_backbone(name)
    with torch.no_grad():
        prompts = F.normalize(backbone.encode_text(setting.config.prompts.actions(setting.actions)), dim=1)
    return _ZeroShot(setting, prompts, float(torch.tensor(backbone.logit_scale_init).exp()))


def ridge_mean(setting: Setting) -> Fitted:
    """Ridge regression on the mean over frames."""
    return _ridge(setting, "mean")


def ridge_statistics(setting: Setting) -> Fitted:
    """Ridge regression on the frame statistics."""
    return _ridge(setting, "statistics")


def probe_mean(setting: Setting) -> Fitted:
    """Linear probe (logistic regression) on the mean over frames."""
    return _probe(setting, "mean")


def probe_statistics(setting: Setting) -> Fitted:
    """Linear probe (logistic regression) on the frame statistics."""
    return _probe(setting, "statistics")


def pseudo_labels(setting: Setting) -> Fitted:
    """Ridge regression on the statistics of all training clips; those without a label get soft ones by propagation.

    Labels spread over the graph of nearest neighbors in the features (:func:`propagate`); how far, and how sure they
    are, is chosen on the validation clips. (Self-training, where ridge regression labels the clips for its own next
    round, gained nothing in exploration; this gains 1 to 4 points.)
    """
    features = PooledFeatures(setting, "statistics")
    train = setting.prepared.split.train
    seen = features(train, setting.config.frames)
    onehot, labeled = labels_of_train(setting)
    if labeled.all():
        return _ridge(setting, "statistics")
    candidates = []
    for reach in PROPAGATION_REACH:
        spread = propagate(seen, onehot, reach)
        for sharpness in PROPAGATION_SHARPNESS:
            soft = soft_labels(spread, onehot, sharpness)
            fit = fit_ridge(seen, soft)
            candidates.append(LinearFit(features, fit.weight, fit.bias))
    return best_on_validation(setting, candidates)


def labels_of_train(setting: Setting) -> tuple[Float[Tensor, "N K"], Tensor]:
    """One-hot labels of the training clips, zero where the split does not allow their use, and which have one."""
    onehot = setting.targets.performs
    return onehot, onehot.any(dim=1)


def z_scores(scores: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """Scores less their mean over the actions, in units of their deviation over the actions."""
    spread = scores.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
    return (scores - scores.mean(dim=1, keepdim=True)) / spread


def soft_labels(scores: Float[Tensor, "N K"], onehot: Float[Tensor, "N K"], sharpness: float) -> Float[Tensor, "N K"]:
    """Labels of all training clips: the true one where it is known, else softmax of sharpness times z-score."""
    soft = (sharpness * z_scores(scores)).softmax(dim=1)
    return torch.where(onehot.any(dim=1, keepdim=True), onehot, soft)


def propagate(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"], reach: float) -> Float[Tensor, "N K"]:
    """Spread labels over the nearest neighbors by cosine: ``(I − α D^−½ W D^−½)⁻¹ Y`` (Zhou et al., NIPS 2003).

    Each action's total is scaled to 1, so that frequent ones do not flood the graph.

    Args:
        x: features of all training clips.
        onehot: zero rows for those without a label.
        reach: α in (0, 1); the more, the further labels travel.
    """
    unit = F.normalize(x - x.mean(dim=0), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(float("-inf"))
    near = cosine.topk(min(NEIGHBORS, len(x) - 1), dim=1)
    weights = torch.zeros_like(cosine).scatter(1, near.indices, near.values.clamp(min=0))
    weights = torch.maximum(weights, weights.T)
    scale = weights.sum(dim=1).clamp(min=1e-6).rsqrt()
    spread = torch.linalg.solve(torch.eye(len(x)) - reach * scale[:, None] * weights * scale, onehot)
    return spread / spread.sum(dim=0).clamp(min=1e-9)


def best_on_validation(setting: Setting, candidates: Sequence[FittedT]) -> FittedT:
    """The candidate under which the validation clips are likeliest, each calibrated by a factor on its z-scores.

    Likelihood is steadier than accuracy with so few clips. Without validation clips the first candidate is taken.
    """
    clips = setting.prepared.split.val
    if not clips or len(candidates) == 1:
        return candidates[0]
    labels = setting.labels(clips)

    def loss(candidate: FittedT) -> float:
        scores = z_scores(candidate.scores(clips, setting.config.frames))
        return min(negative_log_likelihood(factor * scores, labels) for factor in _TEMPERATURES)

    return min(candidates, key=loss)


def _ridge(setting: Setting, pooling: Pooling) -> LinearFit:
    features = PooledFeatures(setting, pooling)
    onehot, labeled = labels_of_train(setting)
    fit = fit_ridge(features(setting.prepared.split.train, setting.config.frames)[labeled], onehot[labeled])
    return LinearFit(features, fit.weight, fit.bias)


def _probe(setting: Setting, pooling: Pooling) -> LinearFit:
    features = PooledFeatures(setting, pooling)
    onehot, labeled = labels_of_train(setting)
    x = features(setting.prepared.split.train, setting.config.frames)[labeled]
    fits = [logistic_regression(x, onehot[labeled].argmax(dim=1), onehot.shape[1], s) for s in PROBE_STRENGTHS]
    return best_on_validation(setting, [LinearFit(features, weight, bias) for weight, bias in fits])


def logistic_regression(
    x: Float[Tensor, "N S"], labels: Int[Tensor, " N"], num_actions: int, strength: float
) -> tuple[Float[Tensor, "K S"], Float[Tensor, " K"]]:
    """Minimize ``mean cross entropy + ½ · strength · ‖W‖²`` by L-BFGS.

    The solution lies in the span of the clips, so that it is sought in the N coordinates of an orthonormal basis of
    it rather than in the S of the features.
    """
    _, values, vectors = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)
    basis = vectors[values > 1e-5 * values.max()]
    inside = (x - x.mean(dim=0)) @ basis.T
    weight = torch.zeros(num_actions, inside.shape[1], requires_grad=True)
    bias = torch.zeros(num_actions, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(inside, weight, bias), labels) + 0.5 * strength * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    full = weight.detach() @ basis
    return full, bias.detach() - full @ x.mean(dim=0)
