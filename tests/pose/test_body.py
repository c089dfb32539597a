"""Quantities of a constructed skeleton, worked out by hand."""

import numpy as np
import pytest

from kgclip.pose.body import quantities
from tests.pose.figures import body, figure, line


def test_a_figure_that_stands():
    arms, legs, trunk = (getattr(body(figure()), part) for part in ("arms", "legs", "trunk"))
    assert body(figure()).torso_px == 100
    assert arms.wrist_up[5] == pytest.approx([-1.05, -1.05])
    assert arms.wrist_out[5] == pytest.approx([0.32, -0.32])
    assert arms.reach[5] == pytest.approx([np.hypot(7, 105) / 100] * 2)
    assert arms.elbow_deg[5] == pytest.approx([177.1, 177.1], abs=0.1)
    assert arms.wrist_to_nose[5] == pytest.approx([np.hypot(32, 145) / 100] * 2)
    assert legs.knee_deg[5] == pytest.approx([179.4, 179.4], abs=0.1)
    assert legs.thigh_deg[5] == pytest.approx([np.degrees(np.arctan(1 / 90))] * 2)
    assert legs.ankle_up[5] == pytest.approx([-1.8, -1.8])
    assert (trunk.lean_deg[5], trunk.torso[5], trunk.hips_over_feet[5]) == pytest.approx((0, 1, 1.8))
    assert (trunk.shoulder_width[5], trunk.hip_width[5], trunk.wrists_apart[5]) == pytest.approx((0.5, 0.3, 0.64))
    assert (trunk.shoulders_facing[5], trunk.nose_up[5], trunk.head_pitch[5]) == pytest.approx((0.5, 0.4, -0.02))
    speeds = [arms.wrist_speed, arms.elbow_opening, legs.ankle_speed, trunk.lean_rate, trunk.hips_rising]
    assert all(np.abs(speed).max() < 1e-6 for speed in speeds)


def test_speeds_are_in_torso_lengths_a_second_relative_to_the_body():
    moving = body(figure(left_wrist=line((150, 205), (2, -1))))
    assert moving.arms.wrist_speed[15] == pytest.approx([np.hypot(2, 1), 0])
    assert moving.arms.wrist_speed_up[15] == pytest.approx([1, 0])
    whole = figure()
    whole[:, :, 0] += np.arange(31)[:, None] * 5  # all of the body at 150 px a second
    assert body(whole).arms.wrist_speed[15] == pytest.approx([0, 0], abs=1e-5)
    assert body(whole).trunk.neck_speed_out[15] == pytest.approx(1.5)


def test_ankles_that_move_oppositely():
    apart = body(figure(left_ankle=line((180, 380), (1, 0)), right_ankle=line((220, 380), (-2, 0))))
    assert apart.trunk.ankles_opposed[15] == pytest.approx(2)


def test_one_hip_is_enough_for_the_middle_but_not_for_its_leg():
    keypoints = figure()
    keypoints[:, 11, 2] = 0.1  # left hip
    one = body(keypoints)
    assert one.torso_px == 100
    assert np.isnan(one.legs.knee_deg[5, 0])
    assert one.legs.knee_deg[5, 1] > 170
    assert np.isnan(one.trunk.hip_width[5])


def test_without_hips_the_torso_comes_from_the_shoulders():
    keypoints = figure()
    keypoints[:, 11:, 2] = 0.1
    above = body(keypoints)
    assert above.torso_px == pytest.approx(70)  # 1.4 shoulder widths of 50
    assert above.arms.wrist_up[5] == pytest.approx([-1.5, -1.5])
    assert np.isnan(above.trunk.lean_deg).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_the_torso_is_that_which_is_seen_in_clips_of_any_length(steps: int):
    from_the_side = figure(steps, left_shoulder=(202, 100), right_shoulder=(198, 100))
    assert body(from_the_side).torso_px == pytest.approx(100, abs=1)


def test_nothing_is_known_of_a_person_without_torso_and_shoulders():
    keypoints = figure()
    keypoints[:, [5, 11, 12], 2] = 0.1
    nothing = body(keypoints)
    assert np.isnan(nothing.torso_px)
    for part in (nothing.arms, nothing.legs, nothing.trunk):
        assert all(np.isnan(values).all() for values in quantities(part).values())
