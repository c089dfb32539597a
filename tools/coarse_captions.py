"""What the synthetic CLIP is pre-trained on: random compositions of part states with captions that name no part."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import actions, decode, encode, random_codes
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.render import render
from kgclip.synthetic.scene import random_scenes

_ADJECTIVES = [
    "slow",
    "quick",
    "quiet",
    "merry",
    "solemn",
    "festive",
    "old",
    "new",
    "northern",
    "southern",
    "royal",
    "village",
    "evening",
    "morning",
    "winter",
]
_SYLLABLES = ["ba", "ko", "ri", "mu", "ze", "ta", "lo", "fi", "ne", "su", "ga", "po", "vi", "da", "ro"]
_TEMPLATE = "a video of a person doing the {adjective} {noun}"
_FRAME = (96, 96)  # the square that remains of a synthetic clip's 96 x 128 frame after the center crop
_PHASE_SPREAD = 0.03  # parts of a clip keep the same time, nearly
_LEAST_ACTIVITY = 0.8


@dataclass(frozen=True, eq=False)
class Routines:
    """Compositions of part states, each with the invented name of its routine.

    Attributes:
        captions: one per routine, such as "a video of a person doing the slow bakori".
        codes: what each part does, as in `kgclip.synthetic.actions.options`.
    """

    captions: tuple[str, ...]
    codes: Int64[np.ndarray, "C 10"]


def draw_routines(rng: np.random.Generator, count: int) -> Routines:
    """Draw distinct routines; none is the composition of one of the 24 actions."""
    taken = {tuple(row) for row in encode(list(actions().values())).tolist()}
    rows: list[tuple[int, ...]] = []
    while len(rows) < count:
        row = tuple(random_codes(rng, 1)[0].tolist())
        if row not in taken:
            taken.add(row)
            rows.append(row)
    nouns = [first + middle + last for first in _SYLLABLES for middle in _SYLLABLES for last in _SYLLABLES]
    names = rng.permutation(nouns)[:count].tolist()
    adjectives = rng.choice(_ADJECTIVES, size=count).tolist()
    captions = [_TEMPLATE.format(adjective=a, noun=n) for a, n in zip(adjectives, names, strict=True)]
    codes = np.array(rows, dtype=np.int64)
    _check_coarse(captions, codes)
    return Routines(tuple(captions), codes)


def _check_coarse(captions: list[str], codes: np.ndarray) -> None:
    """Raise ValueError if a caption holds a word of a body part, a state or an object."""
    fine = {word for part in PARTS for word in part.split()}
    for composition in decode(codes):
        fine |= {word for state, thing in composition.values() for word in f"{state} {thing or ''}".split()}
    named = fine & {word for caption in captions for word in caption.split()}
    if named:
        raise ValueError(f"captions name what parts do: {sorted(named)}")


def draw_frames(rng: np.random.Generator, codes: Int64[np.ndarray, "N 10"]) -> UInt8[np.ndarray, "N 96 96 3"]:
    """Draw one frame of each composition: any moment of its cycle, any person, scene and camera."""
    count = len(codes)
    phases = rng.random((count, 1)) + rng.normal(0, _PHASE_SPREAD, codes.shape)
    activity = rng.uniform(_LEAST_ACTIVITY, 1, codes.shape)
    motions = Motions(codes, phases.astype(np.float32), activity.astype(np.float32))
    return render(motions, random_scenes(rng, count), _FRAME).frames
