"""Writing H.264 video files."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8

from kgclip.errors import KgclipError
from kgclip.files import atomic_path

_KEY_FRAME_INTERVAL_S = 1.0
_TICK = Fraction(1, 10_000)
_REPEATABLE = "rc-lookahead=0:mbtree=0"  # with lookahead, x264 gives other bytes in about one small clip of twenty


def write_video(path: Path, frames: UInt8[np.ndarray, "T H W 3"], fps: int) -> None:
    """Encode RGB frames as an mp4 file: H.264, 4:2:0, a key frame a second; the same frames give the same bytes.

    Raises:
        KgclipError: there is no frame, or the height or width is odd.
    """
    count, height, width, _ = frames.shape
    if count == 0 or height % 2 or width % 2:
        raise KgclipError(f"{path}: got {count} frames of {width}x{height}; expected at least one and even sizes")
    options = {"fflags": "+bitexact"}
    with atomic_path(path) as temporary, av.open(str(temporary), "w", "mp4", container_options=options) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {
            "preset": "veryfast",
            "crf": "23",
            "g": str(round(fps * _KEY_FRAME_INTERVAL_S)),
            "threads": "1",
            "x264-params": _REPEATABLE,
        }
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


class FrameWriter:
    """Writes frames of a film as they come, at their times; made by :func:`writing_frames`."""

    def __init__(self, container: OutputContainer, fps: float):
        self._container, self._fps = container, fps
        self._stream: VideoStream | None = None
        self._last = -1

    def write(self, image: UInt8[np.ndarray, "H W 3"], time_s: float) -> None:
        """Add a frame of even sides; times ascend. Where a film changes its size, it keeps that of its first frame."""
        stream = self._stream or self._open(*image.shape[:2])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        if (frame.width, frame.height) != (stream.width, stream.height):
            frame = frame.reformat(width=stream.width, height=stream.height)
        self._last = max(round(time_s / _TICK), self._last + 1)
        frame.pts, frame.time_base = self._last, _TICK
        self._container.mux(stream.encode(frame))

    @property
    def empty(self) -> bool:
        """Whether there was no frame."""
        return self._stream is None

    def close(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _open(self, height: int, width: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=max(1, round(self._fps)))
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", _TICK
        stream.codec_context.time_base = _TICK
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(max(1, round(self._fps))), "threads": "1"}
        self._stream = stream
        return stream


@contextmanager
def writing_frames(path: Path, fps: float) -> Iterator[FrameWriter]:
    """An mp4 file that gets its frames one by one, whole when the block ends.

    Raises:
        KgclipError: it ended without a frame.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w", "mp4") as container:
        writer = FrameWriter(container, fps)
        yield writer
        writer.close()
        if writer.empty:
            raise KgclipError(f"{path}: got no frame to write; the source gave none")
