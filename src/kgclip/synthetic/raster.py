"""Which capsule is seen at each pixel: all pictures, capsules and columns at once."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float32, UInt8

from kgclip.synthetic.figure import Figure


def _column_spans(figure: Figure, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows [first, last) that each capsule covers in each pixel column: int32 [N, P, W].

    A capsule is the union of discs of radius r around a + t(b - a), t in [0, 1]. In column x the topmost point is
    min_t  a_v + t d_v - sqrt(r^2 - (x - a_u - t d_u)^2), a convex function of t whose free minimum lies where
    x - a_u - t d_u = r d_v sign(d_u) / |d|; clipping t to [0, 1] gives the constrained one.
    """
    height, width = size
    a, b, r = figure.start * height, figure.end * height, figure.radius * height
    au, av = a[..., :1] + width / 2, a[..., 1:]
    du, dv = b[..., :1] - a[..., :1], b[..., 1:] - a[..., 1:]
    du = np.where(np.abs(du) < 1e-3, np.float32(1e-3), du)
    r = r[..., None]
    best = r * dv * np.sign(du) / np.sqrt(du * du + dv * dv)
    offset = np.arange(width, dtype=np.float32) + np.float32(0.5) - au
    slope = 1 / du
    rr = np.where(r > 0, r * r, -1)
    edges = []
    for sign in (-1, 1):
        t = np.clip((offset + sign * best) * slope, 0, 1)
        side = offset - t * du
        inside = rr - side * side
        edges.append(av + t * dv + sign * np.sqrt(np.maximum(inside, 0)))
    first = np.clip(np.ceil(edges[0] - 0.5), 0, height).astype(np.int32)
    last = np.clip(np.ceil(edges[1] - 0.5), 0, height).astype(np.int32)
    return first, np.where(inside >= 0, np.maximum(first, last), first)


def paint(
    figure: Figure, block: Float32[np.ndarray, "N 4"], size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "N H W"], UInt8[np.ndarray, "N Q"]]:
    """Paint capsules back to front, then the block.

    Every shape is one bit (at most 52 of them, so that float64 sums stay exact), the higher the nearer. Down a column
    the running sum of the bits that begin and end at each row says which shapes cover a pixel; its highest bit is seen.

    Returns:
        What is seen, as 1 + rank in painter's order (0: background), and the shape of each rank, the block being the
        last shape.
    """
    first, last = _column_spans(figure, size)
    count, shapes, _ = first.shape
    rank = np.argsort(np.argsort(figure.depth, axis=1, kind="stable"), axis=1)
    order = np.argsort(rank, axis=1)
    block_first, block_last = _block_spans(block, size)
    first = np.concatenate([first, block_first[:, None]], axis=1)
    last = np.concatenate([last, block_last[:, None]], axis=1)
    bits = np.concatenate([2.0**rank, np.full((count, 1), 2.0**shapes)], axis=1)
    seen = _highest(first, last, bits, size[0])
    top = np.full((count, 1), shapes)
    return seen, np.concatenate([order, top], axis=1).astype(np.uint8)


def _block_spans(block: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    height, width = size
    left, top, right, bottom = (block * height).T[:, :, None]
    middle = np.arange(width) + 0.5 - width / 2
    covered = (middle >= left) & (middle < right)
    first = np.broadcast_to(np.clip(np.round(top), 0, height).astype(np.int32), covered.shape)
    last = np.broadcast_to(np.clip(np.round(bottom), 0, height).astype(np.int32), covered.shape)
    return first, np.where(covered, last, first)


def _highest(first: np.ndarray, last: np.ndarray, bits: np.ndarray, height: int) -> np.ndarray:
    count, _, width = first.shape
    picture, shape, column = np.nonzero(last > first)
    weight = bits[picture, shape]
    cell = picture * width + column
    plane = count * width
    where = np.concatenate([first[picture, shape, column] * plane + cell, last[picture, shape, column] * plane + cell])
    changes = np.bincount(where, np.concatenate([weight, -weight]), minlength=(height + 1) * plane)
    cover = changes.reshape(height + 1, plane)[:height]
    for above, row in pairwise(cover):  # many times as fast as np.cumsum along this axis
        row += above
    # The exponent of a float64 is the place of its highest bit; 0.0 has the exponent field 0.
    place = (cover.view(np.int64) >> 52) - 1022
    seen = np.maximum(place, 0, out=place).astype(np.uint8)
    return np.ascontiguousarray(seen.reshape(height, count, width).transpose(1, 0, 2))
