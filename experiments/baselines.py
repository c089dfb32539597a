"""Rivals that see neither the graph nor the movements: fitted on cached features, all of them in seconds.

They stand on the same statistics as KG-CLIP (:class:`kgclip.models.statistics.ClipStatistics`), and ridge regression
learns from short glances too, as KG-CLIP does. Penalties come from leave-one-out error, everything else from the
validation clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from kgclip.models.statistics import ClipStatistics
from torch import Tensor
from torch.nn import functional as F

from experiments.propagation import propagate
from experiments.setting import Fitted, Setting
from kgclip.engine.metrics import negative_log_likelihood
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.ridge import fit_ridge

Pooling = Literal["mean", "statistics"]
FittedT = TypeVar("FittedT", bound=Fitted)

# Candidate strengths of the linear probe's penalty, per clip and weight.
PROBE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
# Candidates of the propagation of labels: how far labels travel, and how sure the soft labels are.
PROPAGATION_REACH = (0.5, 0.8)
PROPAGATION_SHARPNESS = (1.0, 2.0)
# Factors on z-scores between which a candidate's calibration is chosen before its likelihood counts.
_TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


class PooledFeatures:
    """Clips as standardized vectors: the mean over frames, or the frame statistics.

    The scales are those of all training clips; no labels are needed.

    Args:
        setting: where the clips come from.
        pooling: which vectors.
    """

    def __init__(self, setting: Setting, pooling: Pooling):
        self.setting, self.pooling = setting, pooling
        self.frames = setting.frames(setting.prepared.split.train, setting.config.frames)
        self._statistics = ClipStatistics(self.frames.shape[2])
        self._statistics.fit(self.frames)

    def __call__(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B S"]:
        """The clips seen with that many frames."""
        return self.standardize(self.setting.frames(clips, num_frames))

    def standardize(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
        """Vectors of the frames."""
        statistics = self._statistics(frames)
        return statistics[:, : frames.shape[2]] if self.pooling == "mean" else statistics

    @cached_property
    def train(self) -> Float[Tensor, "N S"]:
        """The training clips."""
        return self.standardize(self.frames)

    @cached_property
    def glances(self) -> Float[Tensor, "C N S"]:
        """The training clips seen with fewer frames."""
        glances = self._statistics.glances(self.frames)
        return glances[:, :, : self.frames.shape[2]] if self.pooling == "mean" else glances


@dataclass(frozen=True)
class LinearFit:
    """A linear classifier of pooled features, and a readout of movements if it has one.

    Attributes:
        features: what it sees.
        actions: weight and bias of the actions.
        readout: weight and bias of the movements.
    """

    features: PooledFeatures
    actions: tuple[Float[Tensor, "K S"], Float[Tensor, " K"]]
    readout: tuple[Float[Tensor, "M S"], Float[Tensor, " M"]] | None = None

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return F.linear(self.features(clips, num_frames), *self.actions)

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        return None if self.readout is None else F.linear(self.features(clips, num_frames), *self.readout)


@dataclass(frozen=True)
class _ZeroShot:
    setting: Setting
    prompts: Float[Tensor, "K D"]
    scale: float

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
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
    onehot, labeled = labels_of_train(setting)
    if labeled.all():
        return _ridge(setting, "statistics")
    spread = [propagate(features.train, onehot, reach) for reach in PROPAGATION_REACH]
    soft = [soft_labels(scores, onehot, sharpness) for scores in spread for sharpness in PROPAGATION_SHARPNESS]
    return best_ridge(features, torch.ones_like(labeled), soft)


def best_ridge(features: PooledFeatures, used: Bool[Tensor, " N"], labels: Sequence[Float[Tensor, "N K"]]) -> LinearFit:
    """Ridge regression on those training clips, with those of the candidate labels that do best on validation clips."""
    best = labels[0]
    if len(labels) > 1:
        fits = [fit_ridge(features.train[used], candidate[used]) for candidate in labels]
        candidates = [LinearFit(features, (fit.weight, fit.bias)) for fit in fits]
        chosen = best_on_validation(features.setting, candidates)
        best = next(label for label, candidate in zip(labels, candidates, strict=True) if candidate is chosen)
    fit = fit_ridge(features.train[used], best[used], features.glances[:, used])
    return LinearFit(features, (fit.weight, fit.bias))


def labels_of_train(setting: Setting) -> tuple[Float[Tensor, "N K"], Bool[Tensor, " N"]]:
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


def best_on_validation(setting: Setting, candidates: Sequence[FittedT]) -> FittedT:
    """The candidate with the least :func:`validation_loss`; without validation clips the first."""
    clips = setting.prepared.split.val
    if not clips or len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda it: validation_loss(setting, it.scores(clips, setting.config.frames)))


def validation_loss(setting: Setting, scores: Float[Tensor, "B K"]) -> float:
    """Negative log-likelihood of the validation clips under the best factor on the z-scores.

    It is steadier than accuracy with so few clips, and does not ask in which unit an arm's scores are.
    """
    labels = setting.labels(setting.prepared.split.val)
    return min(negative_log_likelihood(factor * z_scores(scores), labels) for factor in _TEMPERATURES)


def _ridge(setting: Setting, pooling: Pooling) -> LinearFit:
    onehot, labeled = labels_of_train(setting)
    return best_ridge(PooledFeatures(setting, pooling), labeled, [onehot])


def _probe(setting: Setting, pooling: Pooling) -> LinearFit:
    features = PooledFeatures(setting, pooling)
    onehot, labeled = labels_of_train(setting)
    labels = onehot[labeled].argmax(dim=1)
    fits = [
        logistic_regression(features.train[labeled], labels, onehot.shape[1], strength) for strength in PROBE_STRENGTHS
    ]
    return best_on_validation(setting, [LinearFit(features, fit) for fit in fits])


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
