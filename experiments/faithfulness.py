"""Whether explanations name what the answer rests on: deletion and insertion curves against a random order.

    python -m experiments.faithfulness MODEL --data DATA --out docs/generated/faithfulness.md

*Deletion* takes away what speaks for the answer, the strongest first, and follows the probability of the answer: the
sooner it falls, the smaller the area under the curve. *Insertion* starts with nothing and puts the strongest back
first: the larger, the better. Deleting in an order is inserting in its reverse. Of a model that reads pose, joints are
taken away in place of frames.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float, Int
from torch import Tensor
from tyro.conf import Positional

from experiments.tables import table
from kgclip.data.loader import in_order
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation, frames_source, open_evaluation
from kgclip.engine.explain import window_rows
from kgclip.engine.pose_reading import joints_of, read_by_rule
from kgclip.engine.poses import numbers_of
from kgclip.files import atomic_path
from kgclip.models.kgclip import KGCLIP, Score, frame_embeddings
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.skeleton import JOINTS, NUM_JOINTS
from kgclip.report.intervals import NOTE, Bootstrap

RANDOM_ORDERS = 10
# Movements are taken away in so many steps; frames one by one.
STEPS = 20

Curve = Callable[[Int[Tensor, "B Q"]], Float[Tensor, "B V"]]
"""Probability of the answer of each clip while items are taken away in this order, first with all of them."""


@dataclass(frozen=True)
class Command:
    """Measure how faithful a model's explanations are on clips that it never saw."""

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    data: Path
    """data set that holds the clips"""
    out: Path
    """file to write"""
    features: Path | None = None
    """cached features in place of pixels"""
    keypoints: Path | None = None
    """of the clips, for a model that reads pose"""


@dataclass(frozen=True)
class Faithfulness:
    """Areas under the curves of one kind of item, each a mean over clips with its interval.

    Attributes:
        deletion, insertion: in the order of the explanation.
        random: in random orders; both curves have the same.
        deletion_difference, insertion_difference: the explanation's minus random, paired by clip.
    """

    deletion: tuple[float, tuple[float, float]]
    insertion: tuple[float, tuple[float, float]]
    random: tuple[float, tuple[float, float]]
    deletion_difference: tuple[float, tuple[float, float]]
    insertion_difference: tuple[float, tuple[float, float]]


def measure(curve: Curve, importance: Float[Tensor, "B Q"], bootstrap: Bootstrap) -> Faithfulness:
    """Areas of deletion and insertion by importance, and of random orders of the same items."""
    generator = torch.Generator().manual_seed(0)
    order = importance.argsort(dim=1, descending=True, stable=True)
    deletion, insertion = (curve(given).mean(dim=1) for given in (order, order.flip(1)))
    shuffled = [torch.rand(importance.shape, generator=generator).argsort(dim=1) for _ in range(RANDOM_ORDERS)]
    random = torch.stack([curve(given).mean(dim=1) for given in shuffled]).mean(dim=0)
    values = (deletion, insertion, random, deletion - random, insertion - random)
    return Faithfulness(*(bootstrap.mean(value) for value in values))


def movement_curve(model: KGCLIP, score: Score, answer: Int[Tensor, " B"]) -> Curve:
    """Movements are taken away by giving them the share of the average clip, which is evidence for nothing."""

    def curve(order: Int[Tensor, "B M"]) -> Float[Tensor, "B V"]:
        rank = order.argsort(dim=1)
        steps = torch.linspace(0, order.shape[1], STEPS + 1).round().long().unique()
        kept = [torch.where(rank < step, model.path.baseline, score.shares) for step in steps]
        scores = (model.join(score.mm, score.tri, shares, score.pose) for shares in kept)
        return torch.stack([_probability(model, one, answer) for one in scores], dim=1)

    return curve


def frame_curve(model: KGCLIP, embeddings: Float[Tensor, "B T F"], answer: Int[Tensor, " B"]) -> Curve:
    """Frames are taken away by showing in their place the nearest that is left, so that the number stays the same."""
    time = torch.arange(embeddings.shape[1])

    def curve(order: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        rank = order.argsort(dim=1)
        points = []
        for step in range(embeddings.shape[1]):
            distance = (time[:, None] - time).abs().float().expand(len(rank), -1, -1)
            nearest = distance.masked_fill((rank < step)[:, None], torch.inf).argmin(dim=2)
            shown = embeddings.gather(1, nearest[..., None].expand_as(embeddings))
            points.append(_probability(model, model(shown), answer))
        return torch.stack(points, dim=1)

    return curve


def joint_curve(
    model: KGCLIP, embeddings: Float[Tensor, "B T F"], poses: Sequence[ClipPose], answer: Int[Tensor, " B"]
) -> Curve:
    """Joints are taken away from all frames, as an estimator that is unsure of them gives them; frames stay."""

    def curve(order: Int[Tensor, "B J"]) -> Float[Tensor, "B V"]:
        points = []
        for count in range(NUM_JOINTS + 1):
            numbers = numbers_of([without(pose, row[:count]) for pose, row in zip(poses, order.tolist(), strict=True)])
            points.append(_probability(model, model(embeddings, numbers), answer))
        return torch.stack(points, dim=1)

    return curve


def without(pose: ClipPose, joints: Sequence[int]) -> ClipPose:
    """A pose whose subject's joints have no score."""
    keypoints = pose.tracks[0].keypoints.copy()
    keypoints[:, list(joints), 2] = 0
    return replace(pose, tracks=(replace(pose.tracks[0], keypoints=keypoints), *pose.tracks[1:]))


def movement_importance(model: KGCLIP, score: Score, answer: Int[Tensor, " B"]) -> Float[Tensor, "B M"]:
    """Contribution of each movement to the answer's score."""
    return (score.shares - model.path.baseline) * model.movement_weights()[answer]


def joint_importance(adds: Float[Tensor, "B M"], movements: Sequence[str]) -> Float[Tensor, "B J"]:
    """Contribution of the movements that an explanation says were read from a joint, spread over their joints."""
    of = torch.zeros(len(movements), NUM_JOINTS)
    for m, name in enumerate(movements):
        rule = read_by_rule(name)
        joints = [] if rule is None else [JOINTS.index(joint) for joint in joints_of(rule)]
        of[m, joints] = 1 / max(1, len(joints))
    return adds @ of


def frame_importance(
    model: KGCLIP, embeddings: Float[Tensor, "B T F"], answer: Int[Tensor, " B"]
) -> Float[Tensor, "B T"]:
    """What the windows that a frame lies in read for the answer, on average."""
    sums, counts = torch.zeros(embeddings.shape[:2]), torch.zeros(embeddings.shape[1])
    for first, last in window_rows(embeddings.shape[1]):
        adds = movement_importance(model, model(embeddings[:, first : last + 1]), answer).sum(dim=1)
        sums[:, first : last + 1] += adds[:, None]
        counts[first : last + 1] += 1
    return sums / counts.clamp(min=1)


def _probability(model: KGCLIP, score: Score, answer: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    return model.probability(score).gather(1, answer[:, None])[:, 0]


def with_somebody(evaluation: Evaluation) -> Evaluation:
    """The clips in which an estimator saw a subject, where pose is read."""
    if evaluation.poses is None:
        return evaluation
    poses = [evaluation.poses.of(clip) for clip in evaluation.clips]
    rows = [row for row, pose in enumerate(poses) if pose is not None and pose.tracks]
    clips, sources, paths = (
        tuple(values[row] for row in rows) for values in (evaluation.clips, evaluation.sources, evaluation.paths)
    )
    return replace(evaluation, clips=clips, sources=sources, paths=paths, labels=evaluation.labels[rows])


@torch.no_grad()
def faithfulness(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, Faithfulness]:
    """Of movements, and of frames or joints, on all clips of an evaluation."""
    model = checkpoint.model.cpu().eval()
    source = frames_source(checkpoint, evaluation, checkpoint.config.frames, workers=0)
    batches = source.batches(in_order(len(source), 16))
    embeddings = torch.cat([frame_embeddings(model.backbone, batch.frames) for batch in batches])
    bootstrap, poses = Bootstrap(evaluation.sources), evaluation.poses
    score = model(embeddings, evaluation.numbers)
    answer = score.total.argmax(dim=1)
    adds = movement_importance(model, score, answer)
    if poses is None:
        second = {"frames": (frame_curve(model, embeddings, answer), frame_importance(model, embeddings, answer))}
    else:
        of = [pose for clip in evaluation.clips if (pose := poses.of(clip)) is not None]
        second = {"joints": (joint_curve(model, embeddings, of, answer), joint_importance(adds, checkpoint.movements))}
    items = {"movements": (movement_curve(model, score, answer), adds)} | second
    return {name: measure(*item, bootstrap) for name, item in items.items()}


def page(command: Command, checkpoint: Checkpoint, evaluation: Evaluation, found: dict[str, Faithfulness]) -> str:
    """The figures as a table in Markdown."""

    def text(value: tuple[float, tuple[float, float]]) -> str:
        mean, (low, high) = value
        return f"{mean:.3f} ({low:.3f} to {high:.3f})"

    header = ("", "deletion", "insertion", "random order", "deletion minus random", "insertion minus random")
    rows = [
        [name, *map(text, (f.deletion, f.insertion, f.random, f.deletion_difference, f.insertion_difference))]
        for name, f in found.items()
    ]
    clips, sources = len(evaluation.clips), len(set(evaluation.sources))
    return (
        f"Area under the probability of the answer, {clips} clips of {sources} sources; intervals: {NOTE}.\n\n"
        f"{table(header, rows)}\n\nModel {checkpoint.hash[:16]}, {checkpoint.config.frames} frames, data "
        f"{command.data.name}; `python -m experiments.faithfulness`.\n"
    )


def main(argv: list[str]) -> int:
    """Run the command."""
    command = tyro.cli(Command, args=argv)
    checkpoint = Checkpoint.load(command.model)
    evaluation = with_somebody(open_evaluation(checkpoint, command.data, None, command.features, command.keypoints))
    text = page(command, checkpoint, evaluation, faithfulness(checkpoint, evaluation))
    with atomic_path(command.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
