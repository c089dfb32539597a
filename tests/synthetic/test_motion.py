from itertools import combinations

import numpy as np
import pytest

from kgclip.synthetic.actions import STATES_OF, encode, random_codes
from kgclip.synthetic.motion import ALTERNATING, JOINTS, MOTIONS, POSTURES, STEPS, Curve, Motions, joint_values

UNIT_JOINTS = {"side", "rise", "seat", "hang", "size", "meet", "apart", "fly"}  # not angles: 0..1 or factors


@pytest.mark.parametrize("kind", list(STATES_OF))
def test_every_state_moves_known_joints(kind: str):
    assert set(MOTIONS[kind]) == set(STATES_OF[kind]) - {"none"}
    assert {joint for motion in MOTIONS[kind].values() for joint in motion} <= set(JOINTS[kind])


def test_named_states_exist():
    assert set(STATES_OF["hip"]) >= POSTURES
    assert all(state in STATES_OF[kind] for kind, state in ALTERNATING)


def test_a_curve_runs_from_low_to_high_and_back():
    curve = Curve(-10, 40, times=2, late=0.25).sample()
    assert curve.min() == pytest.approx(-10)
    assert curve.max() == pytest.approx(40)
    np.testing.assert_allclose(curve[: STEPS // 2], curve[STEPS // 2 :], atol=1e-9)
    assert curve[STEPS // 4] == pytest.approx(-10)


@pytest.mark.parametrize("kind", list(STATES_OF))
def test_states_of_a_part_differ_clearly_at_some_phase(kind: str, motions_of):
    part = kind if kind in ("head", "hip") else f"left {kind}"
    courses = {}
    for state, things in STATES_OF[kind].items():
        codes = np.repeat(encode([{part: (state, things[0])}]), 32, axis=0)
        motions = motions_of(codes)
        motions.phases[:] = np.linspace(0, 1, 32, endpoint=False)[:, None]
        courses[state] = np.stack(list(joint_values(motions)[part].values()), axis=1)
    degrees = np.array([90 if joint in UNIT_JOINTS else 1 for joint in JOINTS[kind]])
    for first, second in combinations(courses, 2):
        far = (np.abs(courses[first] - courses[second]) * degrees).max()
        assert far > 15 or {first, second} in ({"none", "step on"}, {"none", "hold"}), (first, second)  # objects tell


def test_activity_blends_from_rest_to_state(motions_of):
    codes = random_codes(np.random.default_rng(0), 50)
    full = motions_of(codes)
    rest = joint_values(Motions(codes, full.phases, np.zeros_like(full.activity)))
    half = joint_values(Motions(codes, full.phases, np.full_like(full.activity, 0.5)))
    whole = joint_values(full)
    for part, joints in rest.items():
        for joint, values in joints.items():
            np.testing.assert_allclose(values, np.full(50, JOINTS[part.split()[-1]][joint]), rtol=1e-6)
            np.testing.assert_allclose(half[part][joint], (values + whole[part][joint]) / 2, atol=1e-3)


def test_alternating_limbs_are_half_a_cycle_apart(motions_of):
    legs, arms = dict.fromkeys(("left leg", "right leg"), ("step", None)), ("bend", None)
    codes = encode([{**legs, "left arm": arms, "right arm": arms}])
    now, later = joint_values(motions_of(codes, 0.1)), joint_values(motions_of(codes, 0.6))
    for joint in JOINTS["leg"]:
        np.testing.assert_allclose(now["right leg"][joint], later["left leg"][joint], atol=1e-4)
    for joint in JOINTS["arm"]:
        np.testing.assert_allclose(now["right arm"][joint], now["left arm"][joint])
