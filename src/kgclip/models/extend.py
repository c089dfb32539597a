"""A solved head that knows one action more, without the clips that it was solved on."""

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.models.closed_form import ClosedForm, HeadShape, Solution, powered_statistics
from kgclip.models.pooling import NUM_STATISTICS, phases
from kgclip.models.pose_stream import PoseSolution, has_pose
from kgclip.models.ridge import KernelFeatures, squared_distances


@torch.no_grad()
def with_action(head: ClosedForm, embeddings: Float[Tensor, "N T F"] | None) -> ClosedForm:
    """The head with one action more at the end.

    Its rows of S_mm and S_tri are solved as those of the others, on the landmarks, which are training clips that do not
    perform it, and on its own clips. What the head says of the other actions stays as it is.

    Args:
        head: of T frames at most.
        embeddings: of the frames of the action's clips; None where it has none, so that both scores are 0.
    """
    first = head.solution(head.counts[0])
    shape = HeadShape(first.shape.mm + 1, first.shape.tri + bool(first.shape.tri), first.shape.movements)
    added = 0 if embeddings is None else len(embeddings)
    frame_dim = first.landmarks.shape[1] // NUM_STATISTICS
    landmarks = {count: size + added for count, size in head.landmarks.items()}
    other = ClosedForm(frame_dim, landmarks, shape).to(first.landmarks.device)
    for count in head.counts:
        clips = None
        if embeddings is not None:
            clips = powered_statistics(phases(embeddings, count, 1)[0], head.counts[-1])
        _extend(head.solution(count), other.solution(count), clips)
    return other.eval()


@torch.no_grad()
def with_action_by_pose(pose: PoseSolution, numbers: Float[Tensor, "N S"] | None) -> PoseSolution:
    """As :func:`with_action`, of the pose's stream.

    Args:
        pose: the stream.
        numbers: pose numbers of the action's clips; None where it has none.
    """
    known = None if numbers is None else numbers[has_pose(numbers)]
    old = pose.shape
    shape = HeadShape(old.mm + 1, old.tri + bool(old.tri), old.movements)
    clips = None if known is None or not len(known) else known
    size = len(pose.landmarks) + (0 if clips is None else len(clips))
    other = PoseSolution(len(pose.center), size, shape).to(pose.center.device)
    _extend(pose, other, clips)
    return other.eval()


def _extend(old: Solution, new: Solution, statistics: Float[Tensor, "N S"] | None) -> None:
    """Fill a solution of one action more from the old one and the statistics of its clips."""
    for name in ("center", "scale", "radius", "spread"):
        getattr(new, name).copy_(getattr(old, name))
    num_landmarks, num_actions, has_tri = len(old.landmarks), old.shape.mm, bool(old.shape.tri)
    new.landmarks[:num_landmarks] = old.landmarks
    new.weight[:num_actions], new.bias[:num_actions] = old.weight, old.bias
    # Actions of S_tri, the new one, then movements.
    kept = torch.tensor(
        [j for j in range(new.subspaces.shape[1]) if not has_tri or j != old.shape.tri], dtype=torch.long
    )
    new.subspaces[:num_landmarks, kept], new.deviation[kept] = old.subspaces, old.deviation
    if statistics is None:
        return
    new.landmarks[num_landmarks:] = new.standardize(statistics)
    # In double precision: kernels of few frames are singular but for rounding.
    x, every = new.landmarks.double(), torch.arange(len(new.landmarks), device=new.landmarks.device)
    target = (every >= num_landmarks).to(x.dtype)[:, None]
    rows = torch.ones_like(every, dtype=torch.bool)
    linear = KernelFeatures.of(x @ x.T, every)
    mm = linear.solve(target, every, rows)
    new.weight[num_actions], new.bias[num_actions] = x.T @ (linear.whitening @ mm.weight)[:, 0], mm.bias[0]
    if has_tri:
        radial = KernelFeatures.of((-squared_distances(x, x) / new.radius).exp(), every)
        tri = radial.solve(target, every, rows)
        new.subspaces[:, old.shape.tri] = (radial.whitening @ tri.weight)[:, 0]
        new.deviation[old.shape.tri] = -tri.bias[0]
