"""Pose numbers: free of sides, unknown where unknown, right on cases worked out by hand."""

import numpy as np
import pytest

from kgclip.pose import numbers
from kgclip.pose.skeleton import OTHER_SIDE
from tests.pose.figures import body, figure, line


def wave(steps: int = 31) -> np.ndarray:
    keypoints = figure(steps, left_elbow=(260, 130), left_wrist=line((240, 60), (1.5, 0.5), steps))
    keypoints[5:9, 7, 2] = 0.1
    return keypoints


def mirrored(keypoints: np.ndarray) -> np.ndarray:
    turned = keypoints[:, OTHER_SIDE].copy()
    turned[:, :, 0] = 400 - turned[:, :, 0]
    return turned


def test_a_mirrored_clip_has_the_same_numbers():
    both, names = numbers.clip_numbers([body(wave()), body(mirrored(wave()))])
    assert both.shape == (2, len(names))
    assert both[0] == pytest.approx(both[1], abs=1e-4, nan_ok=True)
    still, _ = numbers.clip_numbers([body(figure())])
    assert np.nanmax(np.abs(still[0] - both[0])) > 0.5


def test_names_are_distinct_and_as_many_as_numbers():
    values, names = numbers.clip_numbers([body(wave()), None])
    assert names == numbers.number_names()
    assert len(set(names)) == len(names) == values.shape[1]
    assert np.isnan(values[1]).all()


def test_frame_numbers_by_hand():
    keypoints = figure(left_elbow=(275, 100), left_wrist=(325, 100))
    values, names = numbers.frame_numbers(body(keypoints))
    row = dict(zip(names, values[15], strict=True))
    assert row["wrist_up larger"] == pytest.approx(0)
    assert row["wrist_up smaller"] == pytest.approx(-1.05)
    assert row["wrist_out spread"] == pytest.approx(1.25 + 0.32)
    assert row["wrist_out common"] == pytest.approx((1.25 - 0.32) / 2)
    assert row["elbow_deg larger"] == pytest.approx(180 / 45, abs=0.01)
    assert row["lean_deg"] == pytest.approx(0)
    assert row["wrists score"] == pytest.approx(0.9)


def test_statistics_by_hand():
    keypoints = figure(left_elbow=(275, 100), left_wrist=line((300, 130), (0, -1)))
    keypoints[:, 10, 2] = 0.1  # the right wrist is never sure
    values, names = numbers.clip_numbers([body(keypoints)])
    row = dict(zip(names, values[0], strict=True))
    assert row["wrist_up larger: mean"] == pytest.approx(-0.3 + 0.5, abs=0.01)
    assert row["wrist_up larger: end minus start"] == pytest.approx(21 / 30, abs=0.01)
    assert row["wrist_up larger: change"] == pytest.approx(1 / 30, abs=0.002)
    assert row["wrist_up larger: reversals"] == 0
    assert row["wrist_up larger: known"] == 1
    assert np.isnan(row["wrists_apart: mean"])
    assert row["wrists_apart: known"] == 0
    # The left wrist passes from -0.3 to 0.7: 4 or 5 steps of 31 below -0.15, 6 above 0.5.
    assert row["wrist_up larger -0.6..-0.15"] == pytest.approx(5 / 31, abs=0.04)
    assert row["wrist_up larger 0.5.."] == pytest.approx(6 / 31, abs=0.04)
    assert sum(v for n, v in row.items() if n.startswith("wrist_up larger ") and ".." in n) == pytest.approx(1)
    assert sum(v for n, v in row.items() if n.startswith("wrists_apart ") and ".." in n) == 0


def test_statistics_of_what_is_partly_known():
    column = np.array([np.nan, 4.0, 1.0, np.nan, 5.0, 9.0, np.nan, 2.0, 6.0, np.nan])
    few = np.where(np.arange(10) < 2, 1.0, np.nan)
    whole = np.sin(np.arange(10.0))
    statistics = numbers._statistics(np.stack([column, few, whole], axis=1))
    lines = np.array([4, 4, 1, 3, 5, 9, 5.5, 2, 6, 6])
    for row, known, filled in ((0, column[~np.isnan(column)], lines), (2, whole, whole)):
        change = np.abs(np.diff(filled))
        expected = [known.mean(), known.std(), *np.percentile(known, (10, 90)), filled[-3:].mean() - filled[:3].mean()]
        assert statistics[row, :7] == pytest.approx([*expected, change.mean(), np.percentile(change, 90)])
    assert statistics[:, -1] == pytest.approx([0.6, 0.2, 1])
    assert statistics[0, -2] == pytest.approx(3 / 10 * 30)  # 4 1 5 9 2 6 turns at 1, at 9 and at 2
    assert np.isnan(statistics[1, :-1]).all()


def test_reversals_are_a_second():
    wrist = np.stack([np.full(61, 300.0), 100 + 30 * np.sin(np.arange(61) / 15 * 2 * np.pi)], axis=1)
    values, names = numbers.clip_numbers([body(figure(61, left_elbow=(265, 100), left_wrist=wrist))])
    row = dict(zip(names, values[0], strict=True))
    assert row["wrist_up larger: reversals"] == pytest.approx(4, abs=0.3)  # two swings a second


def test_every_scale_bin_and_sign_is_of_a_quantity():
    names = {name.split(":")[0].split()[0] for name in numbers.number_names()}
    assert set(numbers.BINS) | set(numbers.SCALES) | numbers.SIGNED <= names
