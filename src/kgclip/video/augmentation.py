"""How training clips are changed at random."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a training clip; one draw serves all its frames.

    Attributes:
        scales: crop sides as shares of the short side; height and width are drawn at most one step apart
            (multi-scale cropping of TSN, arXiv 1608.00859). `(1.0,)` crops the largest square.
        flip: probability of a horizontal flip; the caller then swaps left and right in the movements. 0 turns it off.
        brightness: the factor is drawn from 1 ± this.
        contrast: as brightness, about the clip's mean luma.
        saturation: as brightness, about the gray of each pixel.
        hue: the hue turns by up to ± this share of the color circle.
        gray: probability of a clip without color.
    """

    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    gray: float = 0.2
