"""Views of people: the part of a frame around each of several people, which the encoder sees as a frame of its own."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor

from kgclip.engine.film_pose import SeenPeople
from kgclip.pose.tracks import box_of
from kgclip.video.transforms import scaled

AROUND = 1.5
"""Height of a view: this times that of the box of the known joints, or more where the box is wide."""
SHAPE = 4 / 3
"""Width of a view by its height, at most: less where the frame is narrower; wider ones would show others."""
MOST_HEIGHT = 256
"""Of a view in pixels; encoders see less."""

ViewBox = tuple[int, int, int, int]


class View(NamedTuple):
    """What was read around a person: features, and the part of the frame (left, top, right, bottom, in pixels)."""

    features: Tensor
    box: ViewBox


def view_box(pose: Float32[np.ndarray, "17 3"], width: int, height: int) -> ViewBox:
    """The part of a frame around a person, inside the frame, with the known joints in its middle."""
    left, top, right, bottom = box_of(pose).tolist()
    shape = _shape(width, height)
    tall = min(float(height), AROUND * max(bottom - top, (right - left) / shape))
    wide, high = max(1, int(shape * tall)), max(1, int(tall))
    x = min(max(0, round((left + right - wide) / 2)), width - wide)
    y = min(max(0, round((top + bottom - high) / 2)), height - high)
    return x, y, x + wide, y + high


def view_boxes(seen: SeenPeople, width: int, height: int, most: int) -> dict[int, ViewBox]:
    """The views of a frame's people by their numbers, the largest people first; none of someone who is alone."""
    people = [(n, pose) for n, pose in zip(seen.numbers, seen.people, strict=True) if n]
    if len(people) < 2:
        return {}
    boxes = {n: view_box(pose, width, height) for n, pose in people}
    return dict(sorted(boxes.items(), key=lambda item: item[1][1] - item[1][3])[:most])


def view_of(image: UInt8[np.ndarray, "H W 3"], box: ViewBox) -> UInt8[np.ndarray, "H2 W2 3"]:
    """The picture of a view; all views of frames of one size have one size."""
    height, width = image.shape[:2]
    high = min(MOST_HEIGHT, height)
    left, top, right, bottom = box
    return scaled(image[top:bottom, left:right], high, max(1, int(_shape(width, height) * high)))


def _shape(width: int, height: int) -> float:
    return min(SHAPE, width / height)
