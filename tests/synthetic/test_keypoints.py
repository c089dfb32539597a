"""Keypoints of synthetic clips lie on the figure, at the right time, and say how sure one can be."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kgclip.cli.main import run
from kgclip.kg.movement import PARTS
from kgclip.pose.brought import BroughtKeypoints
from kgclip.pose.keypoints import ClipPose, read_keypoints
from kgclip.pose.skeleton import ANKLES, EARS, JOINTS, KNOWN_SCORE, NOSE, NUM_JOINTS, WRISTS
from kgclip.pose.states import LEFT_OUT, STATES, read_states
from kgclip.pose.states import PARTS as READ_PARTS
from kgclip.synthetic.actions import encode, options
from kgclip.synthetic.clip import SyntheticClip, SyntheticOptions, make_clip
from kgclip.synthetic.dataset import generate, plan
from kgclip.synthetic.keypoints import BEHIND_BLOCK, BEHIND_BODY, OUTSIDE, SEEN, joint_scores, observe
from kgclip.synthetic.motion import Motions
from kgclip.synthetic.render import Rendering, render
from kgclip.synthetic.scene import random_scenes
from kgclip.video.decode import open_video

# What the rules should read where a figure holds a posture; where it moves, its state is the name of a whole cycle.
HELD = {
    ("arm", "none"): {"unbend"},
    ("arm", "carry"): {"bend"},
    ("arm", "upturn"): {"raise"},
    ("leg", "kneel"): {"bend", "step on"},
    ("hip", "none"): {"none"},
    ("hip", "stoop"): {"stoop"},
}


def still(yaw: float, block: tuple[float, float, float, float] = (0, 0, 0, 0), pan: float = 0) -> Rendering:
    """A figure at rest that is turned by so much; its arms hang beside it."""
    scenes = random_scenes(np.random.default_rng(0), 1)
    scenes.angles[:] = (yaw, 5, 0)
    scenes.frame[0, 1] = pan
    scenes.block[:] = block
    motions = Motions(encode([{}]), np.zeros((1, 10), np.float32), np.ones((1, 10), np.float32))
    return render(motions, scenes, (96, 128))


def pixels(rendering: Rendering) -> np.ndarray:
    """RGB at each joint of the first picture [17, 3]."""
    clip = SyntheticClip(25, encode([{}])[0], np.ones((1, 10), bool), rendering)
    x, y, _ = np.rint(observe(clip, np.random.default_rng(0), 0.0).tracks[0].keypoints[0]).astype(int).T
    return rendering.frames[0, y, x].astype(int)


def clips(count: int, **changes: float) -> list[SyntheticClip]:
    chosen = SyntheticOptions(train_per_action=2, test_per_action=0, frames=(20, 30), **changes)  # pyright: ignore[reportArgumentType]
    plans = plan(chosen)[:count]
    return [
        make_clip(p.action, np.random.default_rng(p.source_seed), np.random.default_rng(p.seed), chosen) for p in plans
    ]


def observed(clip: SyntheticClip, noise: float = 0.0) -> ClipPose:
    return observe(clip, np.random.default_rng(5), noise)


@pytest.mark.parametrize("yaw", [0, 40, -40, 170])
def test_left_and_right_are_the_persons_in_every_view(yaw: float):
    color = pixels(still(yaw))
    scores = joint_scores(still(yaw))[0]
    seen = [pair for pair in (WRISTS, ANKLES) if min(scores[list(pair)]) == SEEN]
    assert seen
    for left, right in seen:  # suits are blue and green on the left, red and yellow on the right
        assert color[left, 0] < color[left, 2]
        assert color[right, 0] > color[right, 2]


def test_joints_that_are_seen_lie_on_their_own_color():
    seen = 0
    for clip in clips(6, part_noise=0.0):
        keypoints, frames = observed(clip).tracks[0].keypoints, clip.rendering.frames.astype(int)
        joint = JOINTS.index("left wrist")
        for (x, y, score), frame in zip(keypoints[:, joint], frames, strict=True):
            if score == pytest.approx(SEEN):
                red, _, blue = frame[round(float(y)), round(float(x))]
                assert blue > red
                seen += 1
    assert seen > 50


def test_scores_say_what_hides_a_joint():
    front, back = joint_scores(still(0))[0], joint_scores(still(180))[0]
    assert front[NOSE] == np.float32(SEEN)
    assert back[NOSE] == np.float32(BEHIND_BODY)
    side = joint_scores(still(60))[0]  # turned to the picture's left: the right ear is behind the head
    assert sorted(side[list(EARS)].tolist()) == [np.float32(BEHIND_BODY), np.float32(SEEN)]
    blocked = joint_scores(still(0, block=(-1, 0, 1, 0.5)))[0]
    assert blocked[NOSE] == np.float32(BEHIND_BLOCK)
    assert blocked[ANKLES[0]] == np.float32(SEEN)
    assert set(joint_scores(still(0, pan=2))[0]) == {np.float32(OUTSIDE)}
    assert OUTSIDE < BEHIND_BLOCK < KNOWN_SCORE < BEHIND_BODY < SEEN


def test_noise_has_the_stated_size_and_lowers_scores():
    for clip in clips(3):
        truth, noisy, worse = (observed(clip, noise).tracks[0].keypoints for noise in (0.0, 0.02, 0.1))
        errors = (noisy - truth)[..., :2] / clip.rendering.frames.shape[1]
        assert errors.std() == pytest.approx(0.02, rel=0.1)
        assert abs(errors.mean()) < 0.002
        assert (noisy[..., 2] < truth[..., 2]).all()
        assert truth[..., 2].mean() > noisy[..., 2].mean() > worse[..., 2].mean() > 0


def test_times_are_those_of_the_decoded_frames_and_annotate_takes_the_file(small_set: Path, tmp_path: Path):
    file = small_set / "keypoints.parquet"
    poses, origin = read_keypoints(file)
    assert origin == {"pose": "synthetic figures", "noise": 0.0}
    videos = {path.stem: path for path in small_set.glob("*_videos/*/*.mp4")}
    assert poses.keys() == videos.keys()
    for clip, path in videos.items():
        pose = poses[clip]
        with open_video(path) as video:
            np.testing.assert_allclose(pose.time_s, video.times_s(np.arange(video.num_frames)), atol=1e-4)
        assert (pose.width, pose.height) == (64, 48)
        assert pose.tracks[0].keypoints.shape == (len(pose.time_s), NUM_JOINTS, 3)
        assert BroughtKeypoints(file).of_clip(clip, path).tracks[0].keypoints.shape == pose.tracks[0].keypoints.shape
    clip, path = next(iter(videos.items()))
    assert run(["annotate", str(path), "--out", str(tmp_path / "parts"), "--pose", str(file)]) == 0
    assert list((tmp_path / "parts" / clip).glob("img_*.json"))


def test_the_file_holds_what_was_observed(small_set: Path, small_options: SyntheticOptions):
    poses, _ = read_keypoints(small_set / "keypoints.parquet")
    first = plan(small_options)[0]
    source, rng = np.random.default_rng(first.source_seed), np.random.default_rng(first.seed)
    pose = observed(make_clip(first.action, source, rng, small_options))
    np.testing.assert_array_equal(poses[first.id].tracks[0].keypoints, pose.tracks[0].keypoints)


def test_noise_of_keypoints_changes_nothing_else(tmp_path: Path):
    small = {"train_per_action": 1, "test_per_action": 0, "frames": (2, 3), "size": (32, 32)}
    for name, noise in (("true", 0.0), ("noisy", 0.02)):
        generate(tmp_path / name, SyntheticOptions(**small, keypoint_noise=noise), progress=False)
    for file in sorted((tmp_path / "true").rglob("*.*")):
        other = tmp_path / "noisy" / file.relative_to(tmp_path / "true")
        same = file.read_bytes() == other.read_bytes()
        assert same == (file.name != "keypoints.parquet")


def test_rules_read_held_postures_from_the_true_keypoints():
    agree: Counter[tuple[str, str]] = Counter()
    read: Counter[tuple[str, str]] = Counter()
    for clip in clips(48):
        pose = observed(clip)
        body = pose.body()
        assert body is not None
        codes = read_states(body).codes
        for row, step in enumerate(np.minimum(pose.steps, len(codes) - 1)):
            for column, part in enumerate(READ_PARTS):
                index = PARTS.index(part)
                state = options(part)[clip.codes[index]][0] if clip.moving[row, index] else "none"
                key, code = (part.split()[-1], state), codes[step, column]
                if key in HELD and code != LEFT_OUT:
                    read[key] += 1
                    agree[key] += STATES[code] in HELD[key]
    shares = {key: agree[key] / read[key] for key in HELD}
    print({" ".join(key): round(share, 2) for key, share in shares.items()})
    assert min(read.values()) > 30
    assert min(shares.values()) > 0.6
    assert agree.total() / read.total() > 0.75
