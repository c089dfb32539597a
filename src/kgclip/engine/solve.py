"""Solves a model's head on training clips: labels completed, scores and movements solved, probabilities calibrated."""

import logging
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.engine import processes
from kgclip.engine.metrics import fit_temperature, negative_log_likelihood, rightness
from kgclip.engine.prepare import GraphTargets
from kgclip.engine.unknown import Threshold, choose_threshold
from kgclip.models.backbones.base import Backbone
from kgclip.models.closed_form import SolvedTargets
from kgclip.models.completion import DEFINITION_CLIPS, complete_labels, is_incomplete
from kgclip.models.evidence import WINDOW, PathEvidence
from kgclip.models.fit_head import ClipRows, Team, fit_closed_form
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import KGCLIP, Score
from kgclip.models.pooling import nearest_count
from kgclip.models.pose_stream import fit_pose, has_pose, pose_output
from kgclip.models.ridge import apart, judged
from kgclip.models.sums import BATCH

log = logging.getLogger(__name__)

# The temperature that a few clips are drawn to, in log, and how many clips it counts for.
PRIOR_TEMPERATURE, PRIOR_CLIPS = 1.1, 100
# Weights of S_pose that are tried.
POSE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class LeftOut:
    """What training clips are given by a solution that never saw their sources.

    Attributes:
        probability: of the actions; of clips without a label, whose labels were completed, too.
        judged: clips whose figures say how good the model is.
    """

    probability: Float[Tensor, "N K"]
    judged: Bool[Tensor, " N"]


@dataclass(frozen=True)
class SolvedModel:
    """A model and how well it does on sources that it was not solved on.

    Attributes:
        model: with its head solved and its probabilities calibrated.
        left_out_top1: share of labeled training clips that are recognized by a solution without their source; None
            where no action has two sources, or the head is trained by gradient.
        unknown: the threshold below which an action is unknown, chosen on these clips; None where there are none.
        left_out: what each training clip was given; None where the head is trained by gradient.
        completed: number of clips without a label whose label was completed.
    """

    model: KGCLIP
    left_out_top1: float | None
    unknown: Threshold | None = None
    left_out: LeftOut | None = None
    completed: int = 0


@torch.no_grad()
def solve(
    backbone: Backbone,
    embeddings: ClipRows,
    targets: GraphTargets,
    num_frames: int,
    path_weight: float,
    trained: tuple[GradientHead, Float[Tensor, "K D"]] | None = None,
    pose: Float[Tensor, "N S"] | None = None,
    fresh: Bool[Tensor, " N"] | None = None,
) -> SolvedModel:
    """Solve for S_mm, S_tri, the movements and the path; with a trained head for the movements and the path alone.

    Args:
        backbone: whose embeddings of the training clips' frames these are.
        embeddings: a tensor, or what reads them by rows; they are read all at once only to complete labels.
        targets: the graph over these clips.
        num_frames: T that probabilities are calibrated for.
        path_weight: of path evidence against S_output.
        trained: a head trained by gradient, whose scores take the place of the solved ones, and the embeddings of the
            actions' prompts, of unit length.
        pose: pose numbers of the training clips, rows of NaN where there is no pose; not beside a trained head.
        fresh: clips that the tower did not learn from, where it learned from others; they alone say how good the model
            is and what counts as seen, if there are any.
    """
    performs, shows = targets.edges["performs"], targets.edges["shows"]
    definitions = targets.edges["consists_of"]
    if trained is None:
        if is_incomplete(targets.edges):
            everything = embeddings[torch.arange(len(performs))]
            performs = complete_labels(everything, targets.edges, targets.movements, pose)
        definitions = _definitions(performs, targets)
        performs_solved = performs
    else:
        performs_solved = performs[:, :0]
    wanted = SolvedTargets(performs_solved, shows, targets.sources, triplet=bool(targets.movements))
    head, left_out = fit_closed_form(embeddings, wanted, Team(processes.rank(), processes.count(), processes.summed))
    seen = left_out[nearest_count(num_frames, head.counts)]
    mm, tri, shares = seen.mm, seen.tri, seen.shares
    stream, said, known = None, None, None
    if pose is not None:
        known = has_pose(pose)
        stream, poses = fit_pose(pose, wanted)
        said, shares = pose_output(poses, known), stream.shares_of(poses, known, shares)
    path = PathEvidence(len(targets.actions), len(targets.movements))
    path.fit(definitions, shows[targets.annotated], shares[targets.annotated])
    windows = left_out[nearest_count(WINDOW, head.counts)]
    told = _among(targets.annotated, fresh)
    path.fit_seen(shows[told], windows.shares[told])
    model = KGCLIP(backbone, head, path, trained and trained[0], len(targets.actions), stream).eval()
    if trained is not None:
        model.action_embeddings = trained[1]
        mm, tri = _scores_of_trained(*trained, embeddings)
    rows = _among(judged(performs, targets.sources), fresh)
    output = mm if tri is None else 0.5 * (mm + tri)
    if path.readable:
        path.fit_weight(path_weight, output, path(shares))
    if said is not None and known is not None:
        model.pose_weight.fill_(best_pose_weight(output, said, performs, rows & known))
        output = output + model.pose_weight * said
    if trained is not None:
        return SolvedModel(model, None)
    if path.readable:
        used = rows if rows.any() else torch.ones_like(rows)
        # While a tower trains, an action may have clips in the validation part alone.
        defined = ~performs.any(dim=0) & definitions.any(dim=1)
        path.fit_defined(defined, output[used], shares[used])
    evidence = path_of_left_out(path, shares, performs, targets) if path.readable else None
    completed = int((performs.any(dim=1) & ~targets.edges["performs"].any(dim=1)).sum())
    return replace(_calibrated(model, model.join(mm, tri, shares, said, evidence), performs, rows), completed=completed)


def _scores_of_trained(
    head: GradientHead, names: Float[Tensor, "K D"], embeddings: ClipRows
) -> tuple[Float[Tensor, "N K"], Float[Tensor, "N K"] | None]:
    """S_mm and S_tri of the training clips by a trained head, a batch at a time."""
    parts = [head(embeddings[rows], names) for rows in torch.arange(embeddings.shape[0]).split(BATCH)]
    tri = [part for _, part in parts if part is not None]
    return torch.cat([part for part, _ in parts]), torch.cat(tri) if tri else None


def path_of_left_out(
    path: PathEvidence, shares: Float[Tensor, "N M"], performs: Float[Tensor, "N K"], targets: GraphTargets
) -> Float[Tensor, "N K"]:
    """Path evidence of clips, with what their sources say of the actions taken out."""
    known, labels = (edges * targets.annotated[:, None] for edges in (performs, targets.edges["performs"]))
    given = targets.edges["consists_of"]
    count = labels.sum(dim=0).clamp(min=1)
    projection = labels.T @ targets.edges["shows"] / count[:, None]
    # Annotated clips that show nothing are in the graph's mean, too.
    ratio = given.sum(dim=1) / projection.sum(dim=1).clamp(min=1e-9)
    prior = DEFINITION_CLIPS * given.any(dim=1)
    # A labeled clip is in the mean of its action, and in what the graph says of it where nobody has defined the action.
    is_projected = ((given - ratio[:, None] * projection).abs() < 1e-4).all(dim=1)
    counts = known + labels * (is_projected * prior * ratio / count)
    return path.without_sources(
        shares, targets.edges["shows"], counts, known.sum(dim=0) + prior, apart(targets.sources)
    )


def _among(rows: Bool[Tensor, " N"], fresh: Bool[Tensor, " N"] | None) -> Bool[Tensor, " N"]:
    """Those of the rows that are fresh; all where none is."""
    return rows if fresh is None or not (rows & fresh).any() else rows & fresh


def best_pose_weight(
    output: Float[Tensor, "N K"], pose: Float[Tensor, "N K"], performs: Float[Tensor, "N K"], rows: Bool[Tensor, " N"]
) -> float:
    """The weight of S_pose under which left-out clips are most likely to be what their labels say.

    Args:
        output: ½ (S_mm + S_tri) of left-out training clips.
        pose: S_pose of the same.
        performs: their labels, one-hot or soft.
        rows: clips to judge by; the weight is 1 where there are none.
    """
    if not rows.any():
        return 1.0

    def cost(weight: float) -> float:
        total = (output + weight * pose)[rows]
        return negative_log_likelihood(total / fit_temperature(total, performs[rows]), performs[rows])

    return min(POSE_WEIGHTS, key=cost)


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


def _calibrated(model: KGCLIP, score: Score, performs: Float[Tensor, "N K"], rows: Bool[Tensor, " N"]) -> SolvedModel:
    """Fit the temperature and the threshold of "unknown" on what left-out clips are given, and measure their accuracy.

    Completed labels count too: beside a few known ones, whose neighbors were completed from them, left-out clips are
    recognized too easily. A clip counts as recognized by as much as its label says.
    """
    if not rows.any():
        model.temperature.fill_(PRIOR_TEMPERATURE)
        return SolvedModel(model, None)
    labels = performs[rows]
    share = len(labels) / (len(labels) + PRIOR_CLIPS)
    temperature = fit_temperature(score.total[rows], labels)
    model.temperature.fill_(temperature**share * PRIOR_TEMPERATURE ** (1 - share))
    probability = model.probability(score)
    top1 = float(rightness(probability[rows], labels).mean())
    threshold = choose_threshold(probability[rows], labels, "left-out training")
    return SolvedModel(model, top1, threshold, LeftOut(probability, rows))
