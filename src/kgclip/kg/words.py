"""The words of movements, and what a person means by others: "left knee bent", "both arms raised", "l arm up"."""

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

RULE_STATES: dict[str, tuple[str, ...]] = {
    "arm": ("pull", "push", "swing", "raise", "lift", "bend", "unbend"),
    "hand": ("hold", "wave", "swing", "push", "raise", "lift"),
    "leg": ("kick", "step on", "step", "raise", "bend", "stand", "unbend"),
    "foot": ("kick", "step on", "step", "raise", "stand"),
    "hip": ("sit", "stoop", "bend"),
}
"""The states of each kind of body part that rules read off joints (`kgclip.pose.rules`); of a head they read none."""

_KINDS: dict[str, str] = {
    word: kind
    for kind, words in {
        "arm": "arm arms elbow elbows forearm forearms shoulder shoulders",
        "hand": "hand hands wrist wrists palm palms fist fists finger fingers",
        "leg": "leg legs knee knees thigh thighs calf calves shin shins",
        "foot": "foot feet ankle ankles heel heels toe toes",
        "hip": "hip hips waist back torso trunk spine body",
        "head": "head neck face chin",
    }.items()
    for word in words.split()
}
_PLURALS = frozenset(word for word in _KINDS if word.endswith("s")) | {"feet"}
_BOTH = ("left", "right")
_SIDES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("left", "l", "l.", "lt", "lft"), ("left",)),
    **dict.fromkeys(("right", "r", "r.", "rt", "rgt"), ("right",)),
    **dict.fromkeys(("both", "two"), _BOTH),
}
_ARTICLES = ("a", "an", "the", "his", "her", "its", "their", "my", "your")
_FILLERS = frozenset((*_ARTICLES, "upper", "lower", "with", "of", "is", "are", "gets", "being"))
_IRREGULAR: dict[str, str] = {
    "bend": "bent",
    "bind": "bound",
    "catch": "caught",
    "draw": "drew drawn",
    "drink": "drank drunk",
    "hang": "hung",
    "hold": "held",
    "kneel": "knelt",
    "lie": "lay lain lying",
    "shake": "shook shaken",
    "sit": "sat",
    "slide": "slid",
    "stand": "stood",
    "strike": "struck",
    "sweep": "swept",
    "swing": "swung",
    "take": "took taken",
    "throw": "threw thrown",
    "tie": "tying",
    "unbend": "unbent",
}
# Words for a state that may as well be words of somebody's own: asked about, never replaced.
_OTHER_WORDS: dict[str, str] = {
    **dict.fromkeys(["up", "upward", "upwards", "high", "overhead", "elevated", "elevate"], "raise"),
    **dict.fromkeys(["straight", "straighten", "straightened", "extend", "extended", "stretch", "stretched"], "unbend"),
    **dict.fromkeys(["flex", "flexed", "fold", "folded", "curl", "curled"], "bend"),
    **dict.fromkeys(["grip", "grips", "gripped", "grasp", "grasps", "grasped", "clasped"], "hold"),
    **dict.fromkeys(["lean", "leans", "leaned", "leaning", "bow", "bowed", "tilted", "forward", "forwards"], "stoop"),
    **dict.fromkeys(["seated", "squat", "squats", "squatting"], "sit"),
}


def states_of_rules() -> tuple[str, ...]:
    """Every state that rules read of some part."""
    return tuple(dict.fromkeys(state for states in RULE_STATES.values() for state in states))


def base_form(words: str, states: Collection[str] = ()) -> str:
    """What follows a body part, with a form of a known state as that state: "is bent" is "bend", "raised" is "raise".

    Args:
        words: state and object of a movement.
        states: states known besides those of the rules.
    """
    known = frozenset(states) | frozenset(states_of_rules())
    split = words.split()
    if any(words == state or words.startswith(f"{state} ") for state in known):
        return words
    return " ".join(_with_state(split, known) or split)


def meant(name: str, states: Collection[str] = ()) -> list[str]:
    """The movements that a person may have meant by a name; none if nothing like it is known.

    One name for each side where the side is left out or both are given.

    Args:
        name: the name of a movement, as a person wrote it.
        states: states known besides those of the rules.
    """
    known = frozenset(states) | frozenset(states_of_rules())
    kind, sides, rest = _part(_split(name))
    fitting = frozenset(states) | frozenset(RULE_STATES.get(kind, ()))
    spelled = _with_state(rest, known) or _near_state(rest, fitting)
    if not kind or spelled is None:
        return []
    parts = [kind] if kind in ("hip", "head") else [f"{side} {kind}" for side in sides or _BOTH]
    names = [f"{part} {' '.join(spelled)}" for part in parts]
    return [] if names == [name] else names


def question(name: str, states: Collection[str] = ()) -> str:
    """A question for an error's sentence, such as ``did you mean 'left arm bend'?``, or nothing."""
    names = meant(name, states)
    several = any(_SIDES.get(word) == _BOTH or word in _PLURALS for word in _split(name))
    return f"did you mean {(' and ' if several else ' or ').join(map(repr, names))}?" if names else ""


def _split(name: str) -> list[str]:
    return re.sub(r"^(left|right)(?=[a-z])", r"\1 ", name.casefold().replace("-", " ")).split()


def _part(words: Sequence[str]) -> tuple[str, tuple[str, ...], list[str]]:
    """The kind of body part that words name, its sides, in any order, and the words that are left."""
    kind, sides, rest = "", (), []
    for word in words:
        if not sides and (side := _near(word, _SIDES)):
            sides = _SIDES[side]
        elif not kind and (near := _near(word, _KINDS)):
            kind = _KINDS[near]
        else:
            rest.append(word)
    return kind, sides, _trimmed(rest)


def _with_state(words: Sequence[str], known: Collection[str]) -> list[str] | None:
    """The words with a form of a known state as that state, the longest that fits; None where none does."""
    words = _trimmed(words)
    for state in sorted(known, key=lambda state: (-len(state.split()), state)):
        first, *others = state.split()
        end = 1 + len(others)
        if words and words[0] in _forms(first) and list(words[1:end]) == others:
            return [state, *_trimmed(words[end:])]
    return None


def _trimmed(words: Sequence[str]) -> list[str]:
    """The words without articles and the like at both ends."""
    content = [index for index, word in enumerate(words) if word not in _FILLERS]
    return list(words[content[0] : content[-1] + 1]) if content else []


def _near_state(words: Sequence[str], known: Collection[str]) -> list[str] | None:
    """The words with another word for a known state, or a misspelled one, as that state."""
    if not words:
        return None
    near = _OTHER_WORDS.get(words[0], "")
    near = near if near in known else _near(words[0], known)
    return [near, *words[1:]] if near else None


def _near(word: str, known: Collection[str]) -> str:
    """The word itself if it is known, else the known one that it is a misspelling of, else nothing."""
    if word in known:
        return word
    if len(word) < 3:
        return ""
    swapped = (f"{word[:i]}{word[i + 1]}{word[i]}{word[i + 2 :]}" for i in range(len(word) - 1))
    longer = [other for other in sorted(known) if len(other) > 2]
    close = difflib.get_close_matches(word, longer, n=1, cutoff=0.78)
    return next((other for other in swapped if other in known), close[0] if close else "")


@lru_cache(maxsize=1024)
def _forms(word: str) -> frozenset[str]:
    return frozenset(_inflected(word))


def _inflected(word: str) -> Iterator[str]:
    """A verb with the endings of English, right or wrong: what nobody writes does no harm."""
    yield from (word, f"{word}s", f"{word}es", *_IRREGULAR.get(word, "").split())
    stem = word.removesuffix("e")
    for start in (stem, word, word + word[-1]):
        yield from (f"{start}ing", f"{start}ed")
    if word.endswith("y"):
        yield from (f"{word[:-1]}ies", f"{word[:-1]}ied")
