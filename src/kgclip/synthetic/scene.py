"""Who is seen, where, and how it is filmed: the variation that makes figures a task."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float32, Int64

from kgclip.synthetic.background import TEXTURES, TILE
from kgclip.synthetic.skeleton import BODY

# Figures wear suits whose limbs have colors of their own, so that left and right can be told at 64 pixels, where a
# face is three pixels wide; shade and tint vary from figure to figure.
_SUIT = {
    "left sleeve": (45, 95, 225), "left forearm": (70, 130, 245), "left glove": (130, 190, 250),
    "right sleeve": (215, 45, 45), "right forearm": (238, 80, 60), "right glove": (250, 150, 130),
    "left trousers": (25, 140, 120), "left shin": (45, 175, 145), "left shoe": (120, 220, 190),
    "right trousers": (205, 150, 20), "right shin": (230, 185, 50), "right shoe": (245, 220, 130),
}  # fmt: skip
SURFACES = ("hair", "skin", "nose", "shirt", "pelvis", "gear", "block", *_SUIT)
"""What has a color of its own: the figure's surfaces, a tint of all its objects, and the block that hides parts."""

CLUTTER = 3
"""Moving shapes behind the figure."""

_SKINS = np.array([(246, 214, 190), (230, 184, 150), (198, 146, 108), (146, 98, 68), (102, 68, 50)], dtype=np.float32)
_DARK, _BRIGHT = 14.0, 232.0  # leaves room for the grain, which is added without a check for overflow
_CONTRAST = 42.0  # least difference of brightness between the wall and trunk and hair
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Scenes:
    """N independent pictures' circumstances. Image coordinates: u from the middle, v from the top, in picture heights.

    Attributes:
        body: lengths in the order of ``skeleton.BODY``, in body heights.
        colors: RGB of ``SURFACES``, 0..255.
        angles: yaw (0 = faces the viewer, positive = turned to the picture's left), elevation and roll of the camera,
            degrees.
        frame: scale (body height in picture heights), u of the figure, v of the ground, u of the camera's pan.
        wall: RGB of the dark and the bright end of the background's ramp above, then below the horizon.
        horizon: v of the line between wall and floor.
        texture: index of the background tile, its row and its column offset, in pixels of a picture 96 high.
        clutter: both ends (u, v, u, v) and radius of the shapes behind the figure, then their RGB.
        block: left, top, right, bottom of what hides parts (empty where right <= left).
        brightness: factor on all colors.
        grain: amplitude of the pixel noise (0..3) and where in the noise the picture starts.
    """

    body: Float32[np.ndarray, "N 11"]
    colors: Float32[np.ndarray, "N S 3"]
    angles: Float32[np.ndarray, "N 3"]
    frame: Float32[np.ndarray, "N 4"]
    wall: Float32[np.ndarray, "N 2 2 3"]
    horizon: Float32[np.ndarray, " N"]
    texture: Int64[np.ndarray, "N 3"]
    clutter: Float32[np.ndarray, "N K 8"]
    block: Float32[np.ndarray, "N 4"]
    brightness: Float32[np.ndarray, " N"]
    grain: Int64[np.ndarray, "N 2"]

    def __len__(self) -> int:
        return len(self.body)

    def take(self, rows: np.ndarray | slice) -> "Scenes":
        """Give the scenes of some rows, in that order; a row may come several times."""
        return Scenes(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def _uniform(rng: np.random.Generator, low: float | int, high: float | int, *shape: int) -> np.ndarray:
    return rng.uniform(low, high, shape).astype(np.float32)


def _apart(color: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Push colors away from other ones, to a difference in brightness of ``_CONTRAST``."""
    distance = (color - other) @ _LUMA
    push = np.where(distance >= 0, 1, -1) * np.maximum(_CONTRAST - np.abs(distance), 0)
    return color + push[:, None]


def _draw_colors(rng: np.random.Generator, count: int, wall: np.ndarray) -> np.ndarray:
    """Dress the figures; trunk and hair stand out from the wall by their brightness."""
    wall_color = wall[:, 0].mean(axis=1)
    shirt, hair = (_apart(_muted(rng, 20, 235, count), wall_color) for _ in range(2))
    skin = _SKINS[rng.integers(len(_SKINS), size=count)] + _uniform(rng, -12, 12, count, 3)
    gear = _uniform(rng, -30, 30, count, 3)
    shade = _uniform(rng, 0.82, 1.08, count, 1)
    block = _muted(rng, 30, 210, count)
    suit = [np.array(color, dtype=np.float32) * shade + _uniform(rng, -16, 16, count, 3) for color in _SUIT.values()]
    surfaces = [0.6 * hair, skin, 0.62 * skin, shirt, 0.8 * shirt, gear, block, *suit]
    return np.clip(np.stack(surfaces, axis=1), _DARK, _BRIGHT).astype(np.float32)


def _muted(rng: np.random.Generator, low: float | int, high: float | int, *shape: int) -> np.ndarray:
    """Draw grays with a tint, RGB in the last axis."""
    return _uniform(rng, low, high, *shape, 1) + _uniform(rng, -22, 22, *shape, 3)


def _draw_walls(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw muted ramps: a gray of any brightness, tinted, with a texture of any contrast."""
    middle = _uniform(rng, 60, 195, count, 2, 1, 1) + _uniform(rng, -22, 22, count, 2, 1, 3)
    spread = _uniform(rng, 4, 38, count, 2, 1, 1) + _uniform(rng, -8, 8, count, 2, 1, 3)
    return np.clip(np.concatenate([middle - spread, middle + spread], axis=2), _DARK, _BRIGHT)


def _draw_blocks(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    left, top = _uniform(rng, -0.3, 0.12, count), _uniform(rng, 0.15, 0.7, count)
    width, height = _uniform(rng, 0.1, 0.22, count), _uniform(rng, 0.12, 0.3, count)
    width = np.where(rng.random(count) < share, width, 0)
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


def random_scenes(rng: np.random.Generator, count: int, occlusion: float = 0.3) -> Scenes:
    """Draw N independent scenes; ``occlusion`` is the share that has a block before the figure."""
    wall = _draw_walls(rng, count)
    facing = np.where(rng.random(count) < 0.5, np.float32(1), np.float32(-1))
    scale = _uniform(rng, 0.66, 0.77, count)
    start = _uniform(rng, -0.75, 0.75, count, CLUTTER)
    middle = np.stack([start, _uniform(rng, 0.1, 0.95, count, CLUTTER)], axis=-1)
    reach = _uniform(rng, -0.12, 0.12, count, CLUTTER, 2)
    clutter = [middle - reach, middle + reach, _uniform(rng, 0.015, 0.06, count, CLUTTER, 1)]
    lengths = np.array(list(BODY.values()), dtype=np.float32)
    tile = rng.integers(0, [TEXTURES, TILE[0] - 96, TILE[1] - 1], size=(count, 3))
    return Scenes(
        body=lengths * _uniform(rng, 0.9, 1.12, count, len(BODY)),
        colors=_draw_colors(rng, count, wall),
        angles=np.stack(
            [facing * _uniform(rng, 10, 50, count), _uniform(rng, 2, 14, count), _uniform(rng, -5, 5, count)], axis=1
        ),
        frame=np.stack(
            [scale, _uniform(rng, -0.07, 0.07, count), _uniform(rng, 0.91, 0.96, count), np.zeros(count, np.float32)],
            axis=1,
        ),
        wall=wall,
        horizon=_uniform(rng, 0.6, 0.88, count),
        texture=tile,
        clutter=np.concatenate([*clutter, np.clip(_muted(rng, 30, 215, count, CLUTTER), _DARK, _BRIGHT)], axis=-1),
        block=_draw_blocks(rng, count, occlusion),
        brightness=_uniform(rng, 0.82, 1.12, count),
        grain=rng.integers(0, [4, 1 << 16], size=(count, 2)),
    )


def film(scene: Scenes, rng: np.random.Generator, frames: int) -> Scenes:
    """Let one scene run on for a clip of N frames: the camera pans, zooms and turns slowly, clutter and block drift."""
    share = np.arange(frames, dtype=np.float32)[:, None] / max(frames - 1, 1) - 0.5
    still = scene.take(np.zeros(frames, dtype=np.int64))
    turn = share * _uniform(rng, -1, 1, 1, 3) * np.array([14, 3, 3], dtype=np.float32)
    pan = share * _uniform(rng, -1, 1, 1, 4) * np.array([0.05, 0.06, 0.02, 0.0], dtype=np.float32)
    pan[:, 3] = share[:, 0] * rng.uniform(-0.25, 0.25)
    drift = share[:, :, None] * _uniform(rng, -0.5, 0.5, 1, CLUTTER, 2)
    clutter = still.clutter.copy()
    clutter[..., :4] += np.tile(drift, 2)
    block = still.block + np.tile(share * _uniform(rng, -0.4, 0.4, 1, 2), 2)
    grain = still.grain.copy()
    grain[:, 1] = rng.integers(0, 1 << 16, size=frames)
    flicker = 1 + 0.02 * np.sin(np.arange(frames) * rng.uniform(0.1, 0.5) + rng.uniform(0, 6))
    return replace(
        still,
        angles=still.angles + turn,
        frame=still.frame + pan,
        clutter=clutter,
        block=block.astype(np.float32),
        brightness=(still.brightness * flicker).astype(np.float32),
        grain=grain,
    )
