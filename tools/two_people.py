"""Two clips side by side in one picture: whom of the two people an estimator follows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import UInt8

from kgclip.data.dataset import Clip
from kgclip.pose.estimators.estimator import Estimator
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import KNOWN_SCORE
from kgclip.pose.tracks import LEAST_LIKENESS, Pose, likeness, link_tracks
from kgclip.video.decode import read_frames

LEFT, RIGHT, NEITHER, NOBODY = "left", "right", "neither", "nobody"
MARGIN = 0.05
Frames = UInt8[np.ndarray, "T H W 3"]


@dataclass(frozen=True)
class Beside:
    """A clip with something at its right.

    Attributes:
        pose: what was found in both together.
        whose: for each observed frame: LEFT, RIGHT, NEITHER of the two, or NOBODY was found.
        subject: the same for the frames of the clip's subject alone.
    """

    pose: ClipPose
    whose: tuple[str, ...]
    subject: tuple[str, ...]


def pair_up(clips: Sequence[Clip], poses: Mapping[str, ClipPose], count: int) -> list[tuple[Clip, Clip]]:
    """About ``count`` clips, evenly from all, each with one of another action and source that is as long or longer."""
    rng = np.random.default_rng(0)
    seen = [clip for clip in clips if poses[clip.id].tracks]
    pairs = []
    for left in seen[:: max(len(seen) // count, 1)][:count]:
        for index in rng.permutation(len(seen)):
            right = seen[index]
            as_long = len(poses[right.id].frame_index) >= len(poses[left.id].frame_index)
            if as_long and right.action != left.action and right.source != left.source:
                pairs.append((left, right))
                break
    return pairs


def side_by_side(left: Frames, right: Frames) -> Frames:
    """One picture of two; the lower one is black below."""
    height = max(left.shape[1], right.shape[1])
    both = [np.pad(frames, ((0, 0), (0, height - frames.shape[1]), (0, 0), (0, 0))) for frames in (left, right)]
    return np.concatenate(both, axis=2)


def look(
    left: Clip, right: Clip | None, poses: Mapping[str, ClipPose], estimator: Estimator, near: bool = False
) -> Beside:
    """What an estimator finds in two clips side by side.

    Args:
        left: its observed frames are shown.
        right: at least as long; None for a black picture of the left one's size.
        poses: what the same estimator finds in each alone.
        estimator: is shown both together.
        near: what lies between the two people is cut away, so that they stand next to each other.
    """
    mine = poses[left.id]
    other = None if right is None else poses[right.id]
    shown = read_frames(left.path, mine.frame_index)
    beside = (
        np.zeros_like(shown) if right is None else read_frames(right.path, poses[right.id].frame_index[: len(shown)])
    )
    end, start = (reach(mine)[1], 0 if other is None else reach(other)[0]) if near else (mine.width, 0)
    picture = side_by_side(shown[:, :, :end], beside[:, :, start:])
    tracks = link_tracks(list(estimator(iter(picture))), mine.time_s)
    pose = ClipPose(mine.frame_index, mine.time_s, picture.shape[2], picture.shape[1], tracks)
    answers = {row: whose(keypoints, row, mine, other, end - start) for row, keypoints in _poses(tracks)}
    subject = [answers[int(row)] for track in tracks[:1] for row in track.rows]
    return Beside(pose, tuple(answers.get(row, NOBODY) for row in range(len(shown))), tuple(subject))


def reach(pose: ClipPose) -> tuple[int, int]:
    """The columns of a clip's picture that its subject is in, with `MARGIN` of them to either side."""
    keypoints = pose.tracks[0].keypoints
    x = keypoints[keypoints[:, :, 2] >= KNOWN_SCORE][:, 0]
    margin = MARGIN * (x.max() - x.min())
    return max(int(x.min() - margin), 0), min(int(np.ceil(x.max() + margin)) + 1, pose.width)


def whose(keypoints: Pose, row: int, left: ClipPose, right: ClipPose | None, shift: int) -> str:
    """Whom of two people a pose is of: the one that is more like it, NEITHER where none is alike.

    Args:
        keypoints: in the picture of both.
        row: of the observed frame.
        left: who is seen in the left clip alone.
        right: who is seen in the right clip alone, in pixels of that clip; None for nobody.
        shift: of the right clip to the right, in pixels.
    """
    likenesses = {NEITHER: LEAST_LIKENESS}
    for name, pose, by in ((LEFT, left, 0), (RIGHT, right, shift)):
        if pose is not None:
            people = [own for at, own in _poses(pose.tracks) if at == row]
            likenesses[name] = max((likeness(keypoints, _shifted(own, by)) for own in people), default=0.0)
    return max(likenesses, key=lambda name: likenesses[name])


def _shifted(pose: Pose, shift: int) -> Pose:
    return pose + np.array([shift, 0, 0], pose.dtype)


def _poses(tracks: Sequence[Track]) -> Iterator[tuple[int, Pose]]:
    for track in tracks:
        yield from zip(track.rows.tolist(), track.keypoints, strict=True)


def summary(looks: Sequence[Beside]) -> dict[str, str]:
    """What became of some clips, in words and percent."""
    frames = Counter(name for one in looks for name in one.whose)
    found = [set(one.whose) & {LEFT, RIGHT} for one in looks]
    subjects = [set(one.subject) & {LEFT, RIGHT} for one in looks]
    followed = [[name for name in one.whose if name in (LEFT, RIGHT)] for one in looks]
    jumps = [sum(a != b for a, b in pairwise(names)) for names in followed]
    rows = {f"frames: {name}": _percent(frames[name], frames.total()) for name in (LEFT, RIGHT, NEITHER, NOBODY)}
    for title, sets in (("clips: found", found), ("clips: subject is", subjects)):
        for name, of in (("left alone", {LEFT}), ("right alone", {RIGHT}), ("both in turn", {LEFT, RIGHT})):
            rows[f"{title} {name}"] = _percent(sum(one == of for one in sets), len(looks))
    jumping = [number for number in jumps if number]
    rows["jumps in a clip that has any"] = f"{np.mean(jumping):.1f}" if jumping else "–"
    return rows


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.0f} %"
