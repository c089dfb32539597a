"""One clip: what its figure does from frame to frame, and its pictures."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import actions, encode, options, random_codes
from kgclip.synthetic.motion import POSTURES, Motions
from kgclip.synthetic.render import Rendering, render
from kgclip.synthetic.scene import film, random_scenes

FRAME_RATES = (15, 24, 25, 30)

_CYCLES_PER_S = (0.5, 1.0)
_PAUSING = 0.3  # share of moving parts that rest for a while at the clip's start or end
_LONGEST_PAUSE = 0.4  # of the clip
_RAMP_FRAMES = 5  # from rest to full movement


@dataclass(frozen=True)
class SyntheticOptions:
    """What a synthetic data set holds; the same options give the same bytes.

    Attributes:
        part_noise: probability that a part does something else than the clip's action has it do.
        frames: least and greatest number of frames.
        size: width and height in pixels, both even.
        occlusion: share of clips with a block that hides parts.
        keypoint_noise: standard deviation of the errors of the keypoints, as a share of the picture's height; 0 writes
            the truth.
        train_per_action: annotated clips of each of the 24 actions.
        test_per_action: clips without annotations, of other sources.
        seed: of all randomness.
    """

    part_noise: float = 0.2
    frames: tuple[int, int] = (41, 60)
    size: tuple[int, int] = (128, 96)
    occlusion: float = 0.3
    keypoint_noise: float = 0.0
    train_per_action: int = 20
    test_per_action: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("train_per_action", "test_per_action", "seed"):
            if getattr(self, name) < 0:
                raise KgclipError(f"synthetic data: {name} is {getattr(self, name)}; expected 0 or more")
        for name in ("part_noise", "occlusion", "keypoint_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise KgclipError(f"synthetic data: {name} is {getattr(self, name)}; expected a share between 0 and 1")
        if not 2 <= self.frames[0] <= self.frames[1]:
            raise KgclipError(f"synthetic data: frames is {self.frames}; expected least and greatest, at least 2")
        if any(side < 32 or side % 2 for side in self.size):
            raise KgclipError(f"synthetic data: size is {self.size}; expected an even width and height of 32 or more")


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


def _activity(rng: np.random.Generator, codes: np.ndarray, frames: int) -> np.ndarray:
    """Give how far each part is from rest to its state, in every frame [T, 10]."""
    time = np.arange(frames, dtype=np.float32)[:, None]
    doings = [options(part)[code] for part, code in zip(PARTS, codes, strict=True)]
    pauses = np.array([thing is None and state not in {"none", *POSTURES} for state, thing in doings])
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
    action: str, source: np.random.Generator, rng: np.random.Generator, options: SyntheticOptions
) -> SyntheticClip:
    """Draw one clip of an action.

    ``source`` draws the person and the surroundings, and ``rng`` all else; clips of one source start from equal
    generators.
    """
    frames = int(rng.integers(options.frames[0], options.frames[1] + 1))
    fps = int(rng.choice(FRAME_RATES))
    codes, noisy = _noisy_codes(rng, action, options.part_noise)
    motions = Motions(
        codes=np.tile(codes, (frames, 1)),
        phases=_phases(rng, noisy, frames, fps),
        activity=_activity(rng, codes, frames),
    )
    scene, place = random_scenes(rng, 1, options.occlusion), random_scenes(source, 1)
    shared = ("body", "colors", "wall", "horizon", "texture")
    scene = replace(scene, **{name: getattr(place, name) for name in shared})
    width, height = options.size
    rendering = render(motions, film(scene, rng, frames), (height, width))
    return SyntheticClip(fps, codes, motions.activity > 0.5, rendering)
