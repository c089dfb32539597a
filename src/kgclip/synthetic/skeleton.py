"""From joint angles to joint positions: forward kinematics of N figures at once.

World axes: x to the figure's left, y forward, z up, in body heights; the ground is z = 0.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32

from kgclip.synthetic.motion import Motions, joint_values

BODY = {
    "trunk": 0.275, "upper arm": 0.17, "forearm": 0.15, "hand": 0.082, "thigh": 0.235, "shin": 0.225, "foot": 0.145,
    "head": 0.096, "shoulders": 0.115, "hips": 0.062, "girth": 1.0,
}  # fmt: skip
"""Lengths of the average figure in body heights (head: radius; shoulders, hips: half widths); girth scales radii."""

Points = Float32[np.ndarray, "N 3"]
Rotations = Float32[np.ndarray, "N 3 3"]
_SIDES = {"left": 1.0, "right": -1.0}
_CLAP = {"raise": 50.0, "out": -6.0, "twist": 30.0, "elbow": 82.0}  # the arms of hands that meet before the chest
_CLAP_OPENING = 50.0  # degrees that the arms part between claps
_BAR_HEIGHT = 1.2  # of what the hands hang on


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joint positions of N figures, and what objects are hung on.

    Attributes:
        joints: name -> position; limbs as ``left elbow``, ``right toe``.
        trunk: rotation of the trunk without its bend at the waist, in which the arms move.
        palms: ``left``/``right`` -> rotation of the hand, whose own axis points along -z.
        hands: ``left hand``/``right hand`` -> joint -> values.
    """

    joints: dict[str, Points]
    trunk: Rotations
    palms: dict[str, Rotations]
    hands: dict[str, dict[str, Float32[np.ndarray, " N"]]]

    def take(self, rows: np.ndarray) -> "Skeleton":
        """Give the figures of some rows."""
        return Skeleton(
            {name: point[rows] for name, point in self.joints.items()},
            self.trunk[rows],
            {side: palm[rows] for side, palm in self.palms.items()},
            {hand: {joint: value[rows] for joint, value in joints.items()} for hand, joints in self.hands.items()},
        )


def _rotation(degrees: np.ndarray, first: int, second: int) -> np.ndarray:
    """Turn axis ``first`` towards axis ``second``."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.zeros((len(angle), 3, 3), dtype=np.float32)
    matrix[:, 3 - first - second, 3 - first - second] = 1
    matrix[:, first, first] = matrix[:, second, second] = cos
    matrix[:, second, first], matrix[:, first, second] = sin, -sin
    return matrix


_pitch = partial(_rotation, first=2, second=1)  # what is up goes forward: a bow
_raise = partial(_rotation, first=1, second=2)  # what hangs goes forward: a raised arm
_roll = partial(_rotation, first=2, second=0)  # what is up goes to the figure's left
_yaw = partial(_rotation, first=1, second=0)  # what is forward goes to the figure's left


def _along(rotation: np.ndarray, vector: tuple[float | int, ...], length: np.ndarray | float = 1.0) -> np.ndarray:
    direction = rotation @ np.array(vector, dtype=np.float32)
    return direction * (length[:, None] if isinstance(length, np.ndarray) else np.float32(length))


def _arm(joints: dict, side: str, body: dict, trunk: np.ndarray, values: dict) -> np.ndarray:
    sign = _SIDES[side]
    arm, hand = values[f"{side} arm"], values[f"{side} hand"]
    clap = {**_CLAP, "out": _CLAP["out"] + _CLAP_OPENING * hand["apart"]}
    arm = {joint: value + hand["meet"] * (clap[joint] - value) for joint, value in arm.items()}
    upper = trunk @ _yaw(sign * arm["out"]) @ _raise(arm["raise"]) @ _yaw(-sign * arm["twist"])
    fore = upper @ _raise(arm["elbow"])
    palm = fore @ _roll(-sign * hand["aside"]) @ _raise(hand["flex"])
    joints[f"{side} elbow"] = joints[f"{side} shoulder"] + _along(upper, (0, 0, -1), body["upper arm"])
    joints[f"{side} wrist"] = joints[f"{side} elbow"] + _along(fore, (0, 0, -1), body["forearm"])
    joints[f"{side} fingers"] = joints[f"{side} wrist"] + _along(palm, (0, 0, -1), body["hand"] * hand["size"])
    return palm


def _leg(joints: dict, side: str, body: dict, pelvis: np.ndarray, values: dict) -> None:
    sign = _SIDES[side]
    leg, foot = values[f"{side} leg"], values[f"{side} foot"]
    # A seat bends the legs at hip and knee, as far as their own state does not do so already.
    seat = 80 * values["hip"]["seat"] * (1 - np.clip(leg["forward"] / 80, 0, 1))
    forward, knee = leg["forward"] + seat, leg["knee"] + seat
    thigh = pelvis @ _roll(-sign * leg["out"]) @ _raise(forward)
    shin = thigh @ _raise(-knee)
    # The ankle keeps the sole level as far as it can.
    sole = shin @ _raise(np.clip(knee - forward, -45, 45)) @ _yaw(sign * foot["out"]) @ _raise(-foot["point"])
    joints[f"{side} knee"] = joints[f"{side} hip"] + _along(thigh, (0, 0, -1), body["thigh"])
    joints[f"{side} ankle"] = joints[f"{side} knee"] + _along(shin, (0, 0, -1), body["shin"])
    joints[f"{side} toe"] = joints[f"{side} ankle"] + _along(sole, (0, 1, 0), body["foot"])


def _ground(joints: dict, hip: dict) -> np.ndarray:
    """Find how far each figure must rise to stand on the ground with its lowest joint, or hang by its hands."""
    lowest = np.min([point[:, 2] for point in joints.values()], axis=0) - 0.04  # the radius of a sole
    standing = hip["rise"] - lowest
    hands = (joints["left wrist"][:, 2] + joints["right wrist"][:, 2]) / 2
    hanging = np.maximum(np.clip(_BAR_HEIGHT - hands, 0.56, 0.92), standing + 0.06)
    return standing + hip["hang"] * (hanging - standing)


def pose(motions: Motions, body: Float32[np.ndarray, "N 11"]) -> Skeleton:
    """Place the joints of N figures, whose ``body`` is lengths in the order of ``BODY``."""
    values = joint_values(motions)
    size = dict(zip(BODY, body.T, strict=True))
    hip, head = values["hip"], values["head"]
    pelvis = _yaw(hip["body_yaw"]) @ _roll(hip["body_roll"]) @ _pitch(hip["body_pitch"])
    trunk = pelvis @ _yaw(hip["spine_yaw"]) @ _roll(hip["spine_roll"])
    spine = trunk @ _pitch(hip["spine_pitch"])
    skull = trunk @ _pitch(0.5 * hip["spine_pitch"]) @ _yaw(head["yaw"]) @ _roll(head["roll"]) @ _pitch(head["pitch"])
    joints = {"pelvis": _along(pelvis, (1, 0, 0), hip["side"])}
    joints["neck"] = joints["pelvis"] + _along(spine, (0, 0, 1), size["trunk"])
    joints["head"] = joints["neck"] + _along(skull, (0, 0, 1), size["head"] * 1.35)
    joints["face"] = joints["head"] + _along(skull, (0, 0.42, -0.08), size["head"])
    joints["nose"] = joints["head"] + _along(skull, (0, 1.06, -0.1), size["head"])
    palms = {}
    for side, sign in _SIDES.items():
        joints[f"{side} shoulder"] = joints["neck"] + _along(spine, (sign, 0, -0.15), size["shoulders"])
        joints[f"{side} hip"] = joints["pelvis"] + _along(pelvis, (sign, 0, 0), size["hips"])
        palms[side] = _arm(joints, side, size, trunk, values)
        _leg(joints, side, size, pelvis, values)
    rise = _ground(joints, hip)
    for side, sign in _SIDES.items():
        joints[f"{side} eye"] = joints["head"] + _along(skull, (0.35 * sign, 0.9, 0.2), size["head"])
        joints[f"{side} ear"] = joints["head"] + _along(skull, (0.95 * sign, 0, 0), size["head"])
    for point in joints.values():
        point[:, 2] += rise
    return Skeleton(joints, trunk, palms, {hand: values[hand] for hand in ("left hand", "right hand")})
