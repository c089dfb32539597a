"""One clip: what its figure does from frame to frame, and its pictures."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import actions, encode, kind_of, options, random_codes
from kgclip.synthetic.motion import POSTURES, Motions
from kgclip.synthetic.render import Rendering, render_with_truth
from kgclip.synthetic.scene import film, in_the_place_of, random_scenes

FRAME_RATES = (15, 24, 25, 30)

_CYCLES_PER_S = (0.5, 1.0)
_PAUSING = 0.3  # share of moving parts that rest for a while at the clip's start or end
_LONGEST_PAUSE = 0.4  # of the clip
_RAMP_FRAMES = 5  # from rest to full movement


@dataclass(frozen=True)
class ClipOptions:
    """What makes a clip hard or easy.

    Attributes:
        part_noise: probability that a part does something else than the clip's action has it do.
        frames: least and greatest number of frames.
        size: width and height in pixels, both even.
        occlusion: share of clips with a block that hides parts.
        camera_motion: how much camera, clutter and block move; 0 = all stand still, 1 = the usual.
    """

    part_noise: float = 0.2
    frames: tuple[int, int] = (41, 60)
    size: tuple[int, int] = (128, 96)
    occlusion: float = 0.3
    camera_motion: float = 1.0


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """A clip and the truth about it.

    Attributes:
        fps: frames per second.
        codes: what each part does, as in ``actions.options``, in the order of ``PARTS``.
        moving: where each part is in its state rather than at rest.
        rendering: the pictures, and where every shape is.
    """

    fps: int
    codes: Int64[np.ndarray, " 10"]
    moving: Bool[np.ndarray, "T 10"]
    rendering: Rendering


def _noisy_codes(rng: np.random.Generator, action: str, part_noise: float) -> tuple[np.ndarray, np.ndarray]:
    codes = encode([actions()[action]])[0]
    noisy = rng.random(len(PARTS)) < part_noise
    # Draw until every noisy part does something else than the action says.
    other = codes
    while np.any(other[noisy] == codes[noisy]) and noisy.any():
        other = np.where(noisy & (other == codes), random_codes(rng, 1, symmetry=0.0)[0], other)
    return np.where(noisy, other, codes), noisy


def _can_pause(part: str, code: int) -> bool:
    state, thing = options(kind_of(part))[code]
    return thing is None and state != "none" and state not in POSTURES


def _activity(rng: np.random.Generator, codes: np.ndarray, frames: int) -> np.ndarray:
    """Give how far each part is from rest to its state, in every frame [T, 10]."""
    time = np.arange(frames, dtype=np.float32)[:, None]
    pauses = np.array([_can_pause(part, code) for part, code in zip(PARTS, codes.tolist(), strict=True)])
    pauses &= rng.random(len(PARTS)) < _PAUSING
    length = rng.uniform(0.15, _LONGEST_PAUSE, len(PARTS)) * frames
    at_start = rng.random(len(PARTS)) < 0.5
    since = np.where(at_start, time - length, frames - length - time)
    return np.where(pauses, np.clip(since / _RAMP_FRAMES + 0.5, 0, 1), 1).astype(np.float32)


def _phases(rng: np.random.Generator, noisy: np.ndarray, frames: int, fps: int) -> np.ndarray:
    """Let all parts keep the same time, nearly; those that do something else have their own [T, 10]."""
    rate = rng.uniform(*_CYCLES_PER_S) * np.where(noisy, rng.uniform(0.7, 1.4, len(PARTS)), 1)
    start = rng.random() + np.where(noisy, rng.random(len(PARTS)), rng.uniform(-0.04, 0.04, len(PARTS)))
    return (start + rate * np.arange(frames)[:, None] / fps).astype(np.float32)


def make_clip(
    action: str, source: np.random.Generator, rng: np.random.Generator, options: ClipOptions
) -> SyntheticClip:
    """Draw one clip of an action.

    Args:
        action: a key of ``actions()``.
        source: draws the person and the surroundings; clips of one source start from equal generators.
        rng: draws all else.
        options: how hard the clip is.
    """
    frames = int(rng.integers(options.frames[0], options.frames[1] + 1))
    fps = int(rng.choice(FRAME_RATES))
    codes, noisy = _noisy_codes(rng, action, options.part_noise)
    motions = Motions(
        codes=np.tile(codes, (frames, 1)),
        phases=_phases(rng, noisy, frames, fps),
        activity=_activity(rng, codes, frames),
    )
    scene = in_the_place_of(random_scenes(rng, 1, options.occlusion), random_scenes(source, 1))
    scenes = film(scene, rng, frames, options.camera_motion)
    width, height = options.size
    return SyntheticClip(fps, codes, motions.activity > 0.5, render_with_truth(motions, scenes, (height, width)))
