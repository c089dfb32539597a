"""The figure and its objects as colored capsules in the picture plane, ready to be painted back to front."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32

from kgclip.kg.movement import PARTS
from kgclip.pose.skeleton import JOINTS
from kgclip.synthetic.actions import options
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.objects import COLORS, MOST_CAPSULES, SHARED, place
from kgclip.synthetic.scene import CLUTTER, SURFACES, Scenes
from kgclip.synthetic.skeleton import BODY, Skeleton, pose

_BODY_CAPSULES: tuple[tuple[str, str, float, str, str | None], ...] = (
    # from joint, to joint, radius in body heights (head: in head radii), surface, body part
    ("head", "head", -1.0, "hair", "head"),
    ("face", "face", -0.8, "skin", "head"),
    ("nose", "nose", -0.3, "nose", "head"),
    ("neck", "head", 0.034, "skin", None),
    ("left shoulder", "right shoulder", 0.052, "shirt", None),
    ("pelvis", "neck", 0.082, "shirt", None),
    ("left hip", "right hip", 0.07, "pelvis", "hip"),
    *(
        capsule
        for side in ("left", "right")
        for capsule in (
            (f"{side} shoulder", f"{side} elbow", 0.044, f"{side} sleeve", f"{side} arm"),
            (f"{side} elbow", f"{side} wrist", 0.04, f"{side} forearm", f"{side} arm"),
            (f"{side} wrist", f"{side} fingers", 0.042, f"{side} glove", f"{side} hand"),
            (f"{side} hip", f"{side} knee", 0.056, f"{side} trousers", f"{side} leg"),
            (f"{side} knee", f"{side} ankle", 0.046, f"{side} shin", f"{side} leg"),
            (f"{side} ankle", f"{side} toe", 0.042, f"{side} shoe", f"{side} foot"),
        )
    ),
)
BODY_PARTS: tuple[str | None, ...] = tuple(part for *_, part in _BODY_CAPSULES)
"""The body part of each of the first capsules of a figure; None for neck and trunk, which are no part."""

SLOTS = ("left hand", "right hand", "left foot", "right foot", "hip")
"""The parts that can have an object; capsules are kept for each, after those of the body."""

_FAR = 9.0  # depth of the clutter, behind all


@dataclass(frozen=True, eq=False)
class Figure:
    """N pictures' capsules; image coordinates in picture heights, u from the middle, v from the top.

    Attributes:
        start, end: the capsules' ends, (u, v).
        radius: < 0 where there is nothing to draw.
        depth: towards the viewer; larger is painted later.
        color: RGB 0..255.
        joints: (u, v, depth) of the joints of ``pose.skeleton.JOINTS``.
    """

    start: Float32[np.ndarray, "N P 2"]
    end: Float32[np.ndarray, "N P 2"]
    radius: Float32[np.ndarray, "N P"]
    depth: Float32[np.ndarray, "N P"]
    color: Float32[np.ndarray, "N P 3"]
    joints: Float32[np.ndarray, "N 17 3"]

    def take(self, rows: slice) -> "Figure":
        """Give the capsules of some pictures."""
        return Figure(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def capsules_at(joint: str) -> list[int]:
    """Give the capsules of the body in which a joint of ``pose.skeleton.JOINTS`` lies."""
    kind = joint.split(" ")[-1]
    if kind in ("nose", "eye", "ear"):
        return [column for column, part in enumerate(BODY_PARTS) if part == "head"]
    trunk = ("shirt", "pelvis") if kind in ("shoulder", "hip") else ()
    return [column for column, (*ends, _, surface, _) in enumerate(_BODY_CAPSULES) if joint in ends or surface in trunk]


def slot_columns(part: str) -> list[int]:
    """Give the capsules of a figure that draw the object at a part."""
    first = len(BODY_PARTS) + MOST_CAPSULES * SLOTS.index(part)
    return list(range(first, first + MOST_CAPSULES))


class _Canvas:
    """World capsules under construction."""

    def __init__(self, count: int) -> None:
        total = len(BODY_PARTS) + MOST_CAPSULES * len(SLOTS)
        self.start = np.zeros((count, total, 3), dtype=np.float32)
        self.end = np.zeros((count, total, 3), dtype=np.float32)
        self.radius = np.full((count, total), -1, dtype=np.float32)
        self.color = np.zeros((count, total, 3), dtype=np.float32)

    def body(self, skeleton: Skeleton, scenes: Scenes) -> None:
        girth, head = (scenes.body[:, list(BODY).index(name)] for name in ("girth", "head"))
        for column, (first, second, radius, surface, part) in enumerate(_BODY_CAPSULES):
            self.start[:, column] = skeleton.joints[first]
            self.end[:, column] = skeleton.joints[second]
            self.radius[:, column] = -radius * head if radius < 0 else radius * girth
            if part in skeleton.hands:
                self.radius[:, column] *= skeleton.hands[part]["size"]
            self.color[:, column] = scenes.colors[:, SURFACES.index(surface)]

    def objects(self, skeleton: Skeleton, motions: Motions, scenes: Scenes) -> None:
        tint = scenes.colors[:, SURFACES.index("gear")]
        for part in SLOTS:
            here, there = ("right", "left") if part.startswith("right ") else ("left", "right")
            names = np.array([thing or "" for _, thing in options(part)])
            mine, others = (names[motions.codes[:, PARTS.index(p)]] for p in (part, part.replace(here, there)))
            for thing in set(mine.tolist()) - {""}:
                drawn, both = mine == thing, others == thing
                if thing in SHARED and here == "right":
                    drawn &= ~both  # the left limb's slot draws it
                rows, color = np.flatnonzero(drawn), np.array(COLORS[thing], dtype=np.float32)
                capsules = place(skeleton.take(rows), thing, here, both[rows])
                for column, (start, end, radius) in zip(slot_columns(part), capsules, strict=False):
                    self.start[rows, column], self.end[rows, column] = start, end
                    self.radius[rows, column], self.color[rows, column] = radius, color + tint[rows]


def _project(points: np.ndarray, scenes: Scenes) -> tuple[np.ndarray, np.ndarray]:
    """Look at world points [N, P, 3]: image coordinates [N, P, 2] and depth [N, P], orthographically."""
    yaw, elevation, roll = np.deg2rad(scenes.angles).T[:, :, None]
    scale, center, ground, _ = scenes.frame.T[:, :, None]
    x, y, z = np.moveaxis(points, -1, 0)
    u, toward = x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) + y * np.cos(yaw)
    v, depth = toward * np.sin(elevation) - z * np.cos(elevation), toward * np.cos(elevation) + z * np.sin(elevation)
    turned_u, turned_v = u * np.cos(roll) - v * np.sin(roll), u * np.sin(roll) + v * np.cos(roll)
    return np.stack([center + scale * turned_u, ground + scale * turned_v], axis=-1), depth


def draw(motions: Motions, scenes: Scenes) -> Figure:
    """Pose N figures, hand them their objects and look at them through the camera; clutter comes last."""
    skeleton = pose(motions, scenes.body)
    canvas = _Canvas(len(scenes))
    canvas.body(skeleton, scenes)
    canvas.objects(skeleton, motions, scenes)
    start, depth_start = _project(canvas.start, scenes)
    end, depth_end = _project(canvas.end, scenes)
    joints, depth_joints = _project(np.stack([skeleton.joints[name] for name in JOINTS], axis=1), scenes)
    depth = (depth_start + depth_end) / 2
    shade = 0.74 + 0.32 * np.clip((depth + 0.16) / 0.32, 0, 1)  # far limbs are darker
    clutter = scenes.clutter
    far = np.broadcast_to(-_FAR + np.arange(CLUTTER, dtype=np.float32) / 10, clutter.shape[:2])
    return Figure(
        start=np.concatenate([start, clutter[..., 0:2]], axis=1),
        end=np.concatenate([end, clutter[..., 2:4]], axis=1),
        radius=np.concatenate([canvas.radius * scenes.frame[:, :1], clutter[..., 4]], axis=1),
        depth=np.concatenate([depth, far], axis=1).astype(np.float32),
        color=np.concatenate([canvas.color * shade[..., None], clutter[..., 5:]], axis=1).astype(np.float32),
        joints=np.concatenate([joints, depth_joints[..., None]], axis=2).astype(np.float32),
    )
