"""The keypoints of synthetic clips, read off the true geometry as an estimator of poses would give them."""

import numpy as np
from jaxtyping import Bool, Float32

from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import EARS, EYES, JOINTS, NOSE, NUM_JOINTS
from kgclip.synthetic.clip import SyntheticClip
from kgclip.synthetic.figure import BODY_PARTS, Figure, capsules_at
from kgclip.synthetic.render import Rendering

# Scores as estimators give them: they guess a joint behind the person's own body well, and one behind a wall badly.
SEEN, BEHIND_BODY, BEHIND_BLOCK, OUTSIDE = 0.9, 0.4, 0.15, 0.05
TOLERANCE = 0.05
"""An error of this share of the picture's height lowers a score by the factor exp(-1/2)."""
PIXEL_STEPS = 64
"""Positions are multiples of 1/64 pixel, which makes the file less than half as large."""

_FACE = (NOSE, *EYES, *EARS)
_HEAD = BODY_PARTS.index("head")
_TURNED_AWAY = 0.02  # body heights that a joint of the face lies behind the middle of the head
_OWN = np.array([[capsule in capsules_at(joint) for capsule in range(len(BODY_PARTS))] for joint in JOINTS])


def observe(clip: SyntheticClip, rng: np.random.Generator, noise: float) -> ClipPose:
    """What a pose estimator would say of the clip's figure, in every frame.

    Args:
        clip: drawn.
        rng: of the errors.
        noise: their standard deviation, as a share of the picture's height; 0 gives the true positions.

    Returns:
        One person with all joints; the larger a joint's error, the lower its score.
    """
    rendering = clip.rendering
    frames, height, width, _ = rendering.frames.shape
    scores = joint_scores(rendering)
    errors = noise * rng.standard_normal((*scores.shape, 2))
    scores *= np.exp(-(errors**2).sum(axis=-1) / (2 * TOLERANCE**2))
    # Pixels are named by their middles.
    positions = (rendering.figure.joints[..., :2] + errors) * height + (width / 2 - 0.5, -0.5)
    positions = np.rint(positions * PIXEL_STEPS) / PIXEL_STEPS
    keypoints = np.concatenate([positions, scores[..., None]], axis=2).astype(np.float32)
    index = np.arange(frames, dtype=np.int32)
    return ClipPose(index, index / clip.fps, width, height, (Track(index.astype(np.int64), keypoints),))


def joint_scores(rendering: Rendering) -> Float32[np.ndarray, "T 17"]:
    """How sure an estimator would be of each joint: by what is seen in its place."""
    _, height, width, _ = rendering.frames.shape
    u, v = np.moveaxis(rendering.figure.joints[..., :2], -1, 0)
    outside = (np.abs(u) > width / height / 2) | (v < 0) | (v > 1)
    shape, block = rendering.seen_at, rendering.visible.shape[1] - 1
    body = (shape >= 0) & (shape < len(BODY_PARTS))
    seen = body & _OWN[np.arange(NUM_JOINTS), np.where(body, shape, 0)] & ~_turned_away(rendering.figure)
    scores = np.select([outside, shape == block, seen], [OUTSIDE, BEHIND_BLOCK, SEEN], BEHIND_BODY)
    return scores.astype(np.float32)


def _turned_away(figure: Figure) -> Bool[np.ndarray, "T 17"]:
    """Which joints of the face lie on the far side of the head."""
    away = figure.depth[:, [_HEAD]] - figure.joints[..., 2] > _TURNED_AWAY
    away[:, [joint for joint in range(NUM_JOINTS) if joint not in _FACE]] = False
    return away
