"""The Kinetics-TPS metric on hand-computed cases, against counting, and against the sum over its thresholds."""

import itertools
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from tools.psc import Box, Human, evaluate_submission, iou, main, match_humans, part_state_correctness, steps_reached

BODY: Box = (0.0, 0.0, 99.0, 99.0)
ARM: Box = (10.0, 10.0, 19.0, 19.0)
LEG: Box = (50.0, 50.0, 59.0, 69.0)
PERSON = Human(BODY, {"left arm": ((ARM, "bend"),), "left leg": ((LEG, "step on"),)})


def shifted(box: Box, by: float) -> Box:
    return (box[0] + by, box[1], box[2] + by, box[3])


def person(arm: tuple[tuple[Box, str], ...], box: Box = BODY) -> Human:
    """The person with other proposals for the arm; the leg is right."""
    return Human(box, {**PERSON.parts, "left arm": arm})


def test_iou_counts_pixels():
    assert iou(ARM, ARM) == 1
    assert iou((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)) == 1 / 2  # one pixel of two
    assert iou(ARM, shifted(ARM, 5)) == 50 / 150
    assert iou(ARM, shifted(ARM, 9)) == 10 / 190  # ends that touch share a column of pixels
    assert iou(ARM, shifted(ARM, 10)) == -1


@pytest.mark.parametrize(
    ("predicted", "psc"),
    [
        ([PERSON], 1),
        ([person(((ARM, "raise"),))], 1 / 2),  # a wrong state
        ([person(((shifted(ARM, 5), "bend"),))], 1),  # IoU 1/3
        ([person(((shifted(ARM, 6), "bend"),))], 1 / 2),  # IoU 1/4
        ([person(((ARM, "raise"), (ARM, "bend")))], 3 / 4),  # one of two proposals is right
        ([person(((ARM, "bend"), (ARM, "bend")))], 3 / 4),  # and both are
        ([Human(BODY, {"left leg": ((LEG, "step on"),)})], 1 / 2),
        ([Human(BODY, {**PERSON.parts, "head": ((ARM, "none"),)})], 1),  # a part that nobody annotated
        ([Human(shifted(BODY, 33), PERSON.parts)], 1),  # IoU 67/133
        ([Human((0.0, 0.0, 99.0, 49.0), PERSON.parts)], 0),  # IoU 1/2, which is not above
        ([], 0),
    ],
)
def test_one_frame_by_hand(predicted: list[Human], psc: float):
    assert part_state_correctness({1: [PERSON]}, {1: predicted}) == psc


def test_a_part_is_right_from_an_iou_of_three_tenths():
    truth = Human(BODY, {"head": (((0.0, 0.0, 9.0, 0.0), "nod"),)})
    predicted = Human(BODY, {"head": (((0.0, 0.0, 2.0, 0.0), "nod"),)})  # 3 of 10 pixels
    assert part_state_correctness({1: [truth]}, {1: [predicted]}) == 1


def test_frames_by_hand():
    without_parts = Human(BODY, {})
    half = [person(((ARM, "raise"),))]
    assert part_state_correctness({1: [PERSON], 6: [PERSON]}, {1: [PERSON], 6: half}) == 3 / 4
    assert part_state_correctness({1: [PERSON], 6: [PERSON]}, {1: [PERSON]}) == 1 / 2  # a missing frame counts 0
    assert part_state_correctness({1: [PERSON], 6: []}, {1: [PERSON]}) == 1  # nobody is annotated in frame 6
    assert part_state_correctness({1: [PERSON], 6: []}, {1: [PERSON], 6: half}) == 1
    # Humans without parts: the frame does not count, but the official evaluator looks for the prediction first.
    assert part_state_correctness({1: [PERSON], 6: [without_parts]}, {1: half, 6: half}) == 1 / 2
    assert part_state_correctness({1: [PERSON], 6: [without_parts]}, {1: [PERSON]}) == 1 / 2
    assert part_state_correctness({1: []}, {}) == 1
    assert part_state_correctness({}, {}) == 1


def test_parts_count_alike_whoever_they_belong_to():
    other = Human(shifted(BODY, 200), {"head": ((shifted(ARM, 200), "nod"),)})
    assert part_state_correctness({1: [PERSON, other]}, {1: [PERSON]}) == 2 / 3
    assert part_state_correctness({1: [PERSON, other]}, {1: [other]}) == 1 / 3
    assert part_state_correctness({1: [PERSON, other]}, {1: [other, PERSON]}) == 1


BOXES = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(BOXES, max_size=4), st.lists(BOXES, max_size=4))
def test_humans_are_matched_by_the_largest_sum_of_overlaps(truth: list[Box], predicted: list[Box]):
    table = [[iou(t, p) for p in predicted] for t in truth]
    pairs = min(len(truth), len(predicted))
    every = [
        sum(table[i][j] for i, j in zip(rows, columns, strict=True))
        for rows in itertools.combinations(range(len(truth)), pairs)
        for columns in itertools.permutations(range(len(predicted)), pairs)
    ]
    people = [Human(box, {"head": ((box, str(j)),)}) for j, box in enumerate(predicted)]
    matches = match_humans([Human(box, {}) for box in truth], people)
    chosen = {i: people.index(human) for i, human in matches.items()}
    assert len(set(chosen.values())) == len(chosen)
    assert all(table[i][j] > 0.5 for i, j in chosen.items())
    # What was chosen is part of a best assignment: the rest of it can only add overlaps of at most one half.
    assert sum(table[i][j] for i, j in chosen.items()) >= max(every) - 0.5 * (pairs - len(chosen)) - 1e-9


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=5), st.floats(0, 1))
def test_the_closed_form_equals_the_sum_over_thresholds(whole: list[int], other: float):
    # Fractions k/10000 and what their sums round to are where a product would fall on the wrong side.
    values = [k / 10_000 for k in whole] + [sum(k / 10_000 for k in whole) / len(whole), other, 1 - other]
    reached = steps_reached(np.array(values))
    assert reached.tolist() == [sum(value >= k / 10_000 for k in range(1, 10_000)) for value in values]


def test_every_threshold_is_reached_by_itself():
    thresholds = np.arange(10_001) / 10_000
    assert steps_reached(thresholds).tolist() == [*range(10_000), 9999]
    assert (steps_reached(np.nextafter(thresholds[1:], 0)) == np.arange(10_000)).all()
    assert (np.floor(1e4 * np.nextafter(thresholds[1:], 0)) != np.arange(10_000)).any()  # the product is not enough


def annotate(folder: Path, frames: Mapping[str, Any]) -> dict[str, Any]:
    """Write frames as annotations, and return them as a perfect prediction of the video."""
    folder.mkdir(parents=True)
    for name, frame in frames.items():
        (folder / name).write_text(json.dumps(frame))
    return dict(frames)


def pack(path: Path, actions: Mapping[str, Any], parts: Mapping[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("result/pred_vid_result.json", json.dumps(actions))
        archive.writestr("result/pred_part_result.json", json.dumps(parts))
    return path


FRAME = {
    "humans": [{"number": 1, "box": [0, 0, 99, 99], "parts": {"left_arm": {"box": [10, 10, 19, 19], "verb": "bend"}}}]
}
WRONG = {
    "humans": [{"number": 1, "box": [0, 0, 99, 99], "parts": {"left_arm": {"box": [10, 10, 19, 19], "verb": "raise"}}}]
}


def test_a_perfect_submission_has_the_highest_score(tmp_path: Path):
    frames = {"img_00001.json": FRAME, "img_00003.json": FRAME, "img_00006.json": {"humans": []}}
    parts = {
        "a": annotate(tmp_path / "annotations" / "push_up" / "a" / "a", frames),
        "b": annotate(tmp_path / "annotations" / "lunge" / "b", {"img_00006.json": FRAME}),
    }
    submission = pack(tmp_path / "s.zip", {"a": "push_up", "b": "lunge"}, parts)
    report = evaluate_submission(submission, tmp_path / "annotations")
    assert (report.score, report.top1, report.mean_psc) == (0.9999, 1, 1)
    assert (report.num_videos, report.num_frames) == (2, 3)


def test_the_score_needs_the_action_and_the_parts(tmp_path: Path):
    names = [f"img_{number:05}.json" for number in (1, 6, 11, 16)]
    for video in "abc":
        annotate(tmp_path / "annotations" / "push_up" / video, dict.fromkeys(names, FRAME))
    # a: 3 of 4 frames right; b: all right but another action; c: nothing right.
    parts = {
        "a": dict.fromkeys(names, FRAME) | {names[3]: WRONG},
        "b": dict.fromkeys(names, FRAME),
        "c": dict.fromkeys(names, WRONG),
    }
    submission = pack(tmp_path / "s.zip", {"a": "push up", "b": "lunge", "c": "push_up", "d": "lunge"}, parts)
    report = evaluate_submission(submission, tmp_path / "annotations")
    assert report.score == pytest.approx(0.75 / 3)
    assert report.top1 == pytest.approx(2 / 3)
    assert report.mean_psc == pytest.approx(1.75 / 3)


def test_frames_between_the_scored_ones_do_not_count(tmp_path: Path):
    annotate(tmp_path / "annotations" / "push_up" / "a", {"img_00001.json": FRAME, "img_00004.json": FRAME})
    crowd = {"humans": FRAME["humans"] * 11}
    submission = pack(tmp_path / "s.zip", {"a": "push_up"}, {"a": {"img_00001.json": FRAME, "img_00004.json": crowd}})
    assert evaluate_submission(submission, tmp_path / "annotations").score == 0.9999


@pytest.mark.parametrize("missing", ["actions", "parts"])
def test_a_missing_video_is_refused(missing: str, tmp_path: Path):
    for video in ("a", "b"):
        annotate(tmp_path / "annotations" / "push_up" / video, {"img_00001.json": FRAME})
    actions, parts = dict.fromkeys("ab", "push_up"), {key: {"img_00001.json": FRAME} for key in "ab"}
    del (actions if missing == "actions" else parts)["b"]
    with pytest.raises(KgclipError, match=r"lacks the \w+ of 1 of 2 annotated videos, such as 'b'"):
        evaluate_submission(pack(tmp_path / "s.zip", actions, parts), tmp_path / "annotations")


@pytest.mark.slow
def test_a_perfect_submission_on_real_annotations(shared_data: Path, tmp_path: Path):
    root = shared_data / "jhmdb-tps" / "train_annotations"
    actions: dict[str, str] = {}
    parts: dict[str, dict[str, Any]] = {}
    for file in sorted(root.rglob("*.json")):
        actions[file.parent.name] = file.relative_to(root).parts[0]
        parts.setdefault(file.parent.name, {})[file.name] = json.loads(file.read_bytes())
    report = evaluate_submission(pack(tmp_path / "s.zip", actions, parts), root)
    assert (report.score, report.num_videos) == (0.9999, 655)


def test_the_command_prints_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    parts = {"a": annotate(tmp_path / "annotations" / "push_up" / "a", {"img_00001.json": FRAME})}
    submission = pack(tmp_path / "s.zip", {"a": "push_up"}, parts)
    assert main(submission, tmp_path / "annotations") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"score": 0.9999, "top1": 1.0, "mean_psc": 1.0, "num_videos": 1, "num_frames": 1}
    assert main(tmp_path / "gone.zip", tmp_path / "annotations") == 2
    assert capsys.readouterr().err.startswith(
        f"psc: {tmp_path / 'gone.zip'}: cannot be read (No such file or directory); check the path"
    )
