"""Who is who: people that cross, come and go, and whom the clip is about."""

import numpy as np
import pytest

from kgclip.pose.tracks import likeness, link_tracks, overlap
from tests.pose.figures import figure

TIMES = np.arange(11) / 7.5


def person(x: float, scale: float = 1.0, steps: int = 11, speed: float = 0.0) -> np.ndarray:
    """A figure about `x`, walking at `speed` pixels a frame."""
    keypoints = figure(steps)
    keypoints[:, :, :2] *= scale
    keypoints[:, :, 0] += x - 200 * scale + np.arange(steps)[:, None] * speed
    return keypoints


def frames(*people: np.ndarray, order: int = 1) -> list[np.ndarray]:
    return [np.stack([p[step] for p in people][:: order if step % 2 else 1]) for step in range(len(people[0]))]


def test_two_people_side_by_side_stay_apart_whatever_their_order():
    left, right = person(100), person(260)
    tracks = link_tracks(frames(left, right, order=-1), TIMES)
    assert len(tracks) == 2
    assert [track.rows.tolist() for track in tracks] == [list(range(11))] * 2
    places = sorted(float(np.ptp(track.keypoints[:, :, 0].mean(1))) for track in tracks)
    assert places == pytest.approx([0, 0], abs=1e-3)


def test_people_who_cross_keep_their_tracks():
    one, other = person(100, speed=30), person(400, scale=0.8, speed=-30)
    tracks = link_tracks(frames(one, other), TIMES)
    assert len(tracks) == 2
    assert all(np.ptp(np.diff(track.keypoints[:, 0, 0])) < 1e-3 for track in tracks)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (person(100, scale=1.2), person(400)),
        (person(100, speed=8), person(400)),
    ],
    ids=["the larger", "the moving"],
)
def test_the_subject_comes_first(better: np.ndarray, worse: np.ndarray):
    for people in ((better, worse), (worse, better)):
        tracks = link_tracks(frames(*people), TIMES)
        assert np.array_equal(tracks[0].keypoints, better)


def test_the_longer_track_is_the_subject():
    stays, leaves = person(400), person(100)
    people = [np.stack([stays[t], leaves[t]] if t < 4 else [stays[t]]) for t in range(11)]
    tracks = link_tracks(people, TIMES)
    assert [len(track.rows) for track in tracks] == [11, 4]


def test_who_is_gone_for_long_comes_back_as_another():
    here = person(200)
    nobody = np.empty((0, 17, 3), np.float32)
    short = [here[[t]] if t not in (4, 5, 6) else nobody for t in range(11)]
    assert [track.rows.tolist() for track in link_tracks(short, TIMES)] == [[0, 1, 2, 3, 7, 8, 9, 10]]
    long = [here[[t]] if t in (0, 1, 10) else nobody for t in range(11)]
    assert [track.rows.tolist() for track in link_tracks(long, TIMES)] == [[0, 1], [10]]


def test_nobody():
    assert link_tracks([np.empty((0, 17, 3), np.float32)] * 11, TIMES) == ()
    unsure = person(200)
    unsure[:, :, 2] = 0.1
    assert link_tracks(list(unsure[:, None]), TIMES) == ()


def test_likeness_is_one_for_the_same_and_zero_far_away():
    one, other = person(200)[0], person(2000)[0]
    assert likeness(one, one) == pytest.approx(1)
    assert likeness(one, other) == pytest.approx(0, abs=1e-3)


def test_overlap_by_hand():
    box = np.array([0.0, 0, 2, 2])
    assert overlap(box, np.array([1.0, 1, 3, 3])) == pytest.approx(1 / 7)
    assert overlap(box, np.array([3.0, 3, 4, 4])) == 0
    assert overlap(box, np.array([1.0, 1, 1, 1])) == 0
