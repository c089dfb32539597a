"""From decoded frames to RGB pictures, upright and of one size."""

import math

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from kgclip.video.orientation import Orientation


class Pictures:
    """Converts the frames of one stream.

    Args:
        width, height: as stored, in pixels; frames of another size, where it changes on the way, are scaled to it.
        most_pixels: larger frames are scaled down to about so many; None leaves them as they are.

    Attributes:
        orientation: of the first frame, which all others share; None before it.
    """

    def __init__(self, width: int, height: int, most_pixels: int | None = None):
        scale = 1.0 if most_pixels is None else min(1.0, math.sqrt(most_pixels / (width * height)))
        self._size = max(1, round(scale * width)), max(1, round(scale * height))
        self._reformatter = VideoReformatter()  # shared by all frames: setting one up costs more than decoding a frame
        self.orientation: Orientation | None = None

    def of(self, frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
        """A frame as RGB, 0 to 255, as displayed."""
        if self.orientation is None:
            self.orientation = Orientation.of(frame)
        width, height = self._size
        # One thread: starting more, which FFmpeg does unless told, takes longer than converting a small frame.
        rgb = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation=self._interpolation(frame), threads=1
        )
        return self.orientation.apply(rgb.to_ndarray())

    def _interpolation(self, frame: VideoFrame) -> str:
        """Averages where a frame is scaled down, which leaves out no pixel; else FFmpeg's own way."""
        return "AREA" if frame.width > self._size[0] else "BILINEAR"
