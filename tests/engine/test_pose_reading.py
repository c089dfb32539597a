"""What rules read from a clip's pose: spans in presentation time, joints, and what cannot be told."""

from dataclasses import replace

import numpy as np
import pytest

from kgclip.engine.explanation import SEEN
from kgclip.engine.pose_reading import drawn_joints, joints_of, read_by_rule, spans_by_rule
from kgclip.kg.movement import Movement
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import ANKLES, ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS

RAISE, SIT = Movement("left arm", "raise"), Movement("hip", "sit")
FPS = 30.0


def standing(frames: int = 60) -> np.ndarray:
    """A person who stands upright, arms down, seen from the front; x and y in pixels, left at the larger x."""
    pose = np.zeros((frames, 17, 3), np.float32)
    pose[..., 2] = 0.9
    heights = {SHOULDERS: 40, ELBOWS: 55, WRISTS: 70, HIPS: 80, KNEES: 110, ANKLES: 140}
    pose[:, :5, :2] = (50, 25)
    for pair, height in heights.items():
        pose[:, pair[0], :2], pose[:, pair[1], :2] = (60, height), (40, height)
    return pose


def clip(keypoints: np.ndarray, every: int = 1) -> ClipPose:
    index = np.arange(0, len(keypoints), every, dtype=np.int32)
    track = Track(np.arange(len(index)), keypoints[index])
    return ClipPose(index, index / FPS, 100, 160, (track,))


def raised() -> np.ndarray:
    """The left wrist is above the shoulder from frame 20 to 39."""
    pose = standing()
    pose[20:40, WRISTS[0], 1], pose[20:40, ELBOWS[0], 1] = 10, 25
    return pose


@pytest.mark.parametrize("every", [1, 2])
def test_a_span_is_where_the_rule_holds(every: int):
    (spans,) = spans_by_rule(clip(raised(), every), [RAISE])
    assert spans is not None
    longest = max(spans, key=lambda span: span.end_s - span.start_s)
    # Swings on the way up and down come first and last.
    assert 20 / FPS <= longest.start_s < 28 / FPS
    assert 32 / FPS < longest.end_s <= 41 / FPS
    assert longest.first == pytest.approx(longest.start_s * FPS, abs=1)
    assert longest.last == pytest.approx(longest.end_s * FPS, abs=1)
    assert SEEN <= longest.strength <= 1


def test_a_movement_that_is_not_there_has_no_span():
    assert spans_by_rule(clip(standing()), [RAISE, SIT]) == [(), ()]


def test_of_unsure_joints_nothing_is_told_but_what_was_seen():
    pose = standing()
    pose[:, KNEES, 2] = pose[:, ANKLES, 2] = pose[:, HIPS, 2] = 0.05
    leg = Movement("left leg", "kick")
    assert spans_by_rule(clip(pose), [leg]) == [None]
    pose = raised()
    pose[:20, WRISTS[0], 2] = pose[40:, WRISTS[0], 2] = 0.05  # known while it is raised, for a third of the clip
    (spans,) = spans_by_rule(clip(pose), [RAISE])
    assert spans


def test_nobody_seen_tells_nothing():
    nobody = ClipPose(np.arange(3, dtype=np.int32), np.arange(3) / FPS, 100, 160, ())
    assert spans_by_rule(nobody, [RAISE]) == [None]
    assert drawn_joints(nobody) is None


@pytest.mark.parametrize("name", ["left hand hold barbell", "head nod", "left arm juggle", "tail wag"])
def test_other_movements_are_read_by_no_rule(name: str):
    assert read_by_rule(name) is None


def test_rules_read_these_and_know_their_joints():
    assert read_by_rule("left arm raise") == RAISE
    assert read_by_rule("right foot step on") == Movement("right foot", "step on")
    assert joints_of(RAISE) == ("left shoulder", "left elbow", "left wrist")


def drawn_positions(person: dict) -> np.ndarray:
    return np.cumsum(person["frames"], axis=0).reshape(-1, 17, 3)


def test_the_joints_of_everybody_are_drawn_the_subjects_first():
    keypoints = raised()
    pose = clip(keypoints, 4)
    other = Track(np.arange(3, 9), keypoints[12:36:4] + np.array([30, 0, 0], np.float32))
    drawn = drawn_joints(replace(pose, tracks=(*pose.tracks, other)))
    assert drawn is not None
    subject, second = drawn["people"]
    assert subject["times_s"] == pytest.approx(pose.time_s, abs=1e-3)
    np.testing.assert_allclose(drawn_positions(subject)[:, :, 0], keypoints[::4, :, 0] / 100 * 1000, atol=1)
    np.testing.assert_allclose(drawn_positions(subject)[:, :, 1], keypoints[::4, :, 1] / 160 * 1000, atol=1)
    assert (drawn_positions(subject)[..., 2] == 8).all()
    every = [0, 2, 4, 5]  # of others fewer, and the last
    assert second["times_s"] == pytest.approx(pose.time_s[3:9][every], abs=1e-3)
    np.testing.assert_allclose(drawn_positions(second)[:, :, 0], other.keypoints[every, :, 0] / 100 * 1000, atol=1)


def test_of_frames_that_follow_closely_every_fourth_is_drawn_and_of_crowds_those_there_is_room_for():
    pose = clip(standing(60))
    drawn = drawn_joints(pose)
    assert drawn is not None
    assert drawn["people"][0]["times_s"] == pytest.approx([*np.arange(0, 60, 4) / FPS, 59 / FPS], abs=1e-3)
    long = clip(standing(720))
    crowd = drawn_joints(replace(long, tracks=long.tracks * 3))
    assert crowd is not None
    assert len(crowd["people"]) == 1
    assert drawn_joints(clip(standing(1200))) is None
