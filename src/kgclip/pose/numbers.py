"""Pose numbers: what one person does in a clip as a vector, the same for left and right, with unknown left unknown."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Float64

from kgclip.pose.body import Body, measure, quantities
from kgclip.pose.motion import GRID_RATE, num_reversals
from kgclip.pose.skeleton import ANKLES, EARS, ELBOWS, EYES, HIPS, KNEES, NOSE, SHOULDERS, WRISTS

STATISTICS: tuple[str, ...] = (
    "mean",
    "deviation",
    "10 % point",
    "90 % point",
    "end minus start",
    "change",
    "90 % point of change",
    "reversals",
    "known",
)
"""Of each number over the clip: changes are absolute and from one step to the next, reversals are a second."""
LEAST_KNOWN = 3
"""With fewer known steps only the share known is given."""
REVERSAL = 0.15
"""The smallest swing that is counted, in scaled numbers."""

# What a quantity is divided by to be about one large; others are so as they are.
SCALES: dict[str, float] = {
    "elbow_deg": 45.0,
    "elbow_opening": 200.0,
    "shoulder_deg": 45.0,
    "wrist_speed": 2.0,
    "wrist_speed_out": 2.0,
    "wrist_speed_up": 2.0,
    "elbow_speed": 2.0,
    "knee_deg": 45.0,
    "knee_opening": 200.0,
    "hip_deg": 45.0,
    "thigh_deg": 45.0,
    "ankle_speed": 2.0,
    "ankle_speed_out": 2.0,
    "ankle_speed_up": 2.0,
    "knee_speed": 2.0,
    "lean_deg": 30.0,
    "lean_rate": 100.0,
    "ankles_opposed": 4.0,
}
SIGNED = frozenset(
    {
        "wrist_out",
        "elbow_out",
        "forearm_out",
        "wrist_speed_out",
        "knee_out",
        "ankle_out",
        "ankle_speed_out",
        "lean_deg",
        "lean_rate",
        "nose_out",
        "head_yaw",
        "neck_speed_out",
    }
)
"""Quantities that change their sign in the mirror image."""

# Upper edges of the bins, in the quantities' own units; the last bin is open.
BINS: dict[str, tuple[float, ...]] = {
    "elbow_deg": (70.0, 110.0, 145.0),
    "elbow_opening": (-110.0, -55.0, 55.0, 110.0),
    "shoulder_deg": (25.0, 60.0, 100.0),
    "wrist_up": (-1.0, -0.6, -0.15, 0.15, 0.5),
    "elbow_up": (-0.6, -0.25, 0.1),
    "forearm_up": (-0.3, 0.0, 0.3),
    "wrist_to_nose": (0.35, 0.7, 1.2),
    "wrist_to_hips": (0.35, 0.7),
    "reach": (0.4, 0.7, 1.0),
    "wrist_speed": (0.6, 1.5, 2.6, 3.8),
    "wrist_speed_up": (-0.7, 0.7, 2.0),
    "knee_deg": (100.0, 140.0, 160.0),
    "knee_opening": (-110.0, -40.0, 40.0, 110.0),
    "hip_deg": (100.0, 140.0, 160.0),
    "thigh_deg": (20.0, 45.0, 70.0),
    "ankle_speed": (0.6, 1.7, 4.0),
    "ankle_speed_up": (-0.7, 0.7, 2.0),
    "lean_deg": (10.0, 25.0, 45.0, 70.0),
    "lean_rate": (20.0, 60.0),
    "shoulder_width": (0.25, 0.5),
    "shoulders_facing": (-0.2, 0.2),
    "wrists_apart": (0.2, 0.45, 0.9, 1.4),
    "wrists_parting": (-1.0, 1.0),
    "ankles_apart": (0.3, 0.6, 1.0),
    "ankles_level": (0.12, 0.3),
    "ankles_opposed": (-0.5, 0.5, 2.0),
    "head_yaw": (0.03, 0.08),
    "hips_over_feet": (0.7, 1.1, 1.4),
    "hips_rising": (-0.4, 0.4),
    "neck_speed_up": (-0.4, 0.4),
    "neck_speed_out": (0.4, 1.2),
}
SCORES: dict[str, tuple[int, ...]] = {
    "face": (NOSE, *EYES),
    "ears": EARS,
    "shoulders": SHOULDERS,
    "elbows": ELBOWS,
    "wrists": WRISTS,
    "hips": HIPS,
    "knees": KNEES,
    "ankles": ANKLES,
}


def clip_numbers(bodies: Sequence[Body | None]) -> tuple[Float32[np.ndarray, "B S"], tuple[str, ...]]:
    """The numbers of clips and their names; NaN where unknown, all of a clip in which nobody was seen (None)."""
    rows = [None if body is None else _clip_numbers(body) for body in bodies]
    names = number_names()
    unknown = np.full(len(names), np.nan)
    return np.stack([unknown if row is None else row for row in rows]).astype(np.float32), names


def frame_numbers(body: Body) -> tuple[Float64[np.ndarray, "T F"], list[str]]:
    """The numbers of each step of the grid and their names; NaN where unknown.

    A pair becomes its larger and its smaller value; a signed pair its spread (left minus right) and half the absolute
    sum, both the same in the mirror image. A signed single becomes its absolute value. All are divided by their scale.
    """
    columns = {name: values / SCALES.get(name.split()[0], 1) for name, values in _side_free(body).items()}
    for name, joints in SCORES.items():
        columns[f"{name} score"] = body.keypoints[:, list(joints), 2].mean(1)
    return np.stack(list(columns.values()), axis=1), list(columns)


@cache
def number_names() -> tuple[str, ...]:
    """The names of the numbers of a clip, in their order."""
    nobody = measure(np.zeros((1, 17, 3)))
    return (*(f"{name}: {word}" for name in frame_numbers(nobody)[1] for word in STATISTICS), *_shares(nobody))


def _clip_numbers(body: Body) -> Float64[np.ndarray, " S"]:
    values, _ = frame_numbers(body)
    return np.concatenate([_statistics(values).ravel(), np.array(list(_shares(body).values()))])


def _side_free(body: Body) -> dict[str, Float[np.ndarray, " T"]]:
    """The quantities of a body, those of pairs without a side, by name."""
    columns: dict[str, np.ndarray] = {}
    for name, pair in (quantities(body.arms) | quantities(body.legs)).items():
        left, right = pair.T
        if name in SIGNED:
            columns |= {f"{name} spread": left - right, f"{name} common": np.abs(left + right) / 2}
        else:
            columns |= {f"{name} larger": np.fmax(left, right), f"{name} smaller": np.fmin(left, right)}
    for name, values in quantities(body.trunk).items():
        columns[name] = np.abs(values) if name in SIGNED else values
    return columns


def _statistics(values: Float[np.ndarray, "T F"]) -> Float64[np.ndarray, "F N"]:
    """`STATISTICS` of each number over a clip."""
    size = len(values)
    result = np.full((values.shape[1], len(STATISTICS)), np.nan)
    known = ~np.isnan(values.T)
    count = known.sum(1)
    result[:, -1] = count / size
    enough = count >= LEAST_KNOWN
    rows, known = np.ascontiguousarray(values.T[enough]), known[enough]
    if not len(rows):
        return result
    filled = rows.copy()
    for row in np.flatnonzero(~known.all(1)):
        steps = np.flatnonzero(known[row])
        filled[row] = np.interp(np.arange(size), steps, rows[row, steps])
    third = max(1, size // 3)
    change = np.abs(np.diff(filled, axis=1))
    columns = (
        np.nanmean(rows, axis=1),
        np.nanstd(rows, axis=1),
        *np.nanpercentile(rows, (10, 90), axis=1),
        filled[:, -third:].mean(1) - filled[:, :third].mean(1),
        change.mean(1),
        np.percentile(change, 90, axis=1),
        np.array([num_reversals(row, REVERSAL) for row in rows]) / size * GRID_RATE,
    )
    result[enough, :-1] = np.stack(columns, axis=1)
    return result


def _shares(body: Body) -> dict[str, float]:
    """Shares of the clip's steps in which a quantity lies in a bin."""
    shares: dict[str, float] = {}
    for name, values in _side_free(body).items():
        edges = BINS.get(name.split()[0])
        if edges is not None:
            shares |= _bin_shares(name, values, edges)
    return shares


def _bin_shares(name: str, values: Float[np.ndarray, " T"], edges: tuple[float, ...]) -> dict[str, float]:
    """Of all steps: where a quantity is unknown, its shares sum to less than one."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.digitize(known, edges), minlength=len(edges) + 1)
    bounds = ("", *(f"{edge:g}" for edge in edges), "")
    return {f"{name} {low}..{high}": c / len(values) for low, high, c in zip(bounds, bounds[1:], counts, strict=False)}
