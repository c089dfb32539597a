"""What figures do: the states that each body part knows, and the 24 actions composed of them."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Int64

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS

Composition = Mapping[str, tuple[str, str | None]]
"""What each body part does: part -> (state, object or None). A part that is absent rests (state ``none``)."""


def _alone(states: str) -> dict[str, tuple[str | None, ...]]:
    return dict.fromkeys(states.split(), (None,))


STATES_OF: dict[str, dict[str, tuple[str | None, ...]]] = {
    "head": _alone("none nod shake turn raise bend sway"),
    "hip": {
        **_alone("none bend stoop turn shake sway swing jump lie press upturn hang"),
        "sit": (None, "snowboard", "bull"),
    },
    "arm": _alone("none bend unbend raise lift upturn swing heft push pull sweep hug carry throw turn shake strike"),
    "hand": {
        **_alone("none wave clap press pull grab loosen"),
        "hold": ("barbell", "rope", "ball", "baseball bat", "dumbbell", "discus", "hammer", "bar", "paddle"),
        "throw": (None, "ball", "discus"),
        "swing": (None, "baseball bat", "hammer", "paddle"),
        "strike": (None, "punching bag"),
        "turn": (None, "rope"),
    },
    "leg": _alone("none stand bend unbend kick step slide raise lift kneel shake"),
    "foot": _alone("none tiptoe slide pat turn raise") | {"step on": ("skateboard",)},
}
"""Kind -> state -> the objects it can go with (None: without one); every movement of a figure is one of these."""

_ACTIONS = {
    "belly dancing": "head sway; hip shake; arms unbend; hands turn; legs shake",
    "capoeira": "hip stoop; arms swing; hands press; legs kick",
    "clean and jerk": "arms heft; hands hold barbell; legs bend",
    "country line dancing": "hip sway; arms unbend; hands clap; legs shake; feet pat",
    "crawling baby": "head raise; hip stoop; arms swing; hands press; legs kneel",
    "deadlifting": "hip bend; hands hold barbell; legs bend",
    "front raises": "arms raise; hands hold dumbbell; legs stand",
    "hammer throw": "hip turn; arms sweep; hands swing hammer; feet turn",
    "hitting baseball": "hip turn; arms sweep; hands swing baseball bat; legs stand",
    "hopscotch": "hip jump; arms bend; left leg lift; right leg bend",
    "hurling (sport)": "hip turn; arms sweep; hands swing paddle; legs step",
    "juggling balls": "head raise; arms carry; hands throw ball; legs stand",
    "lunge": "arms bend; left leg step; right leg bend",
    "pull ups": "hip hang; arms pull; hands hold bar; legs lift",
    "punching bag": "hip turn; arms strike; hands strike punching bag; legs step",
    "push up": "hip press; arms push; hands press; feet tiptoe",
    "riding mechanical bull": "head shake; hip sit bull; left arm upturn; right arm carry; legs unbend",
    "salsa dancing": "hip sway; arms unbend; hands turn; legs shake",
    "skateboarding": "arms lift; legs bend; feet step on skateboard",
    "skipping rope": "hip jump; arms bend; hands turn rope; legs lift",
    "snatch weight lifting": "hip bend; arms upturn; hands hold barbell; legs bend",
    "surfing crowd": "hip lie; arms unbend; hands wave; legs raise",
    "throwing discus": "hip turn; left arm unbend; right arm sweep; right hand throw discus; feet turn",
    "tobogganing": "hip sit snowboard; arms carry; legs unbend; feet raise",
}
_PLURALS = {"arms": "arm", "hands": "hand", "legs": "leg", "feet": "foot"}


def kind_of(part: str) -> str:
    """Give the kind of a body part: ``left arm`` -> ``arm``, ``hip`` -> ``hip``."""
    return part.split(" ")[-1]


@cache
def options(part: str) -> tuple[tuple[str, str | None], ...]:
    """List what a part, or a kind of part, can do, as (state, object); the position in this list is its *code*.

    Code 0 is ``("none", None)``: at rest.
    """
    return tuple((state, thing) for state, things in STATES_OF[kind_of(part)].items() for thing in things)


@cache
def actions() -> dict[str, dict[str, tuple[str, str | None]]]:
    """Give the 24 actions of Kinetics-TPS as compositions; two actions differ by the states of their parts alone."""
    return {action: parse(text) for action, text in _ACTIONS.items()}


def parse(text: str) -> dict[str, tuple[str, str | None]]:
    """Read a composition as it is written: ``arms bend; left leg step; feet step on skateboard``."""
    composition: dict[str, tuple[str, str | None]] = {}
    for phrase in text.split("; "):
        words = phrase.split(" ")
        size = 2 if words[0] in ("left", "right") else 1
        part, does = " ".join(words[:size]), " ".join(words[size:])
        parts = [f"{side} {_PLURALS[part]}" for side in ("left", "right")] if part in _PLURALS else [part]
        written = {" ".join(filter(None, option)): option for option in options(parts[0])}
        composition |= dict.fromkeys(parts, written[does])
    return composition


def encode(compositions: Sequence[Composition]) -> Int64[np.ndarray, "N 10"]:
    """Write compositions as codes, one column a part in the order of ``PARTS``.

    Raises:
        KgclipError: a part does not know the state, or not with that object.
    """
    codes = np.zeros((len(compositions), len(PARTS)), dtype=np.int64)
    for row, composition in enumerate(compositions):
        for part, does in composition.items():
            if part not in PARTS or does not in options(part):
                raise KgclipError(f"figure: part {part!r} cannot do {does!r}; see STATES_OF for what it can")
            codes[row, PARTS.index(part)] = options(part).index(does)
    return codes


def decode(codes: Int64[np.ndarray, "N 10"]) -> list[dict[str, tuple[str, str | None]]]:
    """Read codes as compositions, every part named (also those at rest)."""
    return [{part: options(part)[code] for part, code in zip(PARTS, row, strict=True)} for row in codes]


def random_codes(rng: np.random.Generator, count: int, symmetry: float = 0.5) -> Int64[np.ndarray, "N 10"]:
    """Draw N random compositions, as codes: each part takes any of its states with equal probability.

    ``symmetry`` is the probability that a right limb does as the left one does, for each kind of limb on its own.
    """
    codes = np.zeros((count, len(PARTS)), dtype=np.int64)
    for column, part in enumerate(PARTS):
        # Every state is equally likely, whatever the number of its objects.
        weights = np.array([1.0 / len(STATES_OF[kind_of(part)][state]) for state, _ in options(part)])
        codes[:, column] = rng.choice(len(weights), size=count, p=weights / weights.sum())
        if part.startswith("right "):
            alike = rng.random(count) < symmetry
            codes[alike, column] = codes[alike, column - 1]  # PARTS puts the left limb just before the right one
    return codes
