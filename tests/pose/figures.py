"""A constructed skeleton: standing, seen from the front, with a torso of 100 pixels; its left is at larger x."""

import numpy as np
from jaxtyping import Float32

from kgclip.pose.body import Body, measure
from kgclip.pose.motion import smooth
from kgclip.pose.skeleton import JOINTS

TORSO = 100.0
STANDING = {
    "nose": (200, 60),
    "left eye": (205, 55),
    "right eye": (195, 55),
    "left ear": (212, 58),
    "right ear": (188, 58),
    "left shoulder": (225, 100),
    "right shoulder": (175, 100),
    "left elbow": (230, 155),
    "right elbow": (170, 155),
    "left wrist": (232, 205),
    "right wrist": (168, 205),
    "left hip": (215, 200),
    "right hip": (185, 200),
    "left knee": (216, 290),
    "right knee": (184, 290),
    "left ankle": (216, 380),
    "right ankle": (184, 380),
}


def figure(steps: int = 31, **moved: object) -> Float32[np.ndarray, "T 17 3"]:
    """The figure over time, all scores 0.9; joints are moved by name to (x, y), or to such a place for each step."""
    keypoints = np.zeros((steps, len(JOINTS), 3), np.float32)
    for index, joint in enumerate(JOINTS):
        keypoints[:, index, :2] = moved.pop(joint.replace(" ", "_"), STANDING[joint])
    assert not moved
    keypoints[:, :, 2] = 0.9
    return keypoints


def line(start: tuple[float, float], velocity: tuple[float, float], steps: int = 31) -> np.ndarray:
    """Places along a line; the velocity is in torso lengths a second."""
    return np.array(start) + np.arange(steps)[:, None] * np.array(velocity) * TORSO / 30


def body(keypoints: np.ndarray) -> Body:
    return measure(smooth(keypoints.astype(np.float64)))
