"""What figures hold, hit, sit and stand on: each object as at most three capsules."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32

from kgclip.synthetic.skeleton import Skeleton

MOST_CAPSULES = 3
Capsule = tuple[np.ndarray, np.ndarray, float]  # both ends [N, 3] and the radius, in body heights
Place = Callable[[Skeleton, str, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Where an object is and the way it points, given the side that has it and where both sides do."""

_UP = np.array([0, 0, 1], dtype=np.float32)
_ROPE_LENGTH = 0.72  # how far the middle of the rope is from the hands


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-6)


def _axis(skeleton: Skeleton, column: int) -> np.ndarray:
    """Give the trunk's left (0) or forward (1) axis, level with the ground."""
    axis = skeleton.trunk[:, :, column].copy()
    axis[:, 2] = 0
    return _unit(axis)


def _in_one_hand(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return skeleton.joints[f"{side} fingers"], _axis(skeleton, 0)


def _through_the_hands(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go through both hands where both hold the object, else across one hand."""
    left, right = (skeleton.joints[f"{s} fingers"] for s in ("left", "right"))
    apart = left - right
    across = both[:, None] & (np.linalg.norm(apart, axis=-1, keepdims=True) > 0.12)
    middle = np.where(both[:, None], (left + right) / 2, skeleton.joints[f"{side} fingers"])
    return middle, np.where(across, _unit(apart), _axis(skeleton, 0))


def _out_of_the_hand(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Point as the hand does, turned by its spin."""
    spin = np.deg2rad(skeleton.hands[f"{side} hand"]["spin"])
    local = np.stack([np.sin(spin), 0.6 * np.cos(spin), -0.8 * np.cos(spin)], axis=-1)
    way = np.einsum("nij,nj->ni", skeleton.palms[side], local)
    return skeleton.joints[f"{side} fingers"], way.astype(np.float32)


def _thrown(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fly = skeleton.hands[f"{side} hand"]["fly"][:, None]
    return skeleton.joints[f"{side} fingers"] + fly * (0.42 * _UP + 0.08 * _axis(skeleton, 1)), _axis(skeleton, 0)


def _before_the_figure(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    forward, hit = _axis(skeleton, 1), skeleton.hands[f"{side} hand"]["size"][:, None] - 1.2
    return skeleton.joints["pelvis"] + (0.46 + 0.12 * hit) * forward, forward


def _under_the_seat(skeleton: Skeleton, side: str, both: np.ndarray, depth: float) -> tuple[np.ndarray, np.ndarray]:
    return skeleton.joints["pelvis"] - depth * _UP, _axis(skeleton, 1)


def _under_the_feet(skeleton: Skeleton, side: str, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    soles = {s: (skeleton.joints[f"{s} ankle"] + skeleton.joints[f"{s} toe"]) / 2 for s in ("left", "right")}
    apart = soles["left"] - soles["right"]
    along = np.where(both[:, None] & (np.abs(apart[:, :1]) > 0.1), _unit(apart), _axis(skeleton, 1))
    return np.where(both[:, None], (soles["left"] + soles["right"]) / 2, soles[side]) - 0.055 * _UP, along


SHARED = frozenset({"barbell", "bar", "rope", "punching bag", "skateboard"})
"""Objects of which there is one, where the left and the right limb both have it."""

_SHAPES: dict[str, tuple[Place, list[tuple[float, float, float, float, float]]]] = {
    # where it is; of each capsule: how far along the way and up its start and its end are, and its radius
    "bar": (_through_the_hands, [(-0.6, 0, 0.6, 0, 0.022)]),
    "dumbbell": (_in_one_hand, [(-0.075, 0, 0.075, 0, 0.02), *((end, 0, end, 0, 0.048) for end in (-0.075, 0.075))]),
    "baseball bat": (_out_of_the_hand, [(0, 0, 0.2, 0, 0.022), (0.2, 0, 0.44, 0, 0.038)]),
    "paddle": (_out_of_the_hand, [(0, 0, 0.28, 0, 0.02), (0.32, 0, 0.38, 0, 0.07)]),
    "hammer": (_out_of_the_hand, [(0, 0, 0.38, 0, 0.014), (0.42, 0, 0.42, 0, 0.07)]),
    "ball": (_thrown, [(0, 0, 0, 0, 0.062)]),
    "discus": (_thrown, [(-0.06, 0, 0.06, 0, 0.035)]),
    "punching bag": (_before_the_figure, [(0, 0, 0, 0.34, 0.1), (0, 0.34, 0, 0.8, 0.012)]),
    "snowboard": (partial(_under_the_seat, depth=0.1), [(-0.16, 0, 0.5, 0, 0.03), (0.5, 0, 0.6, 0.08, 0.03)]),
    "bull": (partial(_under_the_seat, depth=0.17), [(-0.24, 0, 0.26, 0, 0.12), (0.42, 0.06, 0.42, 0.06, 0.09)]),
    "skateboard": (
        _under_the_feet, [(-0.24, 0, 0.24, 0, 0.022), *((at, -0.03, at, -0.03, 0.026) for at in (-0.15, 0.15))]
    ),
}  # fmt: skip

COLORS: dict[str, tuple[float, float, float]] = {
    "bar": (70, 70, 78), "barbell": (40, 40, 46), "dumbbell": (40, 40, 46), "baseball bat": (176, 124, 66),
    "paddle": (190, 150, 96), "hammer": (52, 50, 50), "ball": (226, 92, 40), "discus": (214, 190, 60),
    "rope": (226, 206, 140), "punching bag": (150, 40, 36), "snowboard": (60, 120, 190), "bull": (110, 74, 48),
    "skateboard": (70, 150, 120),
}  # fmt: skip
"""Object -> its usual color, RGB in 0..255."""


def _barbell(skeleton: Skeleton, side: str, both: np.ndarray) -> list[Capsule]:
    middle, along = _through_the_hands(skeleton, side, both)
    ends = middle - 0.38 * along, middle + 0.38 * along
    return [(*ends, 0.018), *((end - 0.01 * along, end + 0.01 * along, 0.085) for end in ends)]


def _rope(skeleton: Skeleton, side: str) -> list[Capsule]:
    left, right = (skeleton.joints[f"{s} fingers"] for s in ("left", "right"))
    angle = np.deg2rad(skeleton.hands[f"{side} hand"]["spin"])[:, None]
    way = _ROPE_LENGTH * (np.sin(angle) * _axis(skeleton, 1) - np.cos(angle) * _UP)
    shares = np.linspace(0, 1, MOST_CAPSULES + 1, dtype=np.float32)
    points = [left + share * (right - left) + np.float32(np.sin(np.pi * share)) * way for share in shares]
    return [(*ends, 0.016) for ends in pairwise(points)]


def place(
    skeleton: Skeleton, name: str, side: str, both: Bool[np.ndarray, " N"]
) -> list[tuple[Float32[np.ndarray, "N 3"], Float32[np.ndarray, "N 3"], float]]:
    """Give an object's capsules at N skeletons.

    Args:
        skeleton: of N figures that have the object.
        name: the object, a key of ``COLORS``.
        side: ``left`` or ``right``: the limb that has it (any, for the hip).
        both: which have it in the other limb as well.
    """
    if name == "rope":
        return _rope(skeleton, side)
    if name == "barbell":
        return _barbell(skeleton, side, both)
    where, capsules = _SHAPES[name]
    middle, along = where(skeleton, side, both)
    return [
        (middle + a * along + low * _UP, middle + b * along + high * _UP, radius)
        for a, low, b, high, radius in capsules
    ]
