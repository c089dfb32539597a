"""A small copy of a video that browsers play."""

import io
from fractions import Fraction

import av
import numpy as np
from jaxtyping import Float64, UInt8

from kgclip.reading import read_bytes
from kgclip.video.container import open_file
from kgclip.video.cut import Cut, VideoPath
from kgclip.video.decode import open_video

# A file that browsers play is taken as it is up to this size.
MOST_BYTES = 600_000
MOST_FRAMES, MOST_WIDTH = 300, 384
_MOST_PIXELS = 2**19  # of MOST_WIDTH there are seldom more
_PLAYED = ("h264", "yuv420p")
_TICK = Fraction(1, 10_000)


def preview(path: VideoPath) -> bytes:
    """An mp4 file (H.264) of the video or the cut, its presentation times kept and its first frame at 0.

    It is the file itself where that is small and browsers play it; else at most MOST_FRAMES of its frames, at equal
    distances, at most MOST_WIDTH pixels wide.

    Raises:
        KgclipError: the file cannot be read.
    """
    if not isinstance(path, Cut) and path.suffix.lower() in (".mp4", ".m4v") and path.stat().st_size <= MOST_BYTES:
        with open_file(path) as file:
            if (file.codec.name, file.codec.pix_fmt) == _PLAYED and not file.stream.start_time:
                return read_bytes(path)
    with open_video(path, most_pixels=_MOST_PIXELS) as video:
        indices = np.linspace(0, video.num_frames - 1, min(MOST_FRAMES, video.num_frames)).round().astype(np.int64)
        return _encoded(video.read(indices), video.times_s(indices), max(1, round(video.fps)))


def _encoded(frames: UInt8[np.ndarray, "T H W 3"], times_s: Float64[np.ndarray, " T"], fps: int) -> bytes:
    height, width = frames.shape[1:3]
    scale = min(1.0, MOST_WIDTH / width)
    buffer = io.BytesIO()
    with av.open(buffer, "w", "mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = (max(2, 2 * round(scale * size / 2)) for size in (width, height))
        stream.pix_fmt, stream.time_base = "yuv420p", _TICK
        stream.codec_context.time_base = _TICK
        stream.options = {"preset": "veryfast", "crf": "28", "g": str(fps), "threads": "1"}
        for image, time_s in zip(frames, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = round(time_s / _TICK), _TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
