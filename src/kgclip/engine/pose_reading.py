"""What rules read from a clip's pose: when each movement was seen, by which joints, and the joints to be drawn."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from kgclip.engine.explanation import SEEN, Span
from kgclip.errors import KgclipError
from kgclip.kg.movement import Movement
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.motion import GRID_RATE, on_grid
from kgclip.pose.skeleton import JOINTS
from kgclip.pose.states import LEFT_OUT, PART_JOINTS, PARTS, STATES, read_states

# A part whose joints are unsure for longer than this share of the clip may have moved unseen.
LEAST_KNOWN = 0.5
# Of longer clips the joints would take more room than the rest of the page.
MOST_DRAWN = 400
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


def drawn_joints(pose: ClipPose, num_frames: int, fps: float) -> dict[str, Any] | None:
    """The subject's joints in every frame, for the page: in thousandths of width and height, scores from 0 to 9.

    Between observed frames they are linear in time; each frame is given less the one before. None for clips that are
    too long, or without a person.
    """
    if num_frames > MOST_DRAWN or not pose.tracks:
        return None
    track = pose.tracks[0]
    times = np.arange(num_frames) / fps
    joints = on_grid(track.keypoints, pose.time_s[track.rows], times)
    scale = np.array([THOUSAND / pose.width, THOUSAND / pose.height, SUREST])
    values = np.rint(joints * scale).astype(int).reshape(num_frames, -1)
    frames = np.concatenate([values[:1], np.diff(values, axis=0)])
    return {"layout": "coco17", "unit": "per mille", "delta": True, "frames": frames.tolist()}
