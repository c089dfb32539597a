"""From a body to the states of its parts, by the rules; parts of unsure joints are left out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8

from kgclip.kg import movement
from kgclip.pose.body import Body
from kgclip.pose.rules import RULES
from kgclip.pose.skeleton import ANKLES, ELBOWS, HIPS, KNEES, KNOWN_SCORE, SHOULDERS, WRISTS

STATES: tuple[str, ...] = tuple(dict.fromkeys(s for rules, rest in RULES.values() for s in (*dict(rules), rest)))
"""The states that rules can read, in the words of Kinetics-TPS."""
LEFT_OUT = -1
VOTE_STEPS = 2
"""A state is the most frequent of the rules' answers within this many grid steps."""

PARTS = tuple(part for part in movement.PARTS if part != "head")
"""What a head does cannot be read from five joints of a face (docs/pose.md)."""

# The joints that a part's state rests on.
PART_JOINTS: dict[str, tuple[int, ...]] = {"hip": HIPS} | {
    f"{side} {part}": tuple(pair[index] for pair in pairs)
    for index, side in enumerate(("left", "right"))
    for part, pairs in {
        "arm": (SHOULDERS, ELBOWS, WRISTS),
        "hand": (SHOULDERS, WRISTS),
        "leg": (HIPS, KNEES, ANKLES),
        "foot": (HIPS, ANKLES),
    }.items()
}


@dataclass(frozen=True)
class States:
    """The state of each part at each step of the grid.

    Attributes:
        codes: index into `STATES`, in the order of `PARTS`; `LEFT_OUT` where the joints are unsure.
        confidence: mean score of the part's joints times the share of votes for the state, 0 to 1.
    """

    codes: Int8[np.ndarray, "T 9"]
    confidence: Float32[np.ndarray, "T 9"]


def read_states(body: Body) -> States:
    """Apply the rules to a body."""
    codes = np.stack(_columns(body), axis=1)
    known = np.stack([_is_known(body.keypoints[:, :, 2], part) for part in PARTS], axis=1)
    # Without a torso length no quantity is known, whatever the joints of a part.
    codes[~known | np.isnan(body.torso_px)] = LEFT_OUT
    voted, agreement = _vote(codes)
    scores = np.stack([body.keypoints[:, PART_JOINTS[part], 2].mean(1) for part in PARTS], axis=1)
    return States(voted, np.where(voted == LEFT_OUT, 0, scores * agreement).astype(np.float32))


def _columns(body: Body) -> list[Int8[np.ndarray, " T"]]:
    by_kind = {kind: _first_that_holds(body, kind) for kind in RULES}
    columns = []
    for part in PARTS:
        side, _, kind = part.rpartition(" ")
        codes = by_kind[kind]
        columns.append(codes if not side else codes[:, ("left", "right").index(side)])
    return columns


def _first_that_holds(body: Body, kind: str) -> Int8[np.ndarray, "T ..."]:
    rules, rest = RULES[kind]
    holds = [rule(body) for _, rule in rules]
    return np.select(holds, [np.int8(STATES.index(state)) for state, _ in rules], np.int8(STATES.index(rest)))


def _is_known(score: Float64[np.ndarray, "T 17"], part: str) -> Bool[np.ndarray, " T"]:
    """Whether the joints are sure enough to say anything of a part; one hip is enough for the hip."""
    joints = score[:, PART_JOINTS[part]]
    return (joints.max(1) if part == "hip" else joints.min(1)) >= KNOWN_SCORE


def _vote(codes: Int8[np.ndarray, "T 9"]) -> tuple[Int8[np.ndarray, "T 9"], Float64[np.ndarray, "T 9"]]:
    """The most frequent state around each step, the step's own among equals, and its share of the known steps."""
    padded = np.pad(codes, ((VOTE_STEPS, VOTE_STEPS), (0, 0)), constant_values=LEFT_OUT)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * VOTE_STEPS + 1, axis=0)
    votes = (around[..., None] == np.arange(len(STATES))).sum(2)
    own = np.take_along_axis(votes, np.maximum(codes, 0)[..., None], 2)[..., 0]
    winner = np.where(own == votes.max(2), codes, votes.argmax(2)).astype(np.int8)
    winner[codes == LEFT_OUT] = LEFT_OUT
    share = votes.max(2) / np.maximum(votes.sum(2), 1)
    return winner, share
