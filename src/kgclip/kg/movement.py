"""Body movements: the names that join videos and actions in the graph."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from kgclip.errors import KgclipError
from kgclip.kg.words import question

PARTS: tuple[str, ...] = (
    "head",
    "hip",
    "left arm",
    "right arm",
    "left hand",
    "right hand",
    "left leg",
    "right leg",
    "left foot",
    "right foot",
)
"""The ten body parts of Kinetics-TPS, as they open a movement's name."""

_OTHER_SIDE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Movement:
    """A state of a body part, with the object it touches if there is one: ``left hand hold barbell``."""

    part: str
    state: str
    object: str | None = None

    @property
    def name(self) -> str:
        """The name of this movement in the graph: part, state and object joined by spaces."""
        return " ".join(filter(None, (self.part, self.state, self.object)))

    def __lt__(self, other: "Movement") -> bool:
        # dataclass(order=True) cannot compare an object that is None with one that is a string.
        return (self.part, self.state, self.object or "") < (other.part, other.state, other.object or "")

    @classmethod
    def parse(cls, name: str, states: Collection[str] | None = None) -> "Movement":
        """Split a movement's name into body part, state and object.

        The part is the longest of ``PARTS`` that the name starts with. The state is the longest of ``states`` that
        follows it (``step on`` before ``step``); without ``states``, or when none of them fits, it is one word. What
        remains is the object.

        Raises:
            KgclipError: the name does not start with a body part, or no state follows it.
        """
        part = max((part for part in PARTS if name.startswith(f"{part} ")), key=len, default=None)
        if part is None:
            hint = question(name, states or ()) or f"expected one of {', '.join(PARTS)}"
            raise KgclipError(f"movement {name!r}: starts with no body part; {hint}")
        rest = name[len(part) + 1 :]
        fitting = [state for state in states or () if rest == state or rest.startswith(f"{state} ")]
        state = max(fitting, key=len, default=rest.split(" ", 1)[0])
        if not state:
            raise KgclipError(f"movement {name!r}: no state after the body part; expected e.g. '{part} bend'")
        return cls(part, state, rest[len(state) + 1 :] or None)


def mirror(name: str) -> str:
    """Name the movement that a horizontally flipped clip shows: every word ``left`` becomes ``right`` and vice versa.

    Movements of the head and the hip keep their names, unless their state or object names a side.
    """
    return re.sub(r"(?<!\S)(left|right)(?!\S)", lambda side: _OTHER_SIDE[side[0]], name)


def part_index(names: Sequence[str]) -> Int64[np.ndarray, " M"]:
    """Give each movement's body part as an index into ``PARTS``.

    Raises:
        KgclipError: a name does not start with a body part.
    """
    return np.array([PARTS.index(Movement.parse(name).part) for name in names], dtype=np.int64)
