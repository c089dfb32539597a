"""Each rule on a constructed skeleton that shows its state, and on one that just does not."""

from typing import Any

import numpy as np
import pytest

from kgclip.kg.words import RULE_STATES
from kgclip.pose.motion import grid_times, on_grid
from kgclip.pose.rules import RULES
from kgclip.pose.states import LEFT_OUT, PARTS, STATES, read_states
from tests.pose.figures import body, figure, line

MIDDLE = 15


def states_of(keypoints: np.ndarray, step: int = MIDDLE) -> dict[str, str | None]:
    codes = read_states(body(keypoints)).codes[step]
    return {part: None if code == LEFT_OUT else STATES[code] for part, code in zip(PARTS, codes, strict=True)}


def test_a_figure_that_stands():
    assert states_of(figure()) == {
        "hip": "none",
        **{f"{side} arm": "unbend" for side in ("left", "right")},
        **{f"{side} hand": "none" for side in ("left", "right")},
        **{f"{side} leg": "stand" for side in ("left", "right")},
        **{f"{side} foot": "stand" for side in ("left", "right")},
    }


def wave(center: tuple[float, float], reach: tuple[float, float], period: int, steps: int = 31) -> np.ndarray:
    return np.array(center) + np.sin(np.arange(steps) / period * 2 * np.pi)[:, None] * np.array(reach)


BENT_ELBOW = {"left_elbow": (230, 155), "left_wrist": (265, 125)}
LEANING = {"left_shoulder": (275, 115), "right_shoulder": (240, 115)}
SINKING = {
    joint: line((x, y), (0, 2))
    for joint, x, y in (
        ("left_hip", 215, 170),
        ("right_hip", 185, 170),
        ("left_shoulder", 225, 70),
        ("right_shoulder", 175, 70),
    )
}

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    # what, joints moved, part, state
    ("a wrist above the shoulder", {"left_elbow": (232, 70), "left_wrist": (235, 40)}, "left arm", "raise"),
    ("its hand", {"left_elbow": (232, 70), "left_wrist": (235, 40)}, "left hand", "raise"),
    ("the other arm", {"left_elbow": (232, 70), "left_wrist": (235, 40)}, "right arm", "unbend"),
    ("a wrist 0.12 above is not raised", {"left_elbow": (275, 100), "left_wrist": (325, 88)}, "left arm", "lift"),
    ("an arm held out", {"left_elbow": (275, 100), "left_wrist": (325, 100)}, "left arm", "lift"),
    ("an arm held lower", {"left_elbow": (265, 140), "left_wrist": (300, 180)}, "left arm", "unbend"),
    ("an elbow of 50 degrees", BENT_ELBOW, "left arm", "bend"),
    ("a hanging wrist that moves at 3.3", {"left_wrist": line((180, 205), (3.3, 0))}, "left arm", "swing"),
    ("and its hand", {"left_wrist": line((180, 205), (3.3, 0))}, "left hand", "swing"),
    ("one that moves at 2", {"left_wrist": line((200, 205), (2, 0))}, "left arm", "unbend"),
    (
        "an elbow that closes overhead",
        {"left_elbow": (260, 50), "left_wrist": line((300, 0), (-1.2, 0))},
        "left arm",
        "pull",
    ),
    (
        "an elbow that opens as the wrist goes out",
        {"left_elbow": (245, 150), "left_wrist": line((190, 130), (1.2, 0))},
        "left arm",
        "push",
    ),
    (
        "the same backwards",
        {"left_elbow": (245, 150), "left_wrist": line((310, 130), (-1.2, 0))},
        "left arm",
        "bend",
    ),
    (
        "wrists that stay together",
        {"left_wrist": (210, 190), "right_wrist": (190, 190)},
        "right hand",
        "hold",
    ),
    (
        "wrists that pass each other",
        {"left_wrist": line((150, 190), (2, 0)), "right_wrist": line((250, 190), (-2, 0))},
        "right hand",
        "none",
    ),
    (
        "both hands overhead and still",
        {"left_elbow": (250, 60), "left_wrist": (280, 10), "right_elbow": (150, 60), "right_wrist": (120, 10)},
        "left hand",
        "hold",
    ),
    (
        "a forearm that swings above the elbow",
        {"left_elbow": (260, 130), "left_wrist": wave((260, 85), (35, 0), 14)},
        "left hand",
        "wave",
    ),
    (
        "one that hangs and swings",
        {"left_elbow": (260, 130), "left_wrist": wave((260, 175), (20, 0), 28)},
        "left hand",
        "none",
    ),
    ("a wrist that rises at 1.2", {"left_wrist": line((232, 265), (0, -1.2))}, "left hand", "lift"),
    ("one that sinks", {"left_wrist": line((232, 145), (0, 1.2))}, "left hand", "none"),
    (
        "an ankle at 6 with an opening knee",
        {"left_ankle": line((-80, 330), (6, 0)), "left_knee": (225, 285)},
        "left leg",
        "kick",
    ),
    ("its foot", {"left_ankle": line((-80, 330), (6, 0)), "left_knee": (225, 285)}, "left foot", "kick"),
    (
        "a foot on a step",
        {"left_knee": (260, 240), "left_ankle": (250, 330)},
        "left leg",
        "step on",
    ),
    (
        "ankles that move apart",
        {"left_ankle": line((180, 380), (1.2, 0)), "right_ankle": line((220, 380), (-1.2, 0))},
        "right leg",
        "step",
    ),
    (
        "ankles that move together",
        {"left_ankle": line((180, 380), (1.2, 0)), "right_ankle": line((150, 380), (1.2, 0))},
        "right leg",
        "stand",
    ),
    ("a straight leg to the side", {"left_knee": (290, 240), "left_ankle": (365, 280)}, "left leg", "raise"),
    (
        "both knees at 120 degrees, moving",
        {
            f"{side}_{joint}": line((x, y), (0, -2))
            for side, xs in (("left", (216, 266, 216)), ("right", (184, 134, 184)))
            for joint, x, y in zip(("hip", "knee", "ankle"), xs, (300, 330, 360), strict=True)
        },
        "left leg",
        "bend",
    ),
    ("a straight leg of a leaning body", LEANING, "left leg", "unbend"),
    ("its foot", LEANING, "left foot", "none"),
    ("thighs that lie", {"left_knee": (300, 210), "right_knee": (100, 210)}, "hip", "sit"),
    ("one thigh that lies", {"left_knee": (300, 210)}, "hip", "bend"),
    ("hips that sink at 2", SINKING, "hip", "sit"),
    ("a torso at 45 degrees", {"left_shoulder": (290, 130), "right_shoulder": (250, 130)}, "hip", "stoop"),
    ("a torso at 30 degrees", LEANING, "hip", "none"),
]


@pytest.mark.parametrize(("moved", "part", "state"), [c[1:] for c in CASES], ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_a_state(moved: dict[str, Any], part: str, state: str):
    assert states_of(figure(**moved))[part] == state


def test_every_rule_is_shown():
    shown = {(part.split()[-1], state) for _, _, part, state in CASES}
    rules = {(kind, state) for kind, (named, _) in RULES.items() for state, _ in named}
    # Feet share the legs' functions, and hands share the arms'.
    shared = {("foot", "step on"), ("foot", "step"), ("foot", "raise"), ("foot", "stand"), ("hand", "push")}
    assert rules - shared <= shown


def test_left_and_right_are_the_persons_own():
    keypoints = figure(left_elbow=(232, 70), left_wrist=(235, 40))
    mirrored = keypoints[:, [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]]
    mirrored[:, :, 0] = 400 - mirrored[:, :, 0]
    assert states_of(mirrored)["right arm"] == "raise"
    assert states_of(mirrored)["left arm"] == "unbend"


def test_size_does_not_matter():
    keypoints = figure(left_wrist=line((180, 205), (3.3, 0)))
    for factor in (0.2, 5):
        scaled = keypoints.copy()
        scaled[:, :, :2] *= factor
        assert states_of(scaled) == states_of(keypoints)


@pytest.mark.parametrize("fps", [7.5, 10, 24, 25, 60])
def test_the_frame_rate_does_not_matter(fps: float):
    """The same swing, filmed at other rates: the wrist crosses the body in a third of a second."""
    time_s = np.arange(int(fps) + 1) / fps
    wrist = np.array([100, 205]) + np.clip(time_s - 0.3, 0, 0.4)[:, None] * np.array([330, 0])
    filmed = figure(len(time_s), left_wrist=wrist)
    grid = grid_times(time_s)
    names = [states_of(on_grid(filmed, time_s, grid), step)["left arm"] for step in range(len(grid))]
    assert names[15] == "swing"
    assert names[0] != "swing"
    # Its ends are blurred by the window of a rate, and by an interval between frames.
    assert names.count("swing") / 30 == pytest.approx(0.4, abs=0.1 + 1 / fps)


def test_a_part_with_an_unsure_joint_is_left_out():
    keypoints = figure()
    keypoints[:, 9, 2] = 0.1  # left wrist
    keypoints[:, 11, 2] = 0.1  # left hip
    states = states_of(keypoints)
    left_out = [part for part, state in states.items() if state is None]
    assert left_out == ["left arm", "left hand", "left leg", "left foot"]
    keypoints[:, 12, 2] = 0.1
    assert states_of(keypoints)["hip"] is None


def test_hysteresis_holds_a_state_near_its_threshold():
    heights = np.concatenate([np.linspace(0, 25, 10), np.full(10, 12), np.linspace(12, 0, 11)])
    wrist = np.stack([np.full(31, 300.0), 100 - heights], axis=1)
    raised = figure(left_elbow=(265, 100), left_wrist=wrist)
    assert states_of(raised, 9)["left arm"] == "raise"
    assert states_of(raised, 15)["left arm"] == "raise"  # 0.12, below the 0.15 that begins it
    assert states_of(raised, 29)["left arm"] == "lift"
    never = figure(left_elbow=(265, 100), left_wrist=(300, 88))
    assert states_of(never, 15)["left arm"] == "lift"


def test_confidence_is_score_times_agreement():
    keypoints = figure()
    keypoints[:, 9, 2] = 0.6
    states = read_states(body(keypoints))
    arm, leg = PARTS.index("left arm"), PARTS.index("left leg")
    assert states.confidence[MIDDLE, arm] == pytest.approx((0.9 + 0.9 + 0.6) / 3)
    assert states.confidence[MIDDLE, leg] == pytest.approx(0.9)
    keypoints[:, 9, 2] = 0.1
    assert read_states(body(keypoints)).confidence[MIDDLE, arm] == 0


def test_a_single_step_is_outvoted():
    wrist = np.tile([235.0, 40.0], (31, 1))
    keypoints = figure(left_elbow=(232, 70), left_wrist=wrist)
    keypoints[MIDDLE, 9, 1] = 190  # one frame in which the wrist was put elsewhere
    assert states_of(keypoints)["left arm"] in ("raise", "swing")
    assert states_of(keypoints, MIDDLE + 4)["left arm"] == "raise"


def test_nothing_is_read_where_the_torso_is_never_seen():
    keypoints = figure()
    keypoints[:, 5, 2] = 0.1  # left shoulder: neither a neck nor a width of the shoulders
    assert set(states_of(keypoints).values()) == {None}


def test_definitions_know_the_states_that_rules_read():
    read = {kind: (*dict(named), *({rest} - {"none"})) for kind, (named, rest) in RULES.items()}
    assert read == RULE_STATES
