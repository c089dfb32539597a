"""The people of a film: each frame is looked at once, as it comes, or their keypoints are brought."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kgclip.data.clip import clip_id
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.brought import is_keypoints
from kgclip.pose.estimators.estimator import Estimator, open_estimator
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import People
from kgclip.pose.tracks import link_tracks, weight
from kgclip.video.stream import Pace, StreamFrame, is_live

POSE_RATE = 7.5
"""Frames a second in which people are looked for: every fourth of a clip at 30 frames a second, as in training."""


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
    return observe(clip_id(Path(source).name), Path(source), pose)


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


def pose_of_frames(people: list[tuple[float, People]], width: int, height: int) -> ClipPose | None:
    """The pose of a window: who is who in the frames that were looked at, at their times; None without any."""
    if not people:
        return None
    time_s = np.array([time for time, _ in people])
    tracks = link_tracks([found for _, found in people], time_s)
    return ClipPose(np.arange(len(people), dtype=np.int32), time_s, width, height, tracks)


def pose_between(pose: ClipPose, start_s: float, end_s: float) -> ClipPose | None:
    """A stretch of a film's pose; None where it has no observed frame."""
    first, last = np.searchsorted(pose.time_s, (start_s - 1e-6, end_s - 1e-6)).tolist()
    if first == last:
        return None
    between, tracks = slice(first, last), []
    for track in pose.tracks:
        inside = slice(*np.searchsorted(track.rows, (first, last)).tolist())
        if inside.start < inside.stop:
            tracks.append(Track(track.rows[inside] - first, track.keypoints[inside]))
    time_s = pose.time_s[between]
    tracks.sort(key=lambda track: -weight(track, time_s))
    return replace(pose, frame_index=pose.frame_index[between], time_s=time_s, tracks=tuple(tracks))
