"""Time: the grid, rates, runs and reversals."""

import numpy as np
import pytest

from kgclip.pose import motion
from tests.pose.figures import figure


def test_the_grid_has_thirty_steps_a_second():
    assert motion.grid_times(np.array([1.0, 1.5, 2.0])) == pytest.approx(1 + np.arange(31) / 30)
    assert len(motion.grid_times(np.array([0.4]))) == 1


def test_positions_between_observations_are_linear_and_scores_the_lower():
    keypoints = figure(2)
    keypoints[1, 9] = [332, 205, 0.3]  # left wrist, 100 px farther
    time_s = np.array([0.0, 0.1])
    grid = motion.on_grid(keypoints, time_s, motion.grid_times(time_s))
    assert grid[:, 9, 0] == pytest.approx([232, 232 + 100 / 3, 232 + 200 / 3, 332])
    assert grid[:, 9, 2] == pytest.approx([0.9, 0.3, 0.3, 0.3])


def test_a_person_is_unknown_outside_of_the_track_and_in_long_gaps():
    keypoints = figure(4)
    observed_s, clip_s = np.array([0.2, 0.4, 1.0, 1.1]), np.arange(46) / 30
    score = motion.on_grid(keypoints, observed_s, clip_s)[:, 0, 2]
    known = [0.2 - 0.02 <= t <= 0.4 + 0.02 or 1.0 - 0.02 <= t <= 1.1 + 0.02 for t in clip_s]
    assert (score > 0).tolist() == known
    assert score[12] == pytest.approx(0.9)


@pytest.mark.parametrize("gap_s", [4 / 7, 0.64, 1.0, 1.23])
def test_the_step_nearest_to_an_observation_shows_it_also_beside_long_gaps(gap_s: float):
    observed_s = np.arange(5) * gap_s
    keypoints = figure(5)
    keypoints[:, 0, 0] = np.arange(5)
    grid = motion.on_grid(keypoints, observed_s, motion.grid_times(observed_s))
    steps = np.rint(observed_s * motion.GRID_RATE).astype(int)
    assert grid[steps, 0, 0] == pytest.approx(np.arange(5))
    assert grid[steps, 0, 2] == pytest.approx(0.9)
    assert (grid[steps[:-1] + 5, 0, 2] == 0).all()


def test_smoothing_leaves_a_line_and_ignores_unknown_joints():
    keypoints = figure(7).astype(np.float64)
    keypoints[:, 9, 0] = np.arange(7) * 10
    keypoints[3, 10] = [900, 900, 0.1]  # right wrist astray, and known to be unsure
    smoothed = motion.smooth(keypoints)
    assert smoothed[1:-1, 9, 0] == pytest.approx(np.arange(1, 6) * 10)
    assert smoothed[2, 10, :2] == pytest.approx([168, 205], abs=0.1)
    assert smoothed[3, 10, 2] == pytest.approx(0.1)


def test_rates_are_a_second_and_unknown_beside_unknown_values():
    values = np.arange(9) * 2.0
    assert motion.rate(values) == pytest.approx(60)
    values[4] = np.nan
    assert np.flatnonzero(np.isnan(motion.rate(values))).tolist() == [2, 6]


@pytest.mark.parametrize(
    ("values", "amplitude", "count"),
    [
        ([0, 1, 0, 1, 0], 0.5, 3),
        ([0, 1, 0.8, 1.5, 0], 0.5, 1),
        ([0, 1, np.nan, 0, 1], 0.5, 2),
        ([0, 0.4, 0, 0.4], 0.5, 0),
        ([0, 1, 2, 3], 0.5, 0),
        ([], 0.5, 0),
        ([np.nan], 0.5, 0),
    ],
)
def test_reversals(values: list[float], amplitude: float, count: int):
    assert motion.num_reversals(np.array(values, dtype=float), amplitude) == count


def test_reversals_around_see_their_window_only():
    values = np.array([0.0, 1, 0, 1, 1, 1, 1])
    assert motion.reversals_around(values, 0.5, 1).tolist() == [0, 1, 1, 0, 0, 0, 0]


def test_spread_and_deviation_of_known_values():
    values = np.array([1.0, 4, np.nan, 2, np.nan, np.nan, np.nan])
    assert motion.spread(values, 1) == pytest.approx([3, 3, 2, 0, 0, np.nan, np.nan], nan_ok=True)
    assert motion.deviation(values, 1, 2) == pytest.approx([1.5, 1.5, 1, np.nan, np.nan, np.nan, np.nan], nan_ok=True)


def test_hysteresis():
    values = np.array([0.12, 0.2, 0.12, 0.09, 0.12, 0.2, np.nan, 0.12])
    expected = [False, True, True, False, False, True, False, False]
    assert motion.hysteresis(values, 0.15, 0.1).tolist() == expected
    pairs = np.stack([values, values[::-1]], axis=1)
    assert motion.hysteresis(pairs, 0.15, 0.1)[:, 0].tolist() == expected
    assert motion.hysteresis(pairs, 0.15, 0.1)[:, 1].tolist() == [False, False, True, True, False, False, True, True]
