"""What figures do: the states that each body part knows, and the 24 actions composed of them."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Int64

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS

Composition = Mapping[str, tuple[str, str | None]]
"""What each body part does: part -> (state, object or None). A part that is absent rests (state ``none``)."""

KINDS = ("head", "hip", "arm", "hand", "leg", "foot")
"""Parts that know the same states: the left and the right one of a limb are one kind."""

CARRIED = ("barbell", "rope", "ball", "baseball bat", "dumbbell", "discus", "hammer", "bar", "paddle")
"""Objects that a hand can hold."""


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
        "hold": CARRIED,
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
def options(kind: str) -> tuple[tuple[str, str | None], ...]:
    """List what a kind of part can do, as (state, object); the position in this list is the part's *code*.

    Code 0 is ``("none", None)``: at rest.
    """
    return tuple((state, thing) for state, things in STATES_OF[kind].items() for thing in things)


@cache
def actions() -> dict[str, dict[str, tuple[str, str | None]]]:
    """Give the 24 actions of Kinetics-TPS as compositions; two actions differ by the states of their parts alone."""
    return {action: parse(text) for action, text in _ACTIONS.items()}


def parse(text: str) -> dict[str, tuple[str, str | None]]:
    """Read a composition as it is written: ``arms bend; left leg step; feet step on skateboard``.

    Raises:
        KgclipError: a part is not known, or does not know the state and object.
    """
    composition: dict[str, tuple[str, str | None]] = {}
    for phrase in text.split("; "):
        first, rest = phrase.split(" ", 1)
        if first in _PLURALS:
            parts = [f"{side} {_PLURALS[first]}" for side in ("left", "right")]
        elif first in ("left", "right"):
            second, rest = rest.split(" ", 1)
            parts = [f"{first} {second}"]
        else:
            parts = [first]
        known = {" ".join(filter(None, o)): o for o in options(kind_of(parts[0]))} if parts[0] in PARTS else {}
        if rest not in known:
            raise KgclipError(f"figure: nothing is known of {phrase!r}; expected a part and one of {sorted(known)}")
        composition |= dict.fromkeys(parts, known[rest])
    return composition


def encode(compositions: Sequence[Composition]) -> Int64[np.ndarray, "N 10"]:
    """Write compositions as codes, one column a part in the order of ``PARTS``.

    Raises:
        KgclipError: a part does not know the state, or not with that object.
    """
    codes = np.zeros((len(compositions), len(PARTS)), dtype=np.int64)
    for row, composition in enumerate(compositions):
        for part, state_object in composition.items():
            if part not in PARTS or tuple(state_object) not in options(kind_of(part)):
                raise KgclipError(f"figure: part {part!r} cannot do {state_object!r}; see STATES_OF for what it can")
            codes[row, PARTS.index(part)] = options(kind_of(part)).index((state_object[0], state_object[1]))
    return codes


def decode(codes: Int64[np.ndarray, "N 10"]) -> list[dict[str, tuple[str, str | None]]]:
    """Read codes as compositions, every part named (also those at rest)."""
    return [{part: options(kind_of(part))[code] for part, code in zip(PARTS, row, strict=True)} for row in codes]


@cache
def _weights(kind: str) -> np.ndarray:
    # Every state is equally likely, whatever the number of its objects.
    share = np.array([1.0 / len(STATES_OF[kind][state]) for state, _ in options(kind)])
    return share / share.sum()


def random_codes(rng: np.random.Generator, count: int, symmetry: float = 0.5) -> Int64[np.ndarray, "N 10"]:
    """Draw random compositions, as codes: each part takes any of its states with equal probability.

    Args:
        rng: the source of randomness.
        count: how many, N.
        symmetry: probability that the right limb does as the left one does (for each kind of limb on its own).
    """
    codes = np.zeros((count, len(PARTS)), dtype=np.int64)
    for column, part in enumerate(PARTS):
        weights = _weights(kind_of(part))
        codes[:, column] = rng.choice(len(weights), size=count, p=weights)
        if part.startswith("right "):
            alike = rng.random(count) < symmetry
            codes[alike, column] = codes[alike, column - 1]  # PARTS puts the left limb just before the right one
    return codes
