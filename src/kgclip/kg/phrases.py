"""What a person would say of movements: phrases made of the words of their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from kgclip.errors import KgclipError
from kgclip.kg.movement import Movement, mirror

# What may follow a state before its object: ``step on skateboard``, ``put down cup``.
_PARTICLES = frozenset({"on", "down", "up", "off", "out"})
# States that say nothing a sentence could repeat.
_NO_VERBS = frozenset({"none", "others"})
_PLURAL = {"arm": "arms", "hand": "hands", "leg": "legs", "foot": "feet"}


@dataclass(frozen=True)
class Phrase:
    """One movement in a sentence.

    Attributes:
        seen: that it is there: ``the right leg bends``.
        unseen: that nothing of it is read: ``the right leg is not seen to bend``.
        if_seen, if_not: as conditions: ``the right leg were seen to bend``.
    """

    seen: str
    unseen: str
    if_seen: str
    if_not: str


def phrase(names: Sequence[str]) -> Phrase | None:
    """The phrase of a movement, or of a movement and its mirror image together; None where its name is no sentence."""
    try:
        movement = Movement.parse(names[0])
    except KgclipError:
        return None
    if movement.state in _NO_VERBS:
        return None
    both = len(names) == 2
    subject = f"both {_PLURAL[movement.part.split()[-1]]}" if both else f"the {movement.part}"
    words = (movement.object or "").split()
    particle = words[:1] if words[:1] and words[0] in _PARTICLES else []
    noun = [word for word in words[len(particle) :] if word != "none"]
    rest = " ".join(["", *particle, *(["the", *noun] if noun else [])])
    verb = movement.state if both else _third_person(movement.state)
    is_not = "are not" if both else "is not"
    return Phrase(
        f"{subject} {verb}{rest}",
        f"{subject} {is_not} seen to {movement.state}{rest}",
        f"{subject} were seen to {movement.state}{rest}",
        f"{subject} were not seen to {movement.state}{rest}",
    )


def are_pair(first: str, second: str) -> bool:
    """Whether two movements are one of both sides."""
    sides = {first.split(" ")[0], second.split(" ")[0]}
    return sides == {"left", "right"} and mirror(first) == second and first.split(" ")[1] in _PLURAL


def _third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"
