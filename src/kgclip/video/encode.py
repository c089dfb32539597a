"""Writing H.264 video files."""

from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from kgclip.errors import KgclipError
from kgclip.files import atomic_path

_KEY_FRAME_INTERVAL_S = 1.0
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
