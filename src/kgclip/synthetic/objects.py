"""What figures hold, hit, sit and stand on: each object as at most three capsules."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float32

from kgclip.synthetic.skeleton import Skeleton

Capsule = tuple[np.ndarray, np.ndarray, float]  # both ends [N, 3] and the radius, in body heights
_UP = np.array([0, 0, 1], dtype=np.float32)
_ROPE_LENGTH = 0.72  # how far the middle of the rope is from the hands
_ROPE_PIECES = 3


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-6)


def _axis(skeleton: Skeleton, column: int) -> np.ndarray:
    """Give the trunk's left (0) or forward (1) axis, level with the ground."""
    axis = skeleton.trunk[:, :, column].copy()
    axis[:, 2] = 0
    return _unit(axis)


def _grips(skeleton: Skeleton, both: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the middle and the direction of a bar: through both hands where both hold it, else across one hand."""
    left, right = (skeleton.joints[f"{s} fingers"] for s in ("left", "right"))
    apart = left - right
    across = both[:, None] & (np.linalg.norm(apart, axis=-1, keepdims=True) > 0.12)
    middle = np.where(both[:, None], (left + right) / 2, skeleton.joints[f"{side} fingers"])
    return middle, np.where(across, _unit(apart), _axis(skeleton, 0))


def _bar(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    middle, along = _grips(skeleton, both, side)
    return [(middle - 0.6 * along, middle + 0.6 * along, 0.022)]


def _barbell(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    middle, along = _grips(skeleton, both, side)
    ends = middle - 0.38 * along, middle + 0.38 * along
    return [(*ends, 0.018), *((end - 0.01 * along, end + 0.01 * along, 0.085) for end in ends)]


def _dumbbell(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    hand, along = skeleton.joints[f"{side} fingers"], _axis(skeleton, 0)
    ends = hand - 0.075 * along, hand + 0.075 * along
    return [(*ends, 0.02), *((end, end, 0.048) for end in ends)]


def _pointing(skeleton: Skeleton, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Give where a stick is gripped and the way it points, turned by the hand's spin."""
    spin = np.deg2rad(skeleton.value(f"{side} hand", "spin"))
    local = np.stack([np.sin(spin), 0.6 * np.cos(spin), -0.8 * np.cos(spin)], axis=-1)
    way = np.einsum("nij,nj->ni", skeleton.hands[side], local)
    return skeleton.joints[f"{side} fingers"], way.astype(np.float32)


def _bat(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    grip, way = _pointing(skeleton, side)
    return [(grip, grip + 0.2 * way, 0.022), (grip + 0.2 * way, grip + 0.44 * way, 0.038)]


def _paddle(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    grip, way = _pointing(skeleton, side)
    return [(grip, grip + 0.28 * way, 0.02), (grip + 0.32 * way, grip + 0.38 * way, 0.07)]


def _hammer(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    grip, way = _pointing(skeleton, side)
    return [(grip, grip + 0.38 * way, 0.014), (grip + 0.42 * way, grip + 0.42 * way, 0.07)]


def _thrown(skeleton: Skeleton, side: str) -> np.ndarray:
    fly = skeleton.value(f"{side} hand", "fly")[:, None]
    return skeleton.joints[f"{side} fingers"] + fly * (0.42 * _UP + 0.08 * _axis(skeleton, 1))


def _ball(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    middle = _thrown(skeleton, side)
    return [(middle, middle, 0.062)]


def _discus(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    middle, along = _thrown(skeleton, side), _axis(skeleton, 0)
    return [(middle - 0.06 * along, middle + 0.06 * along, 0.035)]


def _rope(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    left, right = (skeleton.joints[f"{s} fingers"] for s in ("left", "right"))
    angle = np.deg2rad(skeleton.value(f"{side} hand", "spin"))[:, None]
    way = _ROPE_LENGTH * (np.sin(angle) * _axis(skeleton, 1) - np.cos(angle) * _UP)
    shares = np.linspace(0, 1, _ROPE_PIECES + 1, dtype=np.float32)
    points = [left + share * (right - left) + np.float32(np.sin(np.pi * share)) * way for share in shares]
    return [(points[i], points[i + 1], 0.016) for i in range(_ROPE_PIECES)]


def _punching_bag(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    hit = skeleton.value(f"{side} hand", "size")[:, None] - 1.2
    foot = skeleton.joints["pelvis"] + (0.46 + 0.12 * hit) * _axis(skeleton, 1)
    return [(foot, foot + 0.34 * _UP, 0.1), (foot + 0.34 * _UP, foot + 0.8 * _UP, 0.012)]


def _snowboard(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    under, forward = skeleton.joints["pelvis"] - 0.1 * _UP, _axis(skeleton, 1)
    return [
        (under - 0.16 * forward, under + 0.5 * forward, 0.03),
        (under + 0.5 * forward, under + 0.6 * forward + 0.08 * _UP, 0.03),
    ]


def _bull(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    under, forward = skeleton.joints["pelvis"] - 0.17 * _UP, _axis(skeleton, 1)
    head = under + 0.42 * forward + 0.06 * _UP
    return [(under - 0.24 * forward, under + 0.26 * forward, 0.12), (head, head, 0.09)]


def _skateboard(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    soles = {s: (skeleton.joints[f"{s} ankle"] + skeleton.joints[f"{s} toe"]) / 2 for s in ("left", "right")}
    apart = soles["left"] - soles["right"]
    along = np.where(both[:, None] & (np.abs(apart[:, :1]) > 0.1), _unit(apart), _axis(skeleton, 1))
    middle = np.where(both[:, None], (soles["left"] + soles["right"]) / 2, soles[side]) - 0.055 * _UP
    wheels = [middle + sign * 0.15 * along - 0.03 * _UP for sign in (-1, 1)]
    return [(middle - 0.24 * along, middle + 0.24 * along, 0.022), *((wheel, wheel, 0.026) for wheel in wheels)]


SHARED = frozenset({"barbell", "bar", "rope", "punching bag", "skateboard"})
"""Objects of which there is one, where the left and the right limb both have it."""

SHAPES: dict[str, Callable[[Skeleton, str, Bool[np.ndarray, " N"]], list[Capsule]]] = {
    "bar": _bar, "barbell": _barbell, "dumbbell": _dumbbell, "baseball bat": _bat, "paddle": _paddle, "hammer": _hammer,
    "ball": _ball, "discus": _discus, "rope": _rope, "punching bag": _punching_bag, "snowboard": _snowboard,
    "bull": _bull, "skateboard": _skateboard,
}  # fmt: skip
"""Object -> its capsules at N skeletons, given the side that has it and where both sides do."""

COLORS: dict[str, tuple[float, float, float]] = {
    "bar": (70, 70, 78), "barbell": (40, 40, 46), "dumbbell": (40, 40, 46), "baseball bat": (176, 124, 66),
    "paddle": (190, 150, 96), "hammer": (52, 50, 50), "ball": (226, 92, 40), "discus": (214, 190, 60),
    "rope": (226, 206, 140), "punching bag": (150, 40, 36), "snowboard": (60, 120, 190), "bull": (110, 74, 48),
    "skateboard": (70, 150, 120),
}  # fmt: skip
"""Object -> its usual color, RGB in 0..255."""


def _subset(skeleton: Skeleton, rows: np.ndarray) -> Skeleton:
    return Skeleton(
        {name: point[rows] for name, point in skeleton.joints.items()},
        skeleton.trunk[rows],
        {side: palm[rows] for side, palm in skeleton.hands.items()},
        {part: value[rows] for part, value in skeleton.values.items()},
    )


def place(
    skeleton: Skeleton, name: str, side: str, rows: np.ndarray, both: Bool[np.ndarray, " n"]
) -> list[tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"], float]]:
    """Give an object's capsules at some of the skeletons.

    Args:
        skeleton: of N figures.
        name: the object, a key of ``SHAPES``.
        side: ``left`` or ``right``: the limb that has it (any, for the hip).
        rows: indices of the n figures that have it there.
        both: of these, which have it in the other limb as well.
    """
    ends = SHAPES[name](_subset(skeleton, rows), side, both)
    return [(a.astype(np.float32), b.astype(np.float32), radius) for a, b, radius in ends]
