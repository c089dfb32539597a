"""Keypoints and quantities over time: an even grid, smoothing, rates, runs and reversals."""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from kgclip.pose.skeleton import KNOWN_SCORE, PersonTrack

GRID_RATE = 30.0
"""Steps a second of the grid on which all rules and numbers are computed, so that frame rates do not matter."""
LONGEST_GAP_S = 0.5
"""Between two observations farther apart, a person is unknown."""
AT_OBSERVATION = 0.02
"""A step nearer to an observation than this share of the way to the next is taken to be at it."""
RATE_STEPS = 2
"""A rate is taken over this many steps to either side (1/15 s)."""

Series = Float[np.ndarray, "T ..."]


def on_grid(
    keypoints: PersonTrack, time_s: Float64[np.ndarray, " T"], grid_s: Float64[np.ndarray, " T2"]
) -> Float64[np.ndarray, "T2 17 3"]:
    """Keypoints at the times of a grid: positions linear in time, the lower score of the two observations around.

    Beyond the first and last observation, and inside gaps longer than `LONGEST_GAP_S`, scores are 0, but for the steps
    that are nearest to an observation.
    """
    after = np.clip(np.searchsorted(time_s, grid_s), 1, max(len(time_s) - 1, 1)).clip(max=len(time_s) - 1)
    before = np.maximum(after - 1, 0)
    span = time_s[after] - time_s[before]
    share = np.clip((grid_s - time_s[before]) / np.where(span > 0, span, 1), 0, 1)
    # A step this close to an observation is that observation: the times in files are rounded.
    share = np.where(share < AT_OBSERVATION, 0, np.where(share > 1 - AT_OBSERVATION, 1, share))
    between = (share > 0) & (share < 1)
    first, last = keypoints[before].astype(np.float64), keypoints[after].astype(np.float64)
    result = first + (last - first) * share[:, None, None]
    result[between, :, 2] = np.minimum(first, last)[between, :, 2]
    half_step = 0.5 / GRID_RATE + 1e-9
    unknown = between & (span > LONGEST_GAP_S)
    for near, observed in ((grid_s - time_s[before], first), (time_s[after] - grid_s, last)):
        at = unknown & (near <= half_step)
        result[at], unknown = observed[at], unknown & ~at
    outside = (grid_s < time_s[0] - half_step) | (grid_s > time_s[-1] + half_step)
    result[outside | unknown, :, 2] = 0
    return result


def grid_times(time_s: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T2"]:
    """The steps of the grid from the first to the last of these times."""
    return time_s[0] + np.arange(round((time_s[-1] - time_s[0]) * GRID_RATE) + 1) / GRID_RATE


def smooth(keypoints: Float64[np.ndarray, "T 17 3"]) -> Float64[np.ndarray, "T 17 3"]:
    """Positions averaged over three steps, weighted ¼, ½, ¼ times the score; unknown joints hardly count."""
    weight = np.where(keypoints[:, :, 2:] >= KNOWN_SCORE, keypoints[:, :, 2:], 0) + 1e-4
    ends = ((1, 1), (0, 0), (0, 0))
    weighted = np.pad(keypoints[:, :, :2] * weight, ends, mode="edge")
    weight = np.pad(weight, ends, mode="edge")
    total = weighted[:-2] + 2 * weighted[1:-1] + weighted[2:]
    return np.concatenate([total / (weight[:-2] + 2 * weight[1:-1] + weight[2:]), keypoints[:, :, 2:]], axis=2)


def rate(values: Series) -> Series:
    """Change a second, over `RATE_STEPS` to either side, one-sided at the ends; unknown where either value is."""
    steps = np.arange(len(values))
    before, after = np.maximum(steps - RATE_STEPS, 0), np.minimum(steps + RATE_STEPS, len(values) - 1)
    elapsed_s = np.maximum(after - before, 1) / GRID_RATE
    return (values[after] - values[before]) / elapsed_s.reshape(-1, *[1] * (values.ndim - 1))


def windows(values: Series, steps: int) -> Float[np.ndarray, "... W"]:
    """The values up to `steps` before and after each step, NaN beyond the ends, in a new last axis."""
    ends = [(steps, steps), *[(0, 0)] * (values.ndim - 1)]
    padded = np.pad(values.astype(np.float64), ends, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * steps + 1, axis=0)


def spread(values: Series, steps: int) -> Series:
    """Largest minus smallest known value within `steps`; NaN where none is known."""
    around = windows(values, steps)
    known = ~np.isnan(around)
    high = np.where(known, around, -np.inf).max(-1)
    low = np.where(known, around, np.inf).min(-1)
    return np.where(known.any(-1), high - low, np.nan)


def deviation(values: Series, steps: int, least: int) -> Series:
    """Standard deviation within `steps`; NaN where fewer than `least` values are known."""
    around = windows(values, steps)
    known = ~np.isnan(around)
    count = np.maximum(known.sum(-1), 1)
    mean = np.where(known, around, 0).sum(-1) / count
    variance = np.where(known, (around - mean[..., None]) ** 2, 0).sum(-1) / count
    return np.where(known.sum(-1) >= least, np.sqrt(variance), np.nan)


def num_reversals(values: Float[np.ndarray, " T"], amplitude: float) -> int:
    """How often a quantity turns round, counting swings of at least `amplitude`; unknown values are passed over."""
    known = values[~np.isnan(values)].tolist()
    if not known:
        return 0
    count, direction, extreme = 0, 0.0, known[0]
    for value in known[1:]:
        change = value - extreme
        if direction == 0:
            if abs(change) >= amplitude:
                direction, extreme = math.copysign(1, change), value
        elif change * direction > 0:
            extreme = value
        elif abs(change) >= amplitude:
            count, direction, extreme = count + 1, -direction, value
    return count


def reversals_around(values: Float[np.ndarray, " T"], amplitude: float, steps: int) -> Int[np.ndarray, " T"]:
    """`num_reversals` of the values within `steps`, for each step."""
    return np.array([num_reversals(around, amplitude) for around in windows(values, steps)], dtype=np.int64)


def hysteresis(values: Series, enter: float, leave: float) -> Bool[np.ndarray, "T ..."]:
    """True from where a quantity exceeds `enter` until it falls below `leave`; an unknown value ends it."""
    decided = np.where(values > enter, 1, np.where(values < leave, 0, -1))
    decided = np.where(np.isnan(values), 0, decided)
    decided[0] = np.maximum(decided[0], 0)
    steps = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last_decided = np.maximum.accumulate(np.where(decided >= 0, steps, 0), axis=0)
    return np.take_along_axis(decided, last_decided, axis=0) == 1
