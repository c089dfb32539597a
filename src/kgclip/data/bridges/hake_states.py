"""HAKE's part states (Li et al., PaStaNet, CVPR 2020, arXiv 2004.00945), and the states here that say the same.

The states of a part are in the order of HAKE's lists, whose positions its annotations hold. None: no state says it.
"""

PARTS: tuple[str, ...] = (
    "right foot",
    "right leg",
    "left leg",
    "left foot",
    "hip",
    "head",
    "right hand",
    "right arm",
    "left arm",
    "left hand",
)
"""The ten parts, in the order of ``human_part`` and ``parts_list``."""

# fmt: off
STATES_76: dict[str, dict[str, str | None]] = {
    "foot": {
        "stand on": "stand", "tread on": "step on", "walk with": "step", "walk to": "step", "run with": "step",
        "run to": "step", "dribble": "kick", "kick": "kick", "jump down": None, "jump with": None, "walk away": "step",
        "no_interaction": "none",
    },
    "leg": {
        "walk with": "step", "walk to": "step", "run with": "step", "run to": "step", "jump with": None,
        "is close with": None, "straddle": None, "jump down": None, "walk away": "step", "no_interaction": "none",
    },
    "hip": {
        "sit on": "sit", "sit in": "sit", "sit beside": "sit", "be close with": None, "no_interaction": "none",
    },
    "hand": {
        "hold": "hold", "carry": "hold", "reach for": None, "touch": None, "put on": None, "twist": "turn",
        "wear": None, "throw": "throw", "throw out": "throw", "write on": "draw", "point with": None,
        "point to": None, "use something to point to": None, "press": "press", "squeeze": "press",
        "scratch": "scratch", "pinch": None, "gesture to": "wave", "push": "push", "pull": "pull",
        "pull with something": "pull", "wash": None, "wash with something": None, "hold in both hands": "hold",
        "lift": "lift", "raise": "raise", "feed": "feed", "cut with something": "slice",
        "catch with something": "catch", "pour into": None, "no_interaction": "none",
    },
    "arm": {
        "shoulder carry": "carry", "be close to": None, "hug": "hug", "swing": "swing", "no_interaction": "none",
    },
    "head": {
        "eat": None, "inspect": None, "talk with something": None, "talk to": None, "be close with": None,
        "kiss": None, "put something over head": None, "lick": None, "blow": None, "drink with": "drink",
        "smell": None, "wear": None, "no_interaction": "none",
    },
}
"""Of ``Part_State_76.txt``, by kind of part."""

# What Part_State_93.txt has more, each before "no_interaction".
_MORE_IN_93: dict[str, dict[str, str | None]] = {
    "foot": {"crawl": None, "dance": None, "fall down": None, "martial art": None},
    "leg": {"bend": "bend", "kneel": "bend", "crawl": None, "dance": None, "martial art": None},
    "hip": {"bend": "bend"},
    "hand": {"crawl": None, "dance": None, "martial art": None},
    "arm": {"crawl": None, "dance": None, "martial art": None},
    "head": {"listen": None},
}
# fmt: on


def _with_more(kind: str) -> dict[str, str | None]:
    states = {"raise(over head)" if name == "raise" else name: ours for name, ours in STATES_76[kind].items()}
    last = states.pop("no_interaction")
    return states | _MORE_IN_93[kind] | {"no_interaction": last}


STATES_93: dict[str, dict[str, str | None]] = {kind: _with_more(kind) for kind in STATES_76}
"""Of ``Part_State_93.txt``, by kind of part."""
