"""Who is who from frame to frame, and who the clip is about."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

from kgclip.pose.keypoints import Track
from kgclip.pose.skeleton import KNOWN_SCORE, People

LEAST_LIKENESS = 0.2
"""Poses less alike than this, from 0 to 1, are two people."""
LONGEST_ABSENCE_S = 1.0
"""A person who is gone for longer comes back as another."""
JOINT_TOLERANCE = 0.25
"""A joint that moved by this share of the box's larger side between two observations is 1/e close."""
STILL_SPEED = 0.1
"""In box sides a second: the jitter of joints at rest. It keeps the weight of people at rest from vanishing."""

Pose = Float[np.ndarray, "17 3"]
Box = Float[np.ndarray, " 4"]


class Tracker:
    """Says who is who, frame after frame. It holds nobody who is gone for longer than `LONGEST_ABSENCE_S`."""

    def __init__(self) -> None:
        self._count = 0
        # When and how each person was seen last.
        self._last: dict[int, tuple[float, Pose]] = {}

    def numbers(self, people: People, time_s: float) -> tuple[int, ...]:
        """The numbers of a frame's people, from 1 in the order in which they came; 0 of a pose without a known joint.

        The people are assigned to those whose last pose they resemble most, all at once (Hungarian method).
        """
        self._last = {n: last for n, last in self._last.items() if time_s - last[0] <= LONGEST_ABSENCE_S}
        rows = np.flatnonzero((people[:, :, 2] >= KNOWN_SCORE).any(axis=1)).tolist()
        recent = list(self._last)
        likenesses = np.array([[likeness(self._last[n][1], people[row]) for row in rows] for n in recent])
        numbers = [0] * len(people)
        if likenesses.size:
            from scipy.optimize import linear_sum_assignment  # takes most of a second, and stored poses need no tracks

            for before, now in zip(*linear_sum_assignment(-likenesses), strict=True):
                if likenesses[before, now] >= LEAST_LIKENESS:
                    numbers[rows[now]] = recent[before]
        for row in rows:
            if not numbers[row]:
                self._count += 1
                numbers[row] = self._count
            self._last[numbers[row]] = (time_s, people[row])
        return tuple(numbers)


def link_tracks(people: Sequence[People], time_s: Float64[np.ndarray, " T"]) -> tuple[Track, ...]:
    """Join the people of each frame into tracks, the heaviest first (see `weight`): that one is the clip's subject."""
    tracker = Tracker()
    numbers = [tracker.numbers(poses, float(time)) for poses, time in zip(people, time_s, strict=True)]
    return tuple(sorted(numbered_tracks(people, numbers).values(), key=lambda track: -weight(track, time_s)))


def numbered_tracks(people: Sequence[People], numbers: Sequence[tuple[int, ...]]) -> dict[int, Track]:
    """The tracks of the people of frames by their numbers; those of number 0 have none."""
    rows: dict[int, list[int]] = {}
    poses: dict[int, list[Pose]] = {}
    for row, (found, given) in enumerate(zip(people, numbers, strict=True)):
        for pose, number in zip(found, given, strict=True):
            if number:
                rows.setdefault(number, []).append(row)
                poses.setdefault(number, []).append(pose)
    return {n: Track(np.array(rows[n], np.int64), np.stack(poses[n]).astype(np.float32)) for n in rows}


def weight(track: Track, time_s: Float64[np.ndarray, " T"]) -> float:
    """How much a clip is about a person: observations × median box side × (speed of the joints + `STILL_SPEED`).

    The side is the larger one of the box, in pixels; the speed is the median one, in box sides a second.
    """
    sides = np.array([_side(box_of(pose)) for pose in track.keypoints])
    side = float(np.median(sides))
    known = (track.keypoints[:, :, 2] >= KNOWN_SCORE)[..., None]
    positions = np.where(known, track.keypoints[:, :, :2], np.nan)
    elapsed_s = np.diff(time_s[track.rows])
    moved = np.hypot(*np.moveaxis(np.diff(positions, axis=0), -1, 0))
    speeds = moved / np.maximum(elapsed_s, 1e-3)[:, None]
    speeds = speeds[~np.isnan(speeds)]
    speed = float(np.median(speeds)) / side if len(speeds) else 0.0
    return len(track.rows) * side * (speed + STILL_SPEED)


def likeness(one: Pose, other: Pose) -> float:
    """How likely two poses are one person's, 0 to 1: half the boxes' overlap, half the closeness of joints."""
    boxes = box_of(one), box_of(other)
    both = (one[:, 2] >= KNOWN_SCORE) & (other[:, 2] >= KNOWN_SCORE)
    closeness = 0.0
    if both.any():
        tolerance = JOINT_TOLERANCE * max(_side(box) for box in boxes)
        closeness = float(np.exp(-np.hypot(*(one - other)[both, :2].T) / tolerance).mean())
    return (overlap(*boxes) + closeness) / 2


def box_of(pose: Pose) -> Box:
    """Left, top, right and bottom of the known joints, in pixels."""
    known = pose[pose[:, 2] >= KNOWN_SCORE, :2]
    return np.concatenate([known.min(0), known.max(0)])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / union if union > 0 else 0.0


def _side(box: Box) -> float:
    return max(float((box[2:] - box[:2]).max()), 1.0)
