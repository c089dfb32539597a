"""Videos of strangers, opened by processes apart, within limits on their memory, processor and time.

What a file does to its decoder happens there. The two sides speak in lines of JSON and plain bytes: nothing that comes
back is run, and no size in it is believed beyond the limits.
"""

import math
import time
from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from kgclip.copies import local_file
from kgclip.engine.apart_child import Question, Setup
from kgclip.engine.apart_process import EndedError, Limits, Pool, nothing
from kgclip.engine.videos import Videos
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import NUM_JOINTS
from kgclip.video.cut import Cut, VideoPath, file_of
from kgclip.video.decode import VideoInfo
from kgclip.video.frames import MOST_PIXELS, ClipFrames

T = TypeVar("T")
_MOST_FRAME = 2 * 3 * MOST_PIXELS  # sizes are rounded up where large frames are scaled down
_MOST_PREVIEW = 2**26


class _Clip(msgspec.Struct):
    shape: tuple[int, int, int, int]
    indices: list[int]
    times_s: list[float]
    duration_s: float
    fps: float
    num_frames: int


class _Track(msgspec.Struct):
    rows: list[int]
    keypoints: list[list[tuple[float, float, float]]]


class _Pose(msgspec.Struct):
    frame_index: list[int]
    time_s: list[float]
    width: int
    height: int
    tracks: list[_Track]


class Apart(Videos):
    """Opens videos in processes apart: as many as threads ask at a time.

    They end with this object, with this process, or by `close`.

    Args:
        pose: as of `Videos`; each process loads the estimator before its limits begin.
        limits: of each file.
        died: is called whenever a process has to be replaced.
    """

    def __init__(
        self, pose: PoseSource | None = None, limits: Limits | None = None, *, died: Callable[[], None] = nothing
    ):
        super().__init__(pose)
        self.limits = limits or Limits()
        setup = Setup(self.limits.memory, self.limits.cpu_s, None if pose is None else asdict(pose))
        self._pool = Pool(setup, died)
        self._until_s = math.inf

    def start(self, count: int = 1) -> None:
        """Have so many processes ready.

        Raises:
            KgclipError: they do not start, or the estimator cannot be loaded.
        """
        self._pool.start(count)

    def within(self, wait_s: float) -> "Apart":
        """The same processes, for questions that together end within so many seconds from now."""
        other = copy(self)
        other._until_s = min(self._until_s, time.monotonic() + wait_s)
        return other

    def probe(self, path: VideoPath) -> VideoInfo:  # noqa: D102 (of Videos)
        return self._ask(path, "probe", lambda facts, _: msgspec.convert(facts, VideoInfo))

    def read_clip(self, path: VideoPath, num_frames: int, *, threads: int = 1) -> ClipFrames:
        """As of `Videos`, by one thread whatever ``threads`` is."""

        def made(facts: Any, content: np.ndarray) -> ClipFrames:
            clip = msgspec.convert(facts, _Clip)
            count, *_, channels = clip.shape
            if (
                not count == len(clip.indices) == len(clip.times_s) == num_frames
                or channels != 3
                or min(clip.shape) < 1
            ):
                raise ValueError(f"frames of shape {clip.shape}")
            images = content.reshape(clip.shape)
            indices, times_s = np.array(clip.indices, np.int64), np.array(clip.times_s, np.float64)
            return ClipFrames(images, indices, times_s, clip.duration_s, clip.fps, clip.num_frames)

        most = min(num_frames * _MOST_FRAME, self.limits.memory)
        return self._ask(path, "read_clip", made, most, num_frames=num_frames)

    def preview(self, path: VideoPath) -> bytes:  # noqa: D102 (of Videos)
        return self._ask(path, "preview", lambda _, content: content.tobytes(), _MOST_PREVIEW)

    def observe(self, clip: str, path: VideoPath) -> ClipPose:  # noqa: D102 (of Videos)
        return self._ask(path, "observe", _pose, clip=clip)

    def close(self) -> None:  # noqa: D102 (of Videos)
        self._pool.close()

    def _ask(
        self,
        path: VideoPath,
        task: Literal["probe", "read_clip", "preview", "observe"],
        made: Callable[[Any, np.ndarray], T],
        most_bytes: int = 0,
        **more: Any,
    ) -> T:
        interval = (path.start_s, path.end_s) if isinstance(path, Cut) else None
        try:
            with local_file(file_of(path)) as file:
                question = Question(task, str(file), interval, **more)
                wait_s = max(0.0, min(self.limits.wait_s, self._until_s - time.monotonic()))
                return self._pool.ask(question, wait_s, most_bytes, made)
        except EndedError as error:
            raise KgclipError(f"{file_of(path)}: {error}; convert it or leave it out") from error


def _pose(facts: Any, _: np.ndarray) -> ClipPose:
    pose = msgspec.convert(facts, _Pose)
    tracks = tuple(
        Track(
            np.array(track.rows, np.int64),
            np.array(track.keypoints, np.float32).reshape(len(track.rows), NUM_JOINTS, 3),
        )
        for track in pose.tracks
    )
    frame_index, time_s = np.array(pose.frame_index, np.int32), np.array(pose.time_s, np.float64)
    return ClipPose(frame_index, time_s, pose.width, pose.height, tracks)
