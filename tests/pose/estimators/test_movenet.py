"""MoveNet: where it looks, how it follows, and the real network on a real clip."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.pose.estimators import movenet
from kgclip.pose.estimators.estimator import kind_of, open_estimator
from kgclip.pose.skeleton import OTHER_SIDE
from kgclip.video.decode import read_frames
from tests.pose.figures import figure

MODEL = "pose/movenet_single_pose_lightning_ptq.tflite"
FRAME = np.zeros((400, 600, 3), np.uint8)


class Painted:
    """A network that finds a person about the brightest pixels."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        pose = np.zeros((17, 3), np.float32)
        gray = image.sum(2, dtype=np.int64)
        if gray.max() < 100:
            return pose
        y, x = np.argwhere(gray == gray.max()).mean(0)
        offsets = (figure(1)[0, :, :2] - [200, 220]) / 640  # a person of half the square about the dot
        pose[:, 0] = (y + 0.5) / image.shape[0] + offsets[:, 1]
        pose[:, 1] = (x + 0.5) / image.shape[1] + offsets[:, 0]
        pose[:, 2] = 0.8
        return pose


def dotted(x: int, y: int) -> np.ndarray:
    frame = FRAME.copy()
    frame[y - 8 : y + 8, x - 8 : x + 8] = 255
    return frame


def test_the_first_look_is_at_the_whole_frame_and_three_squares():
    squares = movenet.first_squares(400, 600)
    assert [(s.x, s.y, s.half) for s in squares] == [(300, 200, 300), (200, 200, 200), (300, 200, 200), (400, 200, 200)]
    assert [(s.x, s.y) for s in movenet.first_squares(600, 400)] == [(200, 300), (200, 200), (200, 300), (200, 400)]
    assert len(movenet.first_squares(400, 400)) == 1


def test_a_crop_is_about_the_hips():
    pose = figure(1)[0]  # hips at (200, 200), ankles 180 below, shoulders 100 above
    square = movenet.crop_around(pose, 2000, 2000)
    assert (square.x, square.y, square.half) == pytest.approx((200, 200, 1.2 * 180))
    pose[:, 1] = 200 + (pose[:, 1] - 200) * np.where(np.arange(17) > 12, 0.5, 1)  # legs drawn up
    assert movenet.crop_around(pose, 2000, 2000).half == pytest.approx(1.9 * 100)


def test_without_hips_a_crop_is_about_the_seen_joints():
    pose = figure(1)[0]
    pose[11:, 2] = 0.1
    square = movenet.crop_around(pose, 2000, 2000)
    assert (square.x, square.y, square.half) == pytest.approx((200, 130, 1.5 * 75))


def test_a_person_who_is_tiny_or_unseen_is_lost():
    pose = figure(1)[0]
    pose[:, 2] = 0.1
    assert movenet.crop_around(pose, 400, 400) is None
    pose = figure(1)[0] * np.array([0.02, 0.02, 1], np.float32)
    assert movenet.crop_around(pose, 400, 400) is None


def test_a_crop_larger_than_the_frame_is_the_whole_frame():
    assert movenet.crop_around(figure(1)[0], 300, 300) == movenet.whole_frame(300, 300)


def test_a_cut_is_black_beyond_the_frame_and_scaled():
    frame = np.full((100, 100, 3), 200, np.uint8)
    image = movenet.cut(frame, movenet.Square(0.0, 50.0, 50.0), 20)
    assert (image[:, :9] == 0).all()
    assert (image[:, 11:] == 200).all()
    assert (movenet.cut(frame, movenet.Square(-500.0, 50.0, 50.0), 20) == 0).all()


def test_joints_come_back_in_pixels_of_the_frame():
    network = Painted()
    people = list(movenet.MoveNet(network, 192)([dotted(420, 180)]))
    assert people[0].shape == (1, 17, 3)
    # The last crop's side is not known here, but the figure's proportions are: the dot is at its (200, 220).
    shoulders, ankles = (people[0][0, list(pair), :2].mean(0) for pair in ((5, 6), (15, 16)))
    assert shoulders + (ankles - shoulders) * (220 - 100) / (380 - 100) == pytest.approx((420, 180), abs=2)
    assert people[0][0, 5, 0] > people[0][0, 6, 0]
    assert people[0][0, :, 2] == pytest.approx(0.8)


def test_the_mirrored_pass_swaps_sides():
    """A network that sees the same places in a picture and its mirror image: each wrist is averaged with the other."""

    def network(image: np.ndarray) -> np.ndarray:
        pose = np.full((17, 3), 0.5, np.float32)
        pose[9, 1], pose[10, 1] = 0.2, 0.6
        return pose

    pose = movenet.MoveNet(network, 64)._infer(np.zeros((100, 100, 3), np.uint8), movenet.Square(50.0, 50.0, 50.0))
    # Left wrist: 0.2 here, and 1 - 0.6 in the mirrored pass.
    assert pose[9, 0] == pytest.approx(100 * (0.2 + 0.4) / 2)
    assert pose[10, 0] == pytest.approx(100 * (0.6 + 0.8) / 2)
    assert OTHER_SIDE[9] == 10


def test_who_is_followed_costs_one_crop_a_frame():
    network = Painted()
    estimator = movenet.MoveNet(network, 192)
    list(estimator([dotted(300, 200)]))
    first = network.calls
    network.calls = 0
    list(estimator([dotted(300 + 2 * t, 200) for t in range(5)]))
    assert network.calls == first + 4 * 2


def test_nobody_is_found_in_the_dark():
    people = list(movenet.MoveNet(Painted(), 192)([FRAME, FRAME]))
    assert [p.shape for p in people] == [(0, 17, 3)] * 2


def test_the_real_network_finds_a_golfer(shared_data: Path):
    pytest.importorskip("ai_edge_litert")
    clips = sorted((shared_data / "jhmdb-tps" / "train_videos" / "golf").glob("*.mp4"))
    frames = read_frames(clips[2], range(0, 40, 4))
    people = list(open_estimator(str(shared_data / MODEL))(frames))
    assert all(len(p) == 1 for p in people)
    poses = np.concatenate(people)
    assert poses[:, 5:, 2].mean() > 0.4
    # Upright: shoulders above hips above knees above ankles in every frame.
    heights = [poses[:, [joint, joint + 1], 1].mean(1) for joint in (5, 11, 13, 15)]
    assert all((upper < lower).all() for upper, lower in pairwise(heights))


def test_mistakes_end_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert kind_of("weights/movenet.tflite") == "movenet"
    with pytest.raises(KgclipError, match="no such file; expected a MoveNet"):
        open_estimator(str(tmp_path / "a.tflite"))
    (tmp_path / "a.tflite").write_bytes(b"nothing")
    with pytest.raises(KgclipError, match="finds people without one; leave the option out"):
        open_estimator(str(tmp_path / "a.tflite"), "detector")
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(KgclipError, match=r"pip install 'kgclip\[pose\]'"):
        open_estimator(str(tmp_path / "a.tflite"))


def test_a_file_that_is_no_model(tmp_path: Path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "a.tflite").write_bytes(b"nothing")
    with pytest.raises(KgclipError, match="is no TensorFlow Lite model"):
        open_estimator(str(tmp_path / "a.tflite"))
