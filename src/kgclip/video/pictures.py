"""From decoded frames to RGB pictures, upright and of one size."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from kgclip.video.orientation import Orientation


class Pictures:
    """Converts the frames of one stream.

    Args:
        width, height: as stored, in pixels; frames of another size, where it changes on the way, are scaled to it.

    Attributes:
        orientation: of the first frame, which all others share; None before it.
    """

    def __init__(self, width: int, height: int):
        self._size = width, height
        self._reformatter = VideoReformatter()  # shared by all frames: setting one up costs more than decoding a frame
        self.orientation: Orientation | None = None

    def of(self, frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
        """A frame as RGB, 0 to 255, as displayed."""
        if self.orientation is None:
            self.orientation = Orientation.of(frame)
        width, height = self._size
        # One thread: starting more, which FFmpeg does unless told, takes longer than converting a small frame.
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        return self.orientation.apply(rgb.to_ndarray())
