"""The one road from a video file to the frames of a clip, for prediction, evaluation, training, features and pages."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from kgclip.errors import KgclipError
from kgclip.video.cut import VideoPath
from kgclip.video.decode import open_video
from kgclip.video.sampling import segment_indices

MOST_PROBED = 32
MOST_PIXELS = 1920 * 1088
"""Larger frames than Full HD are scaled down to about so many pixels while they are decoded."""
MOST_BYTES_AHEAD = 2**29
"""Frames that are read ahead; one clip is read at least, whatever its size."""


@dataclass(frozen=True)
class ClipFrames:
    """Frames of one clip, and where in it they lie.

    Attributes:
        images: RGB, 0 to 255, upright, of at most about MOST_PIXELS.
        indices: of the frames in the clip, 0-based, in display order; a clip of fewer than T frames repeats them.
        times_s: presentation times, in seconds from the first frame of the clip.
        duration_s: from the first frame to the end of the last.
        fps: mean frames per second.
        num_frames: of the clip: its file, or its part of one.
    """

    images: UInt8[np.ndarray, "T H W 3"]
    indices: Int64[np.ndarray, " T"]
    times_s: Float64[np.ndarray, " T"]
    duration_s: float
    fps: float
    num_frames: int

    def distinct(self) -> "ClipFrames":
        """The same clip with every frame once, for work that need not be repeated."""
        _, rows = np.unique(self.indices, return_index=True)
        return replace(self, images=self.images[rows], indices=self.indices[rows], times_s=self.times_s[rows])


def read_clip(
    path: VideoPath, num_frames: int, *, rng: np.random.Generator | None = None, threads: int = 1
) -> ClipFrames:
    """One frame from each of T = ``num_frames`` segments of a video, as :func:`segment_indices` draws them by ``rng``.

    Raises:
        KgclipError: the file cannot be read.
    """
    with open_video(path, threads=threads, most_pixels=MOST_PIXELS) as video:
        indices = segment_indices(video.num_frames, num_frames, rng=rng)
        images, times_s = video.read(indices), video.times_s(indices)
        return ClipFrames(images, indices, times_s, video.duration_s, video.fps, video.num_frames)


ReadClip = Callable[..., ClipFrames]
"""Reads a clip as `read_clip` does: in this process, or apart (`kgclip.engine.apart`)."""


def typical_duration_s(paths: Sequence[VideoPath]) -> float | None:
    """The median length of clips, by at most MOST_PROBED of them; None where none can be read."""
    found = []
    for path in paths[:: max(1, len(paths) // MOST_PROBED)]:
        with suppress(KgclipError), open_video(path) as video:
            found.append(video.duration_s)
    return float(np.median(found)) if found else None


def read_clips(
    paths: Mapping[str, VideoPath], num_frames: int, workers: int, read_clip: ReadClip = read_clip
) -> Iterator[tuple[str, ClipFrames | KgclipError]]:
    """The clips in their order, read ahead by threads; what is wrong with a file takes the place of its frames.

    Threads serve, as decoding releases the interpreter's lock. Two clips a thread are held at most, and no more than
    MOST_BYTES_AHEAD by the size of the largest so far.
    """

    own = set[int]()

    def read(path: VideoPath) -> ClipFrames | KgclipError:
        own.add(threading.get_ident())
        try:
            return read_clip(path, num_frames)
        except KgclipError as error:
            return KgclipError(str(error))  # without its traceback, which would hold what had been read

    pool = ThreadPoolExecutor(workers)
    try:
        submitted = ((clip, pool.submit(read, path)) for clip, path in paths.items())
        ahead, largest = deque(islice(submitted, 1)), 1
        while ahead:
            clip, future = ahead.popleft()
            result = future.result()
            if isinstance(result, ClipFrames):
                largest = max(largest, result.images.nbytes)
            wanted = min(2 * workers, max(1, MOST_BYTES_AHEAD // largest))
            ahead.extend(islice(submitted, max(0, wanted - len(ahead))))
            yield clip, result
            del future, result
    finally:
        # What nobody reads to its end is closed by the thread that collects it. One of these cannot wait for itself.
        pool.shutdown(wait=threading.get_ident() not in own, cancel_futures=True)
