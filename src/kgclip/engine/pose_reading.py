"""What rules read from a clip's pose: when each movement was seen, by which joints, and the joints to be drawn."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float64

from kgclip.engine.explanation import SEEN, Span
from kgclip.errors import KgclipError
from kgclip.kg.movement import Movement
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.motion import GRID_RATE
from kgclip.pose.skeleton import JOINTS
from kgclip.pose.states import LEFT_OUT, PART_JOINTS, PARTS, STATES, read_states

# A part whose joints are unsure for longer than this share of the clip may have moved unseen.
LEAST_KNOWN = 0.5
# Of longer clips, and of crowds, the joints would take more room than the rest of the page.
MOST_DRAWN, MOST_PEOPLE = 240, 6
DRAWN_RATE, OTHERS_RATE = 7.5, 4.0
"""Observations a second, at most, of the subject and of others: between them, drawn joints move in straight lines."""
THOUSAND, SUREST = 1000, 9


def read_by_rule(name: str) -> Movement | None:
    """The movement, if it is one that rules read from joints."""
    try:
        movement = Movement.parse(name, STATES)
    except KgclipError:
        return None
    known = movement.part in PARTS and movement.state in STATES and movement.object is None
    return movement if known else None


def joints_of(movement: Movement) -> tuple[str, ...]:
    """The names of the joints that its part's state rests on."""
    return tuple(JOINTS[joint] for joint in PART_JOINTS[movement.part])


def spans_by_rule(pose: ClipPose, movements: Sequence[Movement]) -> list[tuple[Span, ...] | None]:
    """When rules see each movement of the clip's subject, in order of time.

    A span's strength is the mean confidence of the rule's answers in it, at least SEEN: a rule says yes or no. None
    where no rule saw the movement and the part's joints are unsure for too long to say that it was not there.
    """
    body = pose.body()
    if body is None:
        return [None for _ in movements]
    states = read_states(body)
    spans = []
    for movement in movements:
        column = PARTS.index(movement.part)
        codes = states.codes[:, column]
        runs = _runs(codes == STATES.index(movement.state))
        told = (codes != LEFT_OUT).mean() >= LEAST_KNOWN
        seen = tuple(_span(pose, run, states.confidence[run, column]) for run in runs)
        spans.append(seen if seen or told else None)
    return spans


def _runs(holds: np.ndarray) -> list[list[int]]:
    """Stretches of steps in which a rule holds."""
    return [[step for step, _ in run] for yes, run in groupby(enumerate(holds.tolist()), key=lambda x: x[1]) if yes]


def _span(pose: ClipPose, run: list[int], confidence: np.ndarray) -> Span:
    start, end = (float(pose.time_s[0]) + step / GRID_RATE for step in (run[0], run[-1]))
    strength = float(np.clip(confidence.mean(), SEEN, 1))
    first, last = (round(float(np.interp(time, pose.time_s, pose.frame_index))) for time in (start, end))
    return Span(start, end, strength, first, last)


def drawn_joints(pose: ClipPose) -> dict[str, Any] | None:
    """The joints of the clip's people, for the page: in thousandths of width and height, scores from 0 to 9.

    The subject comes first. Of each person, observations about 1 / DRAWN_RATE apart or more (others: 1 / OTHERS_RATE),
    each less the one before; between them the page draws joints linear in time. Who would make more than MOST_DRAWN
    observations is left out, and whoever comes later. None where not even the subject has room, or nobody is there.
    """
    scale = np.array([THOUSAND / pose.width, THOUSAND / pose.height, SUREST])
    people, room = [], MOST_DRAWN
    for number, track in enumerate(pose.tracks[:MOST_PEOPLE]):
        rows = _apart(pose.time_s[track.rows], OTHERS_RATE if number else DRAWN_RATE)
        room -= len(rows)
        if room < 0:
            break
        values = np.rint(track.keypoints[rows] * scale).astype(int).reshape(len(rows), -1)
        frames = np.concatenate([values[:1], np.diff(values, axis=0)])
        times = [round(time, 3) for time in pose.time_s[track.rows[rows]].tolist()]
        people.append({"times_s": times, "frames": frames.tolist()})
    return {"layout": "coco17", "unit": "per mille", "delta": True, "people": people} if people else None


def _apart(time_s: Float64[np.ndarray, " T"], rate: float) -> list[int]:
    """Rows about 1 / rate apart or more, from the first on, and the last."""
    rows = [0]
    for row in range(1, len(time_s)):
        if time_s[row] - time_s[rows[-1]] > 0.9 / rate:
            rows.append(row)
    last = len(time_s) - 1
    return rows if rows[-1] == last else [*rows, last]
