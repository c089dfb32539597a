"""Textured backgrounds: tiles of gray that are drawn once, then cropped, panned and colored for each picture."""

from functools import cache

import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt32

TEXTURES = 40
TILE = (144, 256)
"""Rows and columns of a tile, which wrap around."""

BASE_HEIGHT = 96
"""Height in pixels of the picture that the tiles and the grain are made for; other sizes sample them."""

_GRAIN_LENGTH = 1 << 16
_GRAIN = (0, 3, 6, 10)  # peak to peak, gray levels


def _smooth(noise: np.ndarray, scale: float) -> np.ndarray:
    """Blur periodic noise with a Gaussian of ``scale`` pixels, in the frequency domain."""
    rows, columns = (np.fft.fftfreq(size)[:, None] for size in noise.shape)
    damping = np.exp(-2 * (np.pi * scale) ** 2 * (rows**2 + columns.T**2))
    return np.fft.ifft2(np.fft.fft2(noise) * damping).real


def _tile(rng: np.random.Generator, kind: int) -> np.ndarray:
    noise = _smooth(rng.standard_normal(TILE), rng.uniform(3, 14))
    noise = noise / np.abs(noise).max()
    y, x = np.mgrid[: TILE[0], : TILE[1]]
    across, down = rng.integers(2, 16), rng.integers(0, 8)  # whole waves, so that the columns wrap
    wave = np.sin(2 * np.pi * (across * x / TILE[1] + down * y / TILE[0]) + rng.uniform(0, 6))
    checks = np.sign(np.sin(2 * np.pi * across * x / TILE[1]) * np.sin(2 * np.pi * (down + 3) * y / TILE[0]))
    gradient = 2 * y / TILE[0] - 1
    return (noise, 0.7 * np.sign(wave) + 0.3 * noise, 0.7 * wave + 0.3 * noise, 0.6 * checks + 0.4 * noise,
            0.6 * gradient + 0.4 * noise)[kind % 5]  # fmt: skip


@cache
def _tiles() -> np.ndarray:
    """Draw the tiles: uint8 [TEXTURES, rows, columns]."""
    rng = np.random.default_rng(0)  # the tiles are part of the synthetic world, the same for every data set
    tiles = np.stack([_tile(rng, kind) for kind in range(TEXTURES)])
    return np.clip(127.5 + 127.5 * tiles, 0, 255).astype(np.uint8)


@cache
def _grain(pixels: int) -> np.ndarray:
    """Draw pixel noise of each strength: uint8 [strengths, start and pixels, 4], the fourth channel 0."""
    rng = np.random.default_rng(1)
    top = np.array(_GRAIN)[:, None, None] + 1
    noise = rng.integers(0, np.broadcast_to(top, (len(_GRAIN), _GRAIN_LENGTH + pixels, 4)))
    noise[..., 3] = 0
    return noise.astype(np.uint8)


def textures(
    texture: Int64[np.ndarray, "N 3"], pan: Float32[np.ndarray, " N"], size: tuple[int, int]
) -> UInt8[np.ndarray, "N H W"]:
    """Crop each picture's tile, ``texture`` being its index and the crop's row and column.

    The camera has moved to the right by ``pan`` picture heights.
    """
    height, width = size
    scale = BASE_HEIGHT / height
    shifts = np.round(pan * BASE_HEIGHT).astype(np.int64)
    rows = texture[:, 1, None] + (np.arange(height) * scale).astype(np.int64)
    middle = ((np.arange(width) + 0.5 - width / 2) * scale + TILE[1] / 2).astype(np.int64)
    columns = (texture[:, 2] + shifts)[:, None] + middle
    return _tiles()[texture[:, :1, None], rows[:, :, None] % TILE[0], columns[:, None, :] % TILE[1]]


def add_grain(pictures: UInt32[np.ndarray, "N H W"], grain: Int64[np.ndarray, "N 2"]) -> None:
    """Add pixel noise to pictures of packed RGB in place; their values must leave room for ``max(_GRAIN)``."""
    pixels = pictures[0].size if len(pictures) else 0
    noise = _grain(pixels).view(np.uint32)[..., 0]
    for picture, (strength, start) in zip(pictures, grain, strict=True):
        if strength:
            # No channel overflows, so adding the packed words adds the channels.
            picture += noise[strength, start : start + pixels].reshape(picture.shape)
