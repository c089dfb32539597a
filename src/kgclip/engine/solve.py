"""Solves a model's head on training clips: labels completed, scores and movements solved, probabilities calibrated."""

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.engine.metrics import fit_temperature, rightness
from kgclip.engine.prepare import GraphTargets
from kgclip.engine.unknown import Threshold, choose_threshold
from kgclip.models.backbones.base import Backbone
from kgclip.models.closed_form import Solved, SolvedTargets, fit_closed_form
from kgclip.models.completion import DEFINITION_CLIPS, complete_labels
from kgclip.models.evidence import WINDOW, PathEvidence
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import KGCLIP
from kgclip.models.pooling import nearest_count

log = logging.getLogger(__name__)

# The temperature that a few clips are drawn to, in log, and how many clips it counts for.
PRIOR_TEMPERATURE, PRIOR_CLIPS = 1.1, 100


@dataclass(frozen=True)
class SolvedModel:
    """A model and how well it does on sources that it was not solved on.

    Attributes:
        model: with its head solved and its probabilities calibrated.
        left_out_top1: share of labeled training clips that are recognized by a solution without their source; None
            where no action has two sources, or the head is trained by gradient.
        unknown: the threshold below which an action is unknown, chosen on these clips; None where there are none.
    """

    model: KGCLIP
    left_out_top1: float | None
    unknown: Threshold | None = None


@torch.no_grad()
def solve(
    backbone: Backbone,
    embeddings: Float[Tensor, "N T F"],
    targets: GraphTargets,
    num_frames: int,
    path_weight: float,
    trained: tuple[GradientHead, Float[Tensor, "K D"]] | None = None,
) -> SolvedModel:
    """Solve for S_mm, S_tri, the movements and the path; with a trained head for the movements and the path alone.

    Args:
        backbone: whose embeddings of the training clips' frames these are.
        targets: the graph over these clips.
        num_frames: T that probabilities are calibrated for.
        path_weight: of path evidence against S_output.
        trained: a head trained by gradient, whose scores take the place of the solved ones, and the embeddings of the
            actions' prompts, of unit length.
    """
    performs, shows = targets.edges["performs"], targets.edges["shows"]
    definitions = targets.edges["consists_of"]
    if trained is None:
        performs = complete_labels(embeddings, targets.edges, targets.movements)
        definitions = _definitions(performs, targets)
        performs_solved = performs
    else:
        performs_solved = performs[:, :0]
    wanted = SolvedTargets(performs_solved, shows, targets.sources, triplet=bool(targets.movements))
    head, left_out = fit_closed_form(embeddings, wanted)
    path = PathEvidence(len(targets.actions), len(targets.movements))
    seen = left_out[nearest_count(num_frames, head.counts)]
    path.fit(definitions, shows[targets.annotated], seen.shares[targets.annotated])
    windows = left_out[nearest_count(WINDOW, head.counts)]
    path.fit_seen(shows[targets.annotated], windows.shares[targets.annotated])
    model = KGCLIP(backbone, head, path, trained and trained[0], len(targets.actions)).eval()
    mm, tri = seen.mm, seen.tri
    if trained is not None:
        gradient, names = trained
        model.action_embeddings = names
        mm, tri = gradient(embeddings, names)
    output = mm if tri is None else 0.5 * (mm + tri)
    if path.readable:
        path.fit_weight(path_weight, output, path(seen.shares))
    if trained is not None:
        return SolvedModel(model, None)
    defined = ~performs.any(dim=0)
    if path.readable:
        path.fit_defined(defined, output)
    return _calibrated(model, seen, performs, targets.sources)


def _definitions(performs: Float[Tensor, "N K"], targets: GraphTargets) -> Float[Tensor, "K M"]:
    """Shares of the movements in the actions, of clips with completed labels and of the graph together.

    What the graph says counts as DEFINITION_CLIPS clips.
    """
    annotated = targets.annotated
    given = targets.edges["consists_of"]
    mass = performs[annotated].sum(dim=0)[:, None]
    prior = DEFINITION_CLIPS * given.any(dim=1, keepdim=True)
    sums = performs[annotated].T @ targets.edges["shows"][annotated] + prior * given
    return sums / (mass + prior).clamp(min=1e-9)


def _calibrated(
    model: KGCLIP, left_out: Solved, performs: Float[Tensor, "N K"], sources: Int[Tensor, " N"]
) -> SolvedModel:
    """Fit the temperature and the threshold of "unknown" on what left-out clips are given, and measure their accuracy.

    Completed labels count too: beside a few known ones, whose neighbors were completed from them, left-out clips are
    recognized too easily. A clip counts as recognized by as much as its label says. Clips of an action that has a
    single source say nothing of it: without that source it has no clip.
    """
    position = sources.unique(return_inverse=True)[1]
    mass = performs.new_zeros(int(position.max()) + 1, performs.shape[1]).index_add(0, position, performs)
    elsewhere = performs.sum(dim=0) - mass[position] > 0.5
    rows = (elsewhere & (performs > 0)).any(dim=1)
    if not rows.any():
        return SolvedModel(model, None)
    score, labels = model.join(left_out.mm, left_out.tri, left_out.shares), performs[rows]
    share = len(labels) / (len(labels) + PRIOR_CLIPS)
    temperature = fit_temperature(score.total[rows], labels)
    model.temperature.fill_(temperature**share * PRIOR_TEMPERATURE ** (1 - share))
    probability = model.probability(score)[rows]
    top1 = float(rightness(probability, labels).mean())
    return SolvedModel(model, top1, choose_threshold(probability, labels, "left-out training"))
