"""The people of a film: each frame is looked at once, as it comes, or their keypoints are brought."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from kgclip.data.clip import id_of_file
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.brought import is_keypoints
from kgclip.pose.estimators.estimator import Estimator, open_estimator
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import People
from kgclip.pose.tracks import numbered_tracks, weight
from kgclip.video.stream import Pace, StreamFrame, is_live

POSE_RATE = 7.5
"""Frames a second in which people are looked for: every fourth of a clip at 30 frames a second, as in training."""

LASTING = 0.5
"""Share of the frames of a window that show a person who has a row of spans."""


class SeenPeople(NamedTuple):
    """The people of a frame that was looked at, and who they are in the film."""

    time_s: float
    people: People
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class PosedFrame:
    """A frame with its people; None where they were not looked for."""

    image: UInt8[np.ndarray, "H W 3"]
    time_s: float
    people: People | None = None


def open_film_pose(source: str, pose: PoseSource | None) -> Estimator | ClipPose | None:
    """What finds people in the frames of a source, or where they are in a file.

    Raises:
        KgclipError: the estimator or the keypoints cannot be read, or the keypoints are not of this source.
    """
    if pose is None:
        return None
    if not is_keypoints(pose.pose):
        return open_estimator(pose.pose, pose.detector)
    if is_live(source):
        raise KgclipError(f"--pose {pose.pose}: keypoints are of files, {source} is live; give an estimator")
    return observe(id_of_file(Path(source)), Path(source), pose)


def with_people(frames: Iterable[StreamFrame], pose: Estimator | ClipPose | None) -> Iterator[PosedFrame]:
    """Frames with their people, where an estimator finds them, in step with it."""
    if pose is None or isinstance(pose, ClipPose):
        yield from (PosedFrame(frame.image, frame.time_s) for frame in frames)
        return
    waiting: deque[tuple[StreamFrame, bool]] = deque()

    def due_images() -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        pace = Pace(POSE_RATE)
        for frame in frames:
            due = pace.due(frame.time_s)
            waiting.append((frame, due))
            if due:
                yield frame.image

    for people in pose(due_images()):
        looked_at = False
        while waiting and not looked_at:
            frame, looked_at = waiting.popleft()
            yield PosedFrame(frame.image, frame.time_s, people if looked_at else None)
    yield from (PosedFrame(frame.image, frame.time_s) for frame, _ in waiting)


@dataclass(frozen=True)
class WindowPose:
    """The people of a window.

    Attributes:
        pose: all of them; the first is who moves most.
        numbers: of the people of the film, in the order of their tracks.
    """

    pose: ClipPose
    numbers: tuple[int, ...]

    def of(self, number: int) -> ClipPose:
        """The pose with that person as its subject."""
        first = self.numbers.index(number)
        others = (track for row, track in enumerate(self.pose.tracks) if row != first)
        return replace(self.pose, tracks=(self.pose.tracks[first], *others))

    def lasting(self, most: int) -> tuple[int, ...]:
        """Who is seen in at least half of the frames that were looked at, at most so many, who moves most first."""
        least = LASTING * len(self.pose.time_s)
        tracks = zip(self.numbers, self.pose.tracks, strict=True)
        return tuple(number for number, track in tracks if len(track.rows) >= least)[:most]


def pose_of_frames(people: Sequence[SeenPeople], width: int, height: int) -> WindowPose | None:
    """The pose of a window: the people of the frames that were looked at; None without such a frame."""
    if not people:
        return None
    time_s = np.array([seen.time_s for seen in people])
    tracks = numbered_tracks([seen.people for seen in people], [seen.numbers for seen in people])
    order = sorted(tracks, key=lambda number: -weight(tracks[number], time_s))
    index = np.arange(len(people), dtype=np.int32)
    return WindowPose(ClipPose(index, time_s, width, height, tuple(tracks[n] for n in order)), tuple(order))


def pose_between(pose: ClipPose, start_s: float, end_s: float) -> WindowPose | None:
    """A stretch of a film's pose; None where it has no observed frame. People are numbered as its tracks, from 1."""
    first, last = np.searchsorted(pose.time_s, (start_s - 1e-6, end_s - 1e-6)).tolist()
    if first == last:
        return None
    between, tracks = slice(first, last), dict[int, Track]()
    for number, track in enumerate(pose.tracks, 1):
        inside = slice(*np.searchsorted(track.rows, (first, last)).tolist())
        if inside.start < inside.stop:
            tracks[number] = Track(track.rows[inside] - first, track.keypoints[inside])
    time_s = pose.time_s[between]
    order = sorted(tracks, key=lambda number: -weight(tracks[number], time_s))
    cut = replace(pose, frame_index=pose.frame_index[between], time_s=time_s, tracks=tuple(tracks[n] for n in order))
    return WindowPose(cut, tuple(order))


def people_at(pose: ClipPose, time_s: float) -> SeenPeople | None:
    """The people of the observation nearest to a time; None where it is more than a beat of POSE_RATE away."""
    if not len(pose.time_s):
        return None
    row = int(np.abs(pose.time_s - time_s).argmin())
    if abs(pose.time_s[row] - time_s) > 1 / POSE_RATE:
        return None
    found = [(number, track.keypoints[track.rows == row]) for number, track in enumerate(pose.tracks, 1)]
    there = [(number, poses[0]) for number, poses in found if len(poses)]
    people = np.array([joints for _, joints in there], np.float32).reshape(-1, 17, 3)
    return SeenPeople(float(pose.time_s[row]), people, tuple(number for number, _ in there))
