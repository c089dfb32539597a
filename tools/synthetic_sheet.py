"""Draw the contact sheet of docs/synthetic.md: every action at three moments of its cycle.

python -m tools.synthetic_sheet [PICTURE]
"""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tyro

from kgclip.synthetic.actions import actions, encode
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.render import render
from kgclip.synthetic.scene import random_scenes

PHASES = (0.0, 0.25, 0.5)
SIDE = 96  # pixels, the middle of a frame of a synthetic clip
COLUMNS = 4
SEED = 4


def strips() -> np.ndarray:
    """Draw each action as one row of moments: uint8 [K, side, moments * side, 3]."""
    codes = encode(list(actions().values()))
    moments = len(PHASES)
    phases = np.tile(np.array(PHASES, dtype=np.float32), len(codes))[:, None].repeat(10, axis=1)
    motions = Motions(codes.repeat(moments, axis=0), phases, np.ones_like(phases))
    scenes = random_scenes(np.random.default_rng(SEED), len(codes), occlusion=0.0)
    scenes = replace(scenes, grain=np.zeros_like(scenes.grain)).take(np.arange(len(codes)).repeat(moments))
    frames = render(motions, scenes, (SIDE, SIDE)).frames.reshape(len(codes), moments, SIDE, SIDE, 3)
    return frames.transpose(0, 2, 1, 3, 4).reshape(len(codes), SIDE, moments * SIDE, 3)


def main(picture: Path = Path("docs/images/synthetic.png"), /) -> None:
    """Write the contact sheet.

    Args:
        picture: the PNG file.
    """
    rows = -(-len(actions()) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(12.2, 7.6), dpi=100, layout="constrained")
    for axis, action, strip in zip(axes.flat, actions(), strips(), strict=True):
        axis.imshow(strip, interpolation="nearest")
        axis.set_title(action, fontsize=9, pad=2)
        axis.axis("off")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    tyro.cli(main)
