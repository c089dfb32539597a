"""Who is who from frame to frame, and who the clip is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import linear_sum_assignment

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


@dataclass
class _Person:
    rows: list[int] = field(default_factory=list)
    poses: list[Pose] = field(default_factory=list)


def link_tracks(people: Sequence[People], time_s: Float64[np.ndarray, " T"]) -> tuple[Track, ...]:
    """Join the people of each frame into tracks, the heaviest first (see `weight`): that one is the clip's subject.

    Each frame's people are assigned to the tracks whose last pose they resemble most, all at once (Hungarian method).
    """
    persons: list[_Person] = []
    for row, poses in enumerate(people):
        poses = [pose for pose in poses if (pose[:, 2] >= KNOWN_SCORE).any()]
        recent = [person for person in persons if time_s[row] - time_s[person.rows[-1]] <= LONGEST_ABSENCE_S]
        likenesses = np.array([[likeness(person.poses[-1], pose) for pose in poses] for person in recent])
        taken: dict[int, _Person] = {}
        if likenesses.size:
            for before, now in zip(*linear_sum_assignment(-likenesses), strict=True):
                if likenesses[before, now] >= LEAST_LIKENESS:
                    taken[int(now)] = recent[before]
        for number, pose in enumerate(poses):
            person = taken.get(number)
            if person is None:
                person = _Person()
                persons.append(person)
            person.rows.append(row)
            person.poses.append(pose)
    tracks = [Track(np.array(p.rows, np.int64), np.stack(p.poses).astype(np.float32)) for p in persons]
    return tuple(sorted(tracks, key=lambda track: -weight(track, time_s)))


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
