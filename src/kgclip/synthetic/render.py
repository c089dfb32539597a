"""Pictures of figures: the one call that the data generator and the pre-training of the synthetic CLIP share."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from kgclip.synthetic.background import add_grain, textures
from kgclip.synthetic.figure import Figure, draw
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.raster import paint
from kgclip.synthetic.scene import SURFACES, Scenes

_BATCH = 16  # pictures painted at once: their planes stay in the processor's cache
_RAMP = 256
_OPAQUE = np.uint32(0xFF000000)


@dataclass(frozen=True, eq=False)
class Rendering:
    """N pictures with the truth about them.

    Attributes:
        frames: RGB.
        figure: the capsules, in picture heights.
        visible: pixels in which each shape is seen; the last shape is the block.
        seen_at: the shape that is seen where each of the figure's joints is; -1 where it is none, or outside.
    """

    frames: UInt8[np.ndarray, "N H W 3"]
    figure: Figure
    visible: Int64[np.ndarray, "N Q"]
    seen_at: Int64[np.ndarray, "N 17"]


def _pack(rgb: np.ndarray) -> np.ndarray:
    """Pack colors [..., 3] into one little-endian word each, within the range that leaves room for grain."""
    red, green, blue = np.moveaxis(np.clip(rgb, 8, 240).astype(np.uint32), -1, 0)
    return red | (green << 8) | (blue << 16) | _OPAQUE


def _palette(figure: Figure, order: np.ndarray, scenes: Scenes) -> np.ndarray:
    """Give each picture's colors: the ramp of the wall, of the floor, then the shapes in painter's order."""
    light = scenes.brightness[:, None, None]
    share = np.linspace(0, 1, _RAMP, dtype=np.float32)[None, None, :, None]
    ends = scenes.wall[:, :, :, None]
    ramps = (ends[:, :, 0] + share * (ends[:, :, 1] - ends[:, :, 0])).reshape(len(scenes), 2 * _RAMP, 3)
    block = scenes.colors[:, SURFACES.index("block"), None]
    shapes = np.concatenate([figure.color, block], axis=1)
    shapes = np.take_along_axis(shapes, order[..., None].astype(np.int64), axis=1)
    return _pack(np.concatenate([ramps, shapes], axis=1) * light)


def _compose(figure: Figure, scenes: Scenes, size: tuple[int, int], out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw a few pictures into ``out``; give what is seen and the shape of each rank, as :func:`paint` does."""
    seen, order = paint(figure, scenes.block, size)
    palette = _palette(figure, order, scenes)
    index = textures(scenes.texture, scenes.frame[:, 3], size).astype(np.int32)
    index += _RAMP * (np.arange(size[0])[:, None] >= np.round(scenes.horizon * size[0])[:, None, None])
    shape = np.flatnonzero(seen)
    index.reshape(-1)[shape] = seen.reshape(-1)[shape].astype(np.int32) + (2 * _RAMP - 1)
    index += (np.arange(len(scenes), dtype=np.int32) * palette.shape[1])[:, None, None]
    packed = palette.reshape(-1)[index]
    add_grain(packed, scenes.grain)
    out[:] = packed.view(np.uint8).reshape(*packed.shape, 4)[..., :3]
    return seen, order


def _count(seen: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Count the pixels in which each shape is seen [N, Q]."""
    count, shapes = order.shape
    ranks = seen.reshape(count, -1) + (np.arange(count) * (shapes + 1))[:, None]
    pixels = np.bincount(ranks.reshape(-1), minlength=count * (shapes + 1)).reshape(count, -1)[:, 1:]
    visible = np.zeros_like(pixels)
    np.put_along_axis(visible, order.astype(np.int64), pixels, axis=1)
    return visible


def _shapes_at(joints: np.ndarray, seen: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Find the shape that is seen at each joint [N, 17]; -1 for none."""
    count, height, width = seen.shape
    x, y = np.floor(joints[..., 0] * height + width / 2).astype(int), np.floor(joints[..., 1] * height).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    row = np.arange(count)[:, None]
    rank = np.where(inside, seen[row, y.clip(0, height - 1), x.clip(0, width - 1)], 0).astype(int)
    return np.where(rank > 0, order[row, rank - 1].astype(int), -1)


def render(motions: Motions, scenes: Scenes, size: tuple[int, int] = (96, 128)) -> Rendering:
    """Draw N independent pictures; a square one shows the middle of a wider one of the same height."""
    figure = draw(motions, scenes)
    frames = np.empty((len(scenes), *size, 3), dtype=np.uint8)
    visible, seen_at = [], []
    for first in range(0, len(scenes), _BATCH):
        rows = slice(first, first + _BATCH)
        seen, order = _compose(figure.take(rows), scenes.take(rows), size, frames[rows])
        visible.append(_count(seen, order))
        seen_at.append(_shapes_at(figure.joints[rows], seen, order))
    return Rendering(frames, figure, np.concatenate(visible), np.concatenate(seen_at))
