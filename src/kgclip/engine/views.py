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
MOST_HEIGHT = 256
"""Of a view in pixels; encoders see less."""

ViewBox = tuple[int, int, int, int]


class View(NamedTuple):
    """What was read around a person: features, and the part of the frame (left, top, right, bottom, in pixels)."""

    features: Tensor
    box: ViewBox


def view_box(pose: Float32[np.ndarray, "17 3"], width: int, height: int) -> ViewBox:
    """The part of a frame around a person: of the frame's shape, inside it, with the known joints in its middle."""
    left, top, right, bottom = box_of(pose).tolist()
    share = min(1.0, AROUND * max((bottom - top) / height, (right - left) / width))
    wide, high = max(1, round(share * width)), max(1, round(share * height))
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
    scale = min(1.0, MOST_HEIGHT / height)
    left, top, right, bottom = box
    return scaled(image[top:bottom, left:right], max(1, round(scale * height)), max(1, round(scale * width)))
