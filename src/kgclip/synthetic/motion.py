"""How each state moves: joint-angle curves over one cycle, as tables that are looked up for whole batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Int64

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import kind_of, options

STEPS = 256
"""Samples of one cycle in the tables; nearest sample is taken, 1.4 degrees of phase apart."""

JOINTS: dict[str, dict[str, float]] = {
    # pitch: down; yaw: to the person's left; roll: towards the person's left shoulder
    "head": {"pitch": 0, "yaw": 0, "roll": 0},
    # body_*: the whole figure; spine_*: the trunk over the pelvis; side, rise: shifts in body heights; seat, hang: 0..1
    "hip": {
        "body_pitch": 0, "body_yaw": 0, "body_roll": 0, "spine_pitch": 0, "spine_yaw": 0, "spine_roll": 0,
        "side": 0, "rise": 0, "seat": 0, "hang": 0,
    },
    # raise: 0 hanging, 90 level, 180 overhead; out: where the raised arm points, 0 forward, 90 sideways; twist: turns
    # the plane in which the elbow bends inwards
    "arm": {"raise": 8, "out": 70, "twist": 0, "elbow": 12},
    # flex: towards the palm; aside: towards the thumb; size: of the hand; meet: 0..1, how far both hands are drawn
    # together before the chest; apart: of hands that meet; spin: of what is held; fly: 0..1, of what is thrown
    "hand": {"flex": 0, "aside": 0, "size": 1, "meet": 0, "apart": 0, "spin": 0, "fly": 0},
    # forward, out: of the thigh; knee: heel towards the thigh
    "leg": {"forward": 0, "out": 4, "knee": 2},
    # point: toes down; out: toes outwards
    "foot": {"point": 0, "out": 8},
}  # fmt: skip
"""Kind -> joint -> its value at rest, in degrees unless said; the right limbs' angles are mirrored."""


@dataclass(frozen=True)
class Curve:
    """A joint's course over one cycle: from ``low`` to ``high`` and back, ``times`` times, ``late`` cycles late.

    ``sharp`` > 1 stays at ``low`` longer and passes ``high`` quickly. ``turn`` runs evenly from ``low`` to ``high``.
    """

    low: int | float
    high: int | float
    times: int = 1
    late: float = 0.0
    sharp: int | float = 1.0
    turn: bool = False

    def sample(self) -> np.ndarray:
        """Evaluate the curve at ``STEPS`` phases."""
        phase = (np.arange(STEPS) / STEPS - self.late) * self.times % 1.0
        share = phase if self.turn else ((1 - np.cos(2 * np.pi * phase)) / 2) ** self.sharp
        return self.low + (self.high - self.low) * share


Motion = Mapping[str, Curve | float]

MOTIONS: dict[str, dict[str, Motion]] = {
    "head": {
        "nod": {"pitch": Curve(-20, 50, times=2)},
        "shake": {"yaw": Curve(-70, 70, times=2)},
        "turn": {"yaw": Curve(55, 85)},
        "raise": {"pitch": Curve(-58, -46)},
        "bend": {"pitch": Curve(50, 62)},
        "sway": {"roll": Curve(-40, 40)},
    },
    "hip": {
        "bend": {"spine_pitch": Curve(5, 70)},
        "stoop": {"spine_pitch": Curve(76, 86)},
        "sit": {"seat": 1},
        "turn": {"body_yaw": Curve(-40, 40), "spine_yaw": Curve(-25, 25)},
        "shake": {"side": Curve(-0.08, 0.08, times=2), "spine_roll": Curve(16, -16, times=2)},
        "sway": {"spine_roll": Curve(-32, 32)},
        "swing": {"body_pitch": Curve(-28, 28)},
        "jump": {"rise": Curve(0, 0.2)},
        "lie": {"body_pitch": -86, "rise": Curve(0.26, 0.32)},
        "press": {"body_pitch": 78},
        "upturn": {"body_pitch": Curve(168, 192)},
        "hang": {"hang": 1},
    },
    "arm": {
        "bend": {"raise": 10, "out": 20, "elbow": Curve(15, 140)},
        "unbend": {"raise": 84, "out": 85, "elbow": Curve(110, 0)},
        "raise": {"raise": Curve(5, 105), "out": 4, "elbow": 2},
        "lift": {"raise": Curve(5, 105), "out": 88, "elbow": 4},
        "upturn": {"raise": Curve(155, 176), "out": 60, "elbow": 6},
        "swing": {"raise": Curve(-50, 60), "out": 3, "elbow": 8},
        "heft": {"raise": Curve(48, 174), "out": 12, "elbow": Curve(145, 0)},
        "push": {"raise": Curve(-15, 88), "out": 18, "elbow": Curve(112, 0)},
        "pull": {"raise": Curve(174, 42), "out": 82, "elbow": Curve(0, 118)},
        "sweep": {"raise": 84, "out": Curve(-45, 110), "elbow": 8},
        "hug": {"raise": 62, "out": Curve(0, 18), "twist": 80, "elbow": 108},
        "carry": {"raise": 14, "out": 10, "elbow": Curve(82, 98)},
        "throw": {"raise": Curve(165, 35, sharp=2), "out": 20, "elbow": Curve(110, 5, sharp=2)},
        "turn": {"raise": Curve(0, 360, turn=True), "out": 6, "elbow": 4},
        "shake": {"raise": 38, "out": 50, "elbow": Curve(55, 115, times=3)},
        "strike": {"raise": Curve(34, 88, sharp=3), "out": 0, "elbow": Curve(142, 0, sharp=3)},
    },
    "hand": {
        "hold": {"size": 0.9},
        "wave": {"aside": Curve(-70, 70, times=2), "size": 1.4},
        "clap": {"meet": 0.8, "apart": Curve(0, 1, times=2), "size": 1.3},
        "strike": {"size": Curve(1.2, 1.9, sharp=3), "flex": 0},
        "throw": {"fly": Curve(0, 1, late=0.1), "flex": Curve(-45, 45)},
        "swing": {"spin": Curve(-75, 75), "flex": Curve(-40, 40)},
        "press": {"flex": -85, "size": 1.3},
        "pull": {"flex": 80, "size": 0.9},
        "turn": {"flex": Curve(-50, 50), "aside": Curve(-50, 50, late=0.25), "spin": Curve(0, 360, turn=True)},
        "grab": {"size": Curve(0.6, 1.8, times=2), "flex": 30},
        "loosen": {"size": Curve(1.7, 1.9), "flex": -20},
    },
    "leg": {
        "stand": {"out": 22},
        "bend": {"forward": Curve(8, 78), "knee": Curve(12, 128)},
        "unbend": {"forward": 76, "knee": Curve(100, 0)},
        "kick": {"forward": Curve(-28, 95, sharp=1.5), "knee": Curve(45, 0)},
        "step": {"forward": Curve(-30, 40), "knee": Curve(4, 66, late=-0.25)},
        "slide": {"out": Curve(2, 46)},
        "raise": {"forward": Curve(2, 98), "knee": Curve(4, 98)},
        "lift": {"forward": -4, "knee": Curve(8, 120)},
        "kneel": {"forward": 6, "knee": 96},
        "shake": {"forward": Curve(0, 30, times=3), "knee": Curve(0, 50, times=3)},
    },
    "foot": {
        "tiptoe": {"point": 62},
        "slide": {"out": Curve(-15, 65)},
        "pat": {"point": Curve(-38, 25, times=2)},
        "turn": {"out": 80},
        "raise": {"point": -42},
        "step on": {},
    },
}
"""Kind -> state -> the joints that the state moves away from rest."""

ALTERNATING = frozenset(
    {("arm", "swing"), ("arm", "strike"), ("arm", "turn"), ("hand", "throw"), ("leg", "step"), ("leg", "raise"),
     ("leg", "kick"), ("leg", "lift"), ("leg", "shake"), ("foot", "pat")}
)  # fmt: skip
"""(kind, state) whose right limb is half a cycle behind the left one."""

POSTURES = frozenset({"sit", "lie", "press", "upturn", "hang", "stoop"})
"""States of the hip that hold the whole figure, so that a clip keeps them from its first frame to its last."""


@cache
def _table(kind: str) -> np.ndarray:
    """Joint values of every code of a kind of part: float32 [codes, STEPS, joints]."""
    table = np.empty((len(options(kind)), STEPS, len(JOINTS[kind])), dtype=np.float32)
    for code, (state, _) in enumerate(options(kind)):
        curves = {**JOINTS[kind], **MOTIONS[kind].get(state, {})}
        for joint, curve in enumerate(curves.values()):
            table[code, :, joint] = curve.sample() if isinstance(curve, Curve) else curve
    return table


@dataclass(frozen=True, eq=False)
class Motions:
    """N independent moments of figures' movements.

    Attributes:
        codes: what each part does, in the order of ``PARTS``; see ``actions.options``.
        phases: where in its cycle each part is, in [0, 1) (any number: taken modulo 1).
        activity: how far each part is from rest to its state, in [0, 1].
    """

    codes: Int64[np.ndarray, "N 10"]
    phases: Float32[np.ndarray, "N 10"]
    activity: Float32[np.ndarray, "N 10"]


def joint_values(motions: Motions) -> dict[str, dict[str, Float32[np.ndarray, " N"]]]:
    """Look up the joints: part -> joint -> values."""
    values = {}
    for column, part in enumerate(PARTS):
        kind = kind_of(part)
        codes, phases = motions.codes[:, column], motions.phases[:, column]
        if part.startswith("right "):
            late = [0.5 if (kind, state) in ALTERNATING else 0 for state, _ in options(kind)]
            phases = phases + np.array(late, dtype=np.float32)[codes]
        steps = np.floor(phases * STEPS).astype(np.int64) % STEPS
        rest = _table(kind)[0, 0]
        moved = rest + motions.activity[:, column, None] * (_table(kind)[codes, steps] - rest)
        values[part] = dict(zip(JOINTS[kind], moved.T, strict=True))
    return values
