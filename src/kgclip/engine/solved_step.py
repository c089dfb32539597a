"""One training step of an image tower beneath a solved head: clips against a solution that never saw their sources."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.engine import processes
from kgclip.engine.metrics import fit_temperature
from kgclip.engine.prepare import GraphTargets
from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone
from kgclip.models.closed_form import POWER, powered_statistics, statistics_scales
from kgclip.models.completion import complete_labels, is_incomplete
from kgclip.models.kgclip import Frames, frame_embeddings
from kgclip.models.options import LossWeights
from kgclip.models.pooling import frame_statistics, phases
from kgclip.models.ridge import PENALTY, RidgeSystem, apart, judged

# Keeps the slope of the power finite at 0, as a share of the embeddings' mean size.
ROUNDING = 0.01


@dataclass(frozen=True)
class LinearPart:
    """A linear solution for some of the training clips.

    Attributes:
        system: the solution.
        rows: the clips that it was solved on.
    """

    system: RidgeSystem
    rows: Bool[Tensor, " N"]

    @classmethod
    def of(cls, x: Float[Tensor, "N S"], y: Float[Tensor, "N Q"], rows: Bool[Tensor, " N"]) -> "LinearPart":
        """The solution of those rows."""
        return cls(RidgeSystem.of(x[rows], y[rows].double(), PENALTY), rows)

    def of_others(
        self, x: Float[Tensor, "B S"], index: Int[Tensor, " B"], sources: Int[Tensor, " N"]
    ) -> Float[Tensor, "B Q"]:
        """What the clips at ``index`` are given by the solution without the clips of their source."""
        own, of_rows = sources[index].to(x.device), sources[self.rows].to(x.device)
        return self.system.of_others(x, own, of_rows)


@dataclass(frozen=True)
class Epoch:
    """What the steps of an epoch are solved against.

    Attributes:
        center, scale: of the statistics.
        least: added to the size of an embedding's numbers before the power.
        performs: labels, one-hot, completed or zero; of the actions that have clips.
        counted: clips whose left-out scores say how good the tower is.
        actions: S_mm of the clips with a label, None where no clip has one.
        unit: what S_mm is divided by, so that its softmax is calibrated on left-out clips.
        movements: shares of the annotated clips, None where there are none.
        deviation: sum over the movements of the variance of their shares.
    """

    center: Float[Tensor, " S"]
    scale: Float[Tensor, " S"]
    least: float
    performs: Float[Tensor, "N K"]
    counted: Bool[Tensor, " N"]
    actions: LinearPart | None
    unit: float
    movements: LinearPart | None
    deviation: float


def check_goal(targets: GraphTargets, weights: LossWeights) -> None:
    """Raise KgclipError where the steps over these clips could not change a tower."""
    edges = targets.edges
    sources = apart(targets.sources)
    actions = weights.performs and (is_incomplete(edges) or judged(edges["performs"], sources).any())
    if not actions and not (weights.shows and edges["shows"].any()):
        raise KgclipError(
            "--model.tuning: nothing says how the tower should change: no action has labeled clips of two sources "
            "and no clip shows a movement, or --loss.performs and --loss.shows are 0; give such clips or weights, "
            "or leave it out"
        )


class SolvedStep(nn.Module):
    """From a batch to the loss of what the head would say of its clips if it had been solved without their sources.

    The head is solved before each epoch on the training clips as the tower then encodes them (S_mm and the movements,
    both linear); labels are completed anew. For each clip of a step its source is taken out of that solution in closed
    form (:meth:`RidgeSystem.of_others`), so that a tower cannot please a head that knows the very clip.

    Args:
        targets: the graph over the training clips.
        num_frames: T.
        weights: of ``performs`` and ``shows``.
        encode: embeddings [N, T', F] of the training clips' frames by the tower as it stands.
        pose: pose numbers of the training clips, by which labels are completed too.
    """

    head = None

    def __init__(
        self,
        backbone: Backbone,
        targets: GraphTargets,
        num_frames: int,
        weights: LossWeights,
        encode: Callable[[], Float[Tensor, "N C F"]],
        pose: Float[Tensor, "N S"] | None = None,
    ):
        super().__init__()
        self.backbone, self.targets, self.num_frames, self.weights = backbone, targets, num_frames, weights
        self._encode, self._pose = encode, pose
        self._encoded: Tensor | None = None
        self._epoch: Epoch | None = None
        self._sources = apart(targets.sources)

    def encoded(self) -> Float[Tensor, "N C F"]:
        """Embeddings of the training clips' frames, computed once for the tower as it stands."""
        if self._encoded is None:
            self._encoded = self._encode()
        return self._encoded

    @torch.no_grad()
    def begin_epoch(self) -> None:
        """Solve on the tower as it stands; it is about to change."""
        self._epoch = None
        embeddings, edges = self.encoded(), self.targets.edges
        self._encoded = None
        completed, shows = complete_labels(embeddings, edges, self.targets.movements, self._pose), edges["shows"]
        performs = completed[:, completed.any(dim=0)]
        device = next(self.backbone.parameters()).device
        statistics = powered_statistics(phases(embeddings, self.num_frames, 1)[0].to(device), self.num_frames)
        center, scale = statistics_scales(statistics)
        x = ((statistics - center) / scale).double()
        labeled, annotated = performs.any(dim=1), shows.any(dim=1)
        counted = judged(performs, self._sources)
        actions, unit = None, 1.0
        if counted.any():
            actions = LinearPart.of(x, performs.to(device), labeled.to(device))
            left_out = actions.system.left_out(self._sources[labeled].to(device))[counted[labeled].to(device)]
            unit = fit_temperature(left_out.float().cpu(), performs[counted])
        movements = LinearPart.of(x, shows.to(device), annotated.to(device)) if annotated.any() else None
        deviation = float(shows[annotated].var(dim=0, correction=0).sum().clamp(min=1e-6)) if annotated.any() else 1.0
        least = ROUNDING * float(embeddings.abs().mean().clamp(min=1e-6))
        self._epoch = Epoch(center, scale, least, performs, counted, actions, unit, movements, deviation)

    def embed(self, embeddings: Float[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
        """Standardized statistics of clips; a gradient flows back where the solved head's power has none."""
        assert self._epoch is not None, "begin_epoch comes first"
        frames = embeddings.float()
        powered = frames * (frames.abs() + self._epoch.least).pow(POWER - 1)
        return (frame_statistics(powered) - self._epoch.center) / self._epoch.scale

    def forward(
        self, index: Int[Tensor, " B"], frames: Frames, flipped: Bool[Tensor, " B"], count: int | None = None
    ) -> dict[str, Tensor]:
        """The weighed terms of the loss; see :meth:`kgclip.engine.step.TrainingStep.forward`."""
        embeddings = frame_embeddings(self.backbone, frames)
        with torch.autocast(frames.device.type, enabled=False):
            x = processes.gathered(self.embed(embeddings))[:count]
            mine = torch.stack([index, flipped.long()], dim=1)
            # On GPUs DDP has moved them there; the graph stays here.
            index, mirrored = processes.gathered(mine)[:count].cpu().unbind(dim=1)
            return self._terms(x, index, mirrored.bool())

    def _terms(self, x: Float[Tensor, "B S"], index: Tensor, flipped: Tensor) -> dict[str, Tensor]:
        epoch = self._epoch
        assert epoch is not None
        # A step without a clip that has something to learn from.
        terms = {"performs": 0 * x.sum()}
        counted = epoch.counted[index]
        if self.weights.performs and epoch.actions is not None and counted.any():
            scores = epoch.actions.of_others(x[counted.to(x.device)], index[counted], self._sources) / epoch.unit
            terms["performs"] = self.weights.performs * F.cross_entropy(
                scores, epoch.performs[index[counted]].to(x.device)
            )
        shows = self.targets.edges["shows"][index]
        seen = shows.any(dim=1)
        if self.weights.shows and epoch.movements is not None and seen.any():
            shows = torch.where(flipped[:, None], self.targets.flipped(shows), shows)[seen].to(x.device)
            given = epoch.movements.of_others(x[seen.to(x.device)], index[seen], self._sources)
            errors = (given - shows).square().sum(dim=1)
            terms["shows"] = self.weights.shows * errors.mean() / epoch.deviation
        return terms
