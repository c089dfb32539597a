"""The figure and its objects as colored capsules in the picture plane, ready to be painted back to front."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import kind_of, options
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.objects import COLORS, SHARED, place
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

SLOTS: dict[str, tuple[str, int]] = {
    "left hand": ("left", 3), "right hand": ("right", 3), "left foot": ("left", 3), "right foot": ("right", 3),
    "hip": ("left", 2),
}  # fmt: skip
"""Part that can have an object -> its side and how many capsules are kept for the object."""

_SURFACE = {name: index for index, name in enumerate(SURFACES)}
_FAR = 9.0  # depth of the clutter, behind all


@dataclass(frozen=True, eq=False)
class Figure:
    """N pictures' capsules; image coordinates in picture heights, u from the middle, v from the top.

    Attributes:
        start, end: the capsules' ends, (u, v).
        radius: < 0 where there is nothing to draw.
        depth: towards the viewer; larger is painted later.
        color: RGB 0..255.
    """

    start: Float32[np.ndarray, "N P 2"]
    end: Float32[np.ndarray, "N P 2"]
    radius: Float32[np.ndarray, "N P"]
    depth: Float32[np.ndarray, "N P"]
    color: Float32[np.ndarray, "N P 3"]

    def take(self, rows: slice) -> "Figure":
        """Give the capsules of some pictures."""
        return Figure(self.start[rows], self.end[rows], self.radius[rows], self.depth[rows], self.color[rows])


def slot_columns(part: str) -> slice:
    """Give the capsules of a figure that draw the object at a part."""
    first = len(_BODY_CAPSULES)
    for name, (_, count) in SLOTS.items():
        if name == part:
            return slice(first, first + count)
        first += count
    raise KeyError(part)


def object_codes(part: str) -> dict[str, list[int]]:
    """Give each object that a part can have, with the part's codes that have it."""
    found: dict[str, list[int]] = {}
    for code, (_, thing) in enumerate(options(kind_of(part))):
        if thing is not None:
            found.setdefault(thing, []).append(code)
    return found


class _Canvas:
    """World capsules under construction."""

    def __init__(self, count: int) -> None:
        total = len(_BODY_CAPSULES) + sum(capsules for _, capsules in SLOTS.values())
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
            if part in ("left hand", "right hand"):
                self.radius[:, column] *= skeleton.value(part, "size")
            self.color[:, column] = scenes.colors[:, _SURFACE[surface]]

    def objects(self, skeleton: Skeleton, motions: Motions, scenes: Scenes) -> None:
        for part, (side, _) in SLOTS.items():
            mine, other = motions.codes[:, PARTS.index(part)], np.zeros(len(scenes), dtype=np.int64)
            if part.startswith(("left ", "right ")):
                opposite = ("right " if side == "left" else "left ") + kind_of(part)
                other = motions.codes[:, PARTS.index(opposite)]
            for thing, codes in object_codes(part).items():
                both = np.isin(other, codes)
                drawn = np.isin(mine, codes)
                if thing in SHARED and side == "right":
                    drawn &= ~both  # the left limb's slot draws it
                rows = np.flatnonzero(drawn)
                if len(rows):
                    self._object(skeleton, scenes, part, thing, rows, both[rows])

    def _object(
        self, skeleton: Skeleton, scenes: Scenes, part: str, thing: str, rows: np.ndarray, both: np.ndarray
    ) -> None:
        first = slot_columns(part).start
        color = np.array(COLORS[thing], dtype=np.float32) + scenes.colors[rows, _SURFACE["gear"]]
        for column, (start, end, radius) in enumerate(place(skeleton, thing, SLOTS[part][0], rows, both), start=first):
            self.start[rows, column], self.end[rows, column] = start, end
            self.radius[rows, column], self.color[rows, column] = radius, color


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
    )
