"""How a stored frame must be turned or mirrored to be shown upright."""

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a frame: first x and y change places, then each axis may be mirrored."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "Orientation":
        """What a frame's display matrix asks for; as it is where it has none."""
        try:
            matrix = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # PyAV does not know all kinds of side data
            matrix = None
        if matrix is None:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
        return cls.from_display_matrix(a, b, c, d)

    @classmethod
    def from_display_matrix(cls, a: int, b: int, c: int, d: int) -> "Orientation":
        """The nearest way to ``x' = a x + c y, y' = b x + d y``, x to the right and y down (ISO 14496-12, 6.2.2)."""
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def rotation_deg(self) -> int:
        """Clockwise turn: 0, 90, 180 or 270; a mirror image counts by the turn that is left after mirroring."""
        if self.transposed:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y and self.flip_x else 0

    def apply(self, pixels: UInt8[np.ndarray, "h w C"]) -> UInt8[np.ndarray, "H W C"]:
        """The frame as shown."""
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
