import numpy as np
import pytest

from kgclip.synthetic.actions import encode, options, random_codes
from kgclip.synthetic.motion import ALTERNATING
from kgclip.synthetic.skeleton import BODY, pose

BONES = {
    "upper arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"), "foot": ("ankle", "toe"),
}  # fmt: skip


def _bodies(count: int) -> np.ndarray:
    lengths = np.array(list(BODY.values()), dtype=np.float32)
    return lengths * np.random.default_rng(1).uniform(0.9, 1.1, (count, len(BODY))).astype(np.float32)


def test_bones_keep_their_lengths(motions_of):
    body = _bodies(300)
    skeleton = pose(motions_of(random_codes(np.random.default_rng(0), 300)), body)
    for bone, (first, second) in BONES.items():
        for side in ("left", "right"):
            length = np.linalg.norm(skeleton.joints[f"{side} {first}"] - skeleton.joints[f"{side} {second}"], axis=1)
            np.testing.assert_allclose(length, body[:, list(BODY).index(bone)], rtol=1e-4)


def test_figures_stand_on_the_ground(motions_of):
    codes = random_codes(np.random.default_rng(0), 200)
    codes[:, 1] = 0
    skeleton = pose(motions_of(codes), _bodies(200))
    lowest = np.min([point[:, 2] for point in skeleton.joints.values()], axis=0)
    np.testing.assert_allclose(lowest, 0.04, atol=1e-5)


def test_swapping_left_and_right_mirrors_the_skeleton(motions_of):
    codes = random_codes(np.random.default_rng(0), 400)
    codes[:, :2] = 0  # head and hip at rest
    alternating = np.zeros(len(codes), dtype=bool)
    for kind, column in (("arm", 2), ("hand", 4), ("leg", 6), ("foot", 8)):
        late = [code for code, (state, _) in enumerate(options(kind)) if (kind, state) in ALTERNATING]
        alternating |= np.isin(codes[:, column : column + 2], late).any(axis=1)
    codes = codes[~alternating]  # the left and the right limb of the others keep the same time
    body = _bodies(len(codes))
    skeleton = pose(motions_of(codes, 0.2), body)
    mirrored = pose(motions_of(codes[:, [0, 1, 3, 2, 5, 4, 7, 6, 9, 8]], 0.2), body)
    assert len(codes) > 30
    for joint in ("elbow", "wrist", "fingers", "knee", "ankle", "toe"):
        left, right = skeleton.joints[f"left {joint}"], mirrored.joints[f"right {joint}"]
        np.testing.assert_allclose(left, right * [-1, 1, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("part", "state", "joint", "above"),
    [("left arm", "upturn", "left wrist", "head"), ("right leg", "raise", "right knee", "left knee"),
     ("hip", "upturn", "left knee", "head"), ("left arm", "lift", "left wrist", "right wrist")],
)  # fmt: skip
def test_states_look_as_they_are_called(motions_of, part: str, state: str, joint: str, above: str):
    phase = 0.0 if part == "right leg" else 0.5  # the right leg is half a cycle behind
    joints = pose(motions_of(encode([{part: (state, None)}]), phase), _bodies(1)).joints
    assert joints[joint][0, 2] > joints[above][0, 2] + 0.03


def test_left_is_left_and_forward_is_forward(motions_of):
    joints = pose(motions_of(encode([{"left arm": ("raise", None)}]), 0.5), _bodies(1)).joints
    assert joints["left shoulder"][0, 0] > joints["right shoulder"][0, 0]
    assert joints["left wrist"][0, 1] > joints["nose"][0, 1] > 0


def test_hanging_hands_stay_while_the_body_rises(motions_of):
    codes = np.repeat(encode([{"hip": ("hang", None), "left arm": ("pull", None), "right arm": ("pull", None)}]), 9, 0)
    motions = motions_of(codes)
    motions.phases[:] = np.linspace(0, 0.5, 9)[:, None]
    joints = pose(motions, np.array([list(BODY.values())] * 9, dtype=np.float32)).joints
    assert np.ptp(joints["pelvis"][:, 2]) > 0.2
    assert np.ptp(joints["left wrist"][:, 2]) < 0.5 * np.ptp(joints["pelvis"][:, 2])
