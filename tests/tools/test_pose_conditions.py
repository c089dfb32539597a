"""Where pose fails: changes of keypoints, groups of clips, tables by hand, and whom an estimator follows of two."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.clip import Clip
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose, write_keypoints
from kgclip.video.encode import write_video
from tests.pose.figures import TORSO, figure
from tests.pose.test_frames import clip_pose
from tools import pose_conditions
from tools.pose_answers import ARMS, NOT_ASKED, UNCHANGED
from tools.pose_conditions import Options, Results, main
from tools.pose_groups import groupings, share_with_legs
from tools.pose_interventions import INTERVENTIONS, intervene, without_legs
from tools.two_people import LEFT, NEITHER, NOBODY, RIGHT, look, pair_up, reach, side_by_side, summary, whose


def changed(name: str, pose: ClipPose) -> ClipPose:
    return intervene({"clip": pose}, INTERVENTIONS[name])["clip"]


def test_each_intervention_does_what_its_name_is():
    pose = clip_pose(figure(6))
    before = pose.tracks[0].keypoints.copy()

    assert share_with_legs(pose) == 1
    assert share_with_legs(changed("legs cut off", pose)) == 0
    assert (changed("legs cut off", pose).tracks[0].keypoints[:, :13] == before[:, :13]).all()
    assert changed("all scores halved", pose).tracks[0].keypoints[:, :, 2] == pytest.approx(0.45)
    many = clip_pose(figure(6), *[figure(6)] * 30)
    tracks = changed("30 % of the joints dropped", many).tracks
    assert np.mean([track.keypoints[:, :, 2] == 0 for track in tracks]) == pytest.approx(0.3, abs=0.03)
    for share in (5, 10):
        tracks = changed(f"jitter of {share} % of the torso", many).tracks
        moved = np.stack([track.keypoints - before for track in tracks])
        assert moved[..., :2].std() == pytest.approx(share / 100 * TORSO, rel=0.05)
        assert not moved[..., 2].any()
    assert (pose.tracks[0].keypoints == before).all()


def test_every_other_observation_stays_with_its_time():
    marked = figure(6)
    marked[:, 0, 0] = np.arange(6)
    pose = changed("every other observation", clip_pose(marked, figure(6), rows=[[1, 2, 4, 5], [1, 3]]))
    assert pose.frame_index.tolist() == [0, 8, 16]
    (track,) = pose.tracks
    assert track.rows.tolist() == [1, 2]
    # The rows hold the first joints of `marked` in turn, not those of their own number.
    assert track.keypoints[:, 0, 0].tolist() == [1, 2]


def test_groups_are_read_off_names_scores_and_legs():
    clips = ("run_u_cm_np1_ba_med_0", "run_f_nm_np2_fr_goo_12", "mine")
    poses = {clip: clip_pose(figure(6)) for clip in clips}
    poses["mine"] = clip_pose()
    poses[clips[0]].tracks[0].keypoints[1:, 13:, 2] = 0.2
    assert "joints that the given states come from" not in groupings(clips, poses, {})
    groups = groupings(clips, poses, dict.fromkeys(clips, "joints by hand"))
    assert set(groups["joints that the given states come from"].values()) == {"joints by hand"}
    assert groups["visible part of the body"] == {clips[0]: "upper body", clips[1]: "full body"}
    assert groups["camera"] == {clips[0]: "moving", clips[1]: "at rest"}
    assert groups["viewpoint"] == {clips[0]: "back", clips[1]: "front"}
    assert [*groups["quality"].values()] == ["good", "medium"]
    assert groups["share of frames with a known leg"] == {
        "mine": "below 10 %",
        clips[0]: "10 to 90 %",
        clips[1]: "above 90 %",
    }
    assert [*groups["mean score of the keypoints"]] == ["mine", clips[0], clips[1]]


def test_tables_by_hand():
    """Two seeds, clips of actions 0, 0, 1, 1; the last condition asks of the first clip alone."""
    answers = {(UNCHANGED, arm): np.array([[0, 1, 1, 1], [0, 1, 0, 1]]) for arm in ARMS}
    answers["some", ARMS[0]] = np.array([[1, NOT_ASKED, NOT_ASKED, NOT_ASKED]] * 2)
    results = Results(answers, np.array([0, 0, 1, 1]))
    everything = np.ones(4, bool)
    assert results.top1(UNCHANGED, ARMS[0], everything) == "62.5 ± 17.7"
    assert results.top1("some", ARMS[0], everything) == "0.0 ± 0.0"
    assert results.top1("some", ARMS[0], everything, truth=np.array([1, 0, 0, 0])) == "100.0 ± 0.0"
    assert results.top1("some", ARMS[0], ~everything) == "–"
    # Right in half of the seeds; clips of action 1 are in three quarters.
    assert results.beyond_actions(ARMS[0], np.array([False, False, True, False])) == "-25.0"
    lines = list(results.by_group("view", {"b": "back", "a": "front", "d": "back"}, ("a", "b", "c", "d")))
    assert [line.split(" | ")[:3] for line in lines[2:4]] == [
        ["| back", "2", "50.0 ± 0.0"],
        ["| front", "1", "100.0 ± 0.0"],
    ]
    lines = list(results.by_action(("sit", "stand")))
    assert lines[2].startswith("| sit | 2 | 50.0 ± 0.0 |")
    assert lines[2].endswith(" stand (50 %) |")
    assert lines[3].endswith(" sit (25 %) |")


def test_whom_a_pose_is_of():
    left, right = clip_pose(figure(6)), clip_pose(figure(6, left_wrist=(235, 40)))
    other = right.tracks[0].keypoints[2] + np.array([400, 0, 0], np.float32)
    assert whose(left.tracks[0].keypoints[2], 2, left, right, 400) == LEFT
    assert whose(other, 2, left, right, 400) == RIGHT
    assert whose(other, 2, left, None, 400) == NEITHER
    # The same pose in a picture without what lies between the two.
    assert whose(right.tracks[0].keypoints[2] + np.array([100, 0, 0], np.float32), 2, left, right, 100) == RIGHT


@pytest.fixture
def clips(tmp_path: Path) -> Callable[..., Clip]:
    def make(name: str, action: str, gray: int) -> Clip:
        frames = np.full((24, 400, 400, 3), gray, np.uint8)
        write_video(tmp_path / f"{name}.mp4", frames, 30)
        return Clip(name, tmp_path / f"{name}.mp4", action, name, None)

    return make


def test_an_estimator_that_jumps_is_found_out(clips: Callable[..., Clip]):
    """The estimator sees both clips, follows the left one for two frames, the right one for three, and loses it."""
    left, right = clips("a", "sit", 200), clips("b", "run", 50)
    poses = {"a": clip_pose(figure(6)), "b": clip_pose(figure(6))}
    pictures = []

    def estimator(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for number, frame in enumerate(frames):
            pictures.append(frame)
            people = figure(1)
            people[:, :, 0] += shift * (number >= 2)
            yield people[: int(number < 5)]

    shift = 400
    one = look(left, right, poses, estimator)
    assert one.whose == (LEFT, LEFT, RIGHT, RIGHT, RIGHT, NOBODY)
    assert one.subject == (RIGHT, RIGHT, RIGHT)
    assert pictures[0].shape == (400, 800, 3)
    assert pictures[0][:, :400].mean() == pytest.approx(200, abs=3)
    assert pictures[0][:, 400:].mean() == pytest.approx(50, abs=3)
    counted = summary([one])
    assert counted["frames: right"] == "50 %"
    assert counted["clips: found both in turn"] == "100 %"
    assert counted["clips: subject is right alone"] == "100 %"
    assert counted["jumps in a clip that has any"] == "1.0"

    begin, end = reach(poses["a"])
    assert (begin, end) == (164, 237)
    shift = end - begin
    assert look(left, right, poses, estimator, near=True).whose == one.whose
    assert pictures[-1].shape == (400, end + 400 - begin, 3)
    shift = 400
    assert look(left, None, poses, estimator).whose[:3] == (LEFT, LEFT, NEITHER)
    assert pictures[-1][:, 400:].max() == 0


def test_a_lower_picture_is_black_below():
    picture = side_by_side(np.full((2, 4, 3, 3), 9, np.uint8), np.full((2, 6, 5, 3), 7, np.uint8))
    assert picture.shape == (2, 6, 8, 3)
    assert picture[:, :4, :3].min() == 9
    assert picture[:, 4:, :3].max() == 0


def test_pairs_differ_in_action_and_the_right_one_is_as_long():
    long, short, nobody = clip_pose(figure(6)), changed("every other observation", clip_pose(figure(6))), clip_pose()
    kinds = {"a": ("sit", long), "b": ("run", short), "c": ("run", nobody), "d": ("sit", long), "e": ("run", long)}
    clips = [Clip(name, Path(name), action, name, None) for name, (action, _) in kinds.items()]
    pairs = pair_up(clips, {name: pose for name, (_, pose) in kinds.items()}, 60)
    chosen = {left.id: right.id for left, right in pairs}
    assert chosen.keys() == {"a", "b", "d", "e"}
    assert chosen["a"] == chosen["d"] == "e"
    assert {chosen["b"], chosen["e"]} <= {"a", "d"}


def test_the_page(
    figures: Path,
    synthetic_features: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    """Where the legs tell the actions, pose is right until they are cut off."""
    dataset = open_dataset(figures)
    clips = [clip for clip in dataset.clips if clip.part != "test"]
    poses = {}
    for clip in clips:
        code = dataset.actions.index(str(clip.action))
        bits = [code >> place & 1 for place in range(5)]
        legs = {
            "left_ankle": (216 + 60 * bits[0], 380 - 60 * bits[1]),
            "left_knee": (216 + 40 * bits[2], 290),
            "right_knee": (184, 290 - 50 * bits[3]),
            "right_ankle": np.array([(184 + 40 * bits[4] * (-1) ** step, 380) for step in range(6)]),
        }
        poses[clip.id] = clip_pose(figure(6, **legs))
    write_keypoints(tmp_path / "keypoints.parquet", poses, {"pose": "drawn"})
    monkeypatch.setattr(pose_conditions, "INTERVENTIONS", {"legs cut off": without_legs})
    options = Options(tmp_path / "keypoints.parquet", figures, synthetic_features, folds=2, seeds=1)
    main(options)
    page = capsys.readouterr().out
    rows = {cells[0].strip("| "): cells[1:] for line in page.splitlines() if len(cells := line.split(" | ")) > 2}
    assert "pose drawn" in page
    assert "Two people" not in page
    assert rows["all clips"][0] == str(len(clips))
    assert "viewpoint" not in rows
    right = {name: float(rows[name][0].split()[0]) for name in ("unchanged", "legs cut off")}
    assert right["unchanged"] > 30
    # All clips then look the same: one action of 24 is right.
    assert right["legs cut off"] < 6
    assert rows["unchanged"][0] == rows["all clips"][1]

    del poses[clips[0].id]
    write_keypoints(tmp_path / "keypoints.parquet", poses, {"pose": "drawn"})
    with pytest.raises(KgclipError, match=r"lacks 1 clips of .*, such as .*; annotate them"):
        main(options)
