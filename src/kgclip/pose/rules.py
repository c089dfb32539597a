"""The rules that read part states off a body, one function each; docs/pose.md tells what they look for.

A rule of arms, hands, legs or feet gives a column for the left and one for the right side. Of a part's rules the first
that holds names the state. Comparisons with unknown quantities are false: a rule never fires on joints that are unsure.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from kgclip.pose.body import Body, Pair
from kgclip.pose.motion import deviation, hysteresis, reversals_around, spread

Holds = Bool[np.ndarray, "T ..."]
Rule = Callable[[Body], Holds]

# Heights and distances in torso lengths, speeds in torso lengths a second, angles in degrees, times in grid steps.
MARGIN = 0.05
"""A height or distance that made a state true may fall back by this before the state ends."""
MARGIN_DEG = 5.0
"""The same for angles."""


def _over(values: Float[np.ndarray, "T ..."], threshold: float, margin: float) -> Holds:
    return hysteresis(values, threshold, threshold - margin)


def _under(values: Float[np.ndarray, "T ..."], threshold: float, margin: float) -> Holds:
    return hysteresis(-values, -threshold, -threshold - margin)


def _other(pair: Pair) -> Pair:
    return pair[:, ::-1]


def _both(single: Bool[np.ndarray, " T"]) -> Holds:
    return np.stack([single, single], axis=1)


# ---- arms and hands -------------------------------------------------------------------------------------------------


def arm_pulls(body: Body) -> Holds:
    """The elbow closes while the wrist is overhead."""
    return (body.arms.elbow_opening < -55) & (body.arms.wrist_up > 0.7)


def arm_pushes(body: Body) -> Holds:
    """The elbow opens and the wrist goes outwards at chest height; or the body leans into an outstretched arm."""
    arms, lean = body.arms, body.trunk.lean_deg[:, None]
    outwards = np.sign(arms.wrist_out) * arms.wrist_speed_out > 0.63
    at_chest = (arms.wrist_up > -0.75) & (arms.wrist_up < 0.15)
    leaning = (np.abs(lean) > 22) & (np.sign(lean) * arms.wrist_out > 0.7) & (arms.wrist_up > -0.9)
    return ((arms.elbow_opening > 55) & outwards & at_chest) | leaning


def arm_swings(body: Body) -> Holds:
    """The wrist is fast."""
    return _over(body.arms.wrist_speed, 2.6, 0.4)


def arm_is_raised(body: Body) -> Holds:
    """The wrist is above the shoulder."""
    return _over(body.arms.wrist_up, 0.15, MARGIN)


def arm_is_lifted(body: Body) -> Holds:
    """The wrist or the elbow is at shoulder height."""
    return _over(body.arms.wrist_up, -0.21, MARGIN) | _over(body.arms.elbow_up, -0.21, MARGIN)


def arm_is_bent(body: Body) -> Holds:
    """The elbow is bent."""
    return _under(body.arms.elbow_deg, 125.0, MARGIN_DEG)


def hands_hold(body: Body) -> Holds:
    """The hands stay together for 0.4 s; or both are overhead and still."""
    apart, arms = body.trunk.wrists_apart, body.arms
    together = _under(apart, 0.45, MARGIN) & (deviation(apart, 6, 6) < 0.15)
    overhead = (arms.wrist_up > 0.7).all(1) & (np.fmax(*arms.wrist_speed.T) < 0.6)
    return _both(together | overhead)


def hand_waves(body: Body) -> Holds:
    """The forearm points up and swings to and fro."""
    arms = body.arms
    angle = np.degrees(np.arctan2(arms.forearm_out, arms.forearm_up))
    turns = np.stack([reversals_around(side, 10.0, 12) for side in angle.T], axis=1)
    return (arms.forearm_up > 0.1) & (spread(angle, 12) > 56) & (turns >= 1)


def hand_rises(body: Body) -> Holds:
    """The wrist goes up fast."""
    return _over(body.arms.wrist_speed_up, 0.98, 0.15)


# ---- legs and feet --------------------------------------------------------------------------------------------------


def leg_kicks(body: Body) -> Holds:
    """The ankle is very fast, much faster than the other, while the knee opens."""
    legs = body.legs
    return (legs.ankle_speed > 4) & (legs.ankle_speed > 1.7 * _other(legs.ankle_speed)) & (legs.knee_opening > 0)


def leg_steps_on(body: Body) -> Holds:
    """The foot is well above the other and the knee is bent."""
    legs = body.legs
    return _over(legs.ankle_up - _other(legs.ankle_up), 0.28, MARGIN) & _under(legs.knee_deg, 140.0, MARGIN_DEG)


def legs_step(body: Body) -> Holds:
    """The ankles move fast in opposite directions."""
    legs = body.legs
    out = legs.ankle_speed_out - _other(legs.ankle_speed_out)
    up = legs.ankle_speed_up - _other(legs.ankle_speed_up)
    return _over(np.hypot(out, up), 1.7, 0.2) & (body.trunk.ankles_opposed > 0)[:, None]


def leg_is_raised(body: Body) -> Holds:
    """The foot is above the other; or the straight leg is far from vertical."""
    legs = body.legs
    above = _over(legs.ankle_up - _other(legs.ankle_up), 0.5, MARGIN)
    return above | ((legs.thigh_deg > 60) & (legs.knee_deg > 140))


def leg_is_bent(body: Body) -> Holds:
    """The knee is bent."""
    return _under(body.legs.knee_deg, 140.0, MARGIN_DEG)


def leg_stands(body: Body) -> Holds:
    """The body is upright, and neither the ankle nor the hips move."""
    legs, trunk = body.legs, body.trunk
    upright = (np.abs(trunk.lean_deg) < 17.5) & (np.abs(trunk.hips_speed_up) < 1.6)
    return upright[:, None] & (legs.ankle_speed < 1.6)


def foot_stands(body: Body) -> Holds:
    """As the leg, with a knee that is not bent."""
    return leg_stands(body) & ~leg_is_bent(body)


# ---- hip ------------------------------------------------------------------------------------------------------------


def hip_sits(body: Body) -> Holds:
    """Both thighs are far from vertical; or the hips sink towards the feet."""
    return _over(np.fmin(*body.legs.thigh_deg.T), 55.0, MARGIN_DEG) | (body.trunk.hips_rising < -1.5)


def hip_stoops(body: Body) -> Holds:
    """The torso is far from vertical."""
    return _over(np.abs(body.trunk.lean_deg), 35.0, MARGIN_DEG)


def hip_is_bent(body: Body) -> Holds:
    """The angle between torso and a thigh is small."""
    return _under(np.fmin(*body.legs.hip_deg.T), 98.0, MARGIN_DEG)


# Part → its rules in order, and the state where none holds.
RULES: dict[str, tuple[tuple[tuple[str, Rule], ...], str]] = {
    "arm": (
        (
            ("pull", arm_pulls),
            ("push", arm_pushes),
            ("swing", arm_swings),
            ("raise", arm_is_raised),
            ("lift", arm_is_lifted),
            ("bend", arm_is_bent),
        ),
        "unbend",
    ),
    "hand": (
        (
            ("hold", hands_hold),
            ("wave", hand_waves),
            ("swing", arm_swings),
            ("push", arm_pushes),
            ("raise", arm_is_raised),
            ("lift", hand_rises),
        ),
        "none",
    ),
    "leg": (
        (
            ("kick", leg_kicks),
            ("step on", leg_steps_on),
            ("step", legs_step),
            ("raise", leg_is_raised),
            ("bend", leg_is_bent),
            ("stand", leg_stands),
        ),
        "unbend",
    ),
    "foot": (
        (
            ("kick", leg_kicks),
            ("step on", leg_steps_on),
            ("step", legs_step),
            ("raise", leg_is_raised),
            ("stand", foot_stands),
        ),
        "none",
    ),
    "hip": (
        (
            ("sit", hip_sits),
            ("stoop", hip_stoops),
            ("bend", hip_is_bent),
        ),
        "none",
    ),
}
