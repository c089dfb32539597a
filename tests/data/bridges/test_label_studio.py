"""Label Studio's time lines, in the JSON that it exports and imports."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.data.bridges.intervals import Interval
from kgclip.data.bridges.label_studio import read_tasks, write_tasks
from kgclip.errors import KgclipError
from tests.data.bridges.examples import TASKS


def read(folder: Path, tasks: Any, fps: float = 25.0) -> list[Interval]:
    (folder / "project.json").write_text(json.dumps(tasks))
    return read_tasks(folder / "project.json", fps)


def test_ranges_of_frames_become_seconds(tmp_path):
    video = "/data/upload/4/3f2a1b9c-gym.mp4"
    # Frames 1 to 50 are the first two seconds of 25 frames.
    assert read(tmp_path, TASKS) == [Interval(video, 0.0, 2.0, "push up"), Interval(video, 3.0, 4.0, "lunge")]


def test_what_was_skipped_is_no_annotation(tmp_path):
    tasks = copy.deepcopy(TASKS)
    tasks[0]["annotations"].append({"id": 8, "was_cancelled": True, "result": []})
    assert len(read(tmp_path, tasks)) == 2


def changed(path: list[Any], value: Any) -> list[dict[str, Any]]:
    tasks: Any = copy.deepcopy(TASKS)
    place = tasks
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return tasks


REGION = [0, "annotations", 0, "result", 1, "value"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"tasks": TASKS}, r"project\.json: is no list of tasks; expected a JSON export of Label Studio"),
        ([{"id": 3, "video": "a.mp4", "videoLabels": []}], "task 3 has no list of annotations; .* not JSON-MIN"),
        (
            changed([*REGION, "timelinelabels"], ["a", "b"]),
            r"task 12, region bQ3 has the labels \['a', 'b'\]; a clip shows",
        ),
        (changed([*REGION, "ranges"], [{"start": 1}]), r"region bQ3 has the range {'start': 1}; expected the frames"),
        (
            changed([*REGION, "ranges"], [{"start": 9, "end": 3}]),
            "region bQ3 lies from 0.32 to 0.12 s; expected an end",
        ),
        (
            changed([0, "annotations"], TASKS[0]["annotations"] * 2),
            "task 12 was annotated 2 times; keep one annotation of",
        ),
        (
            changed([0, "data"], {"text": "x"}),
            "task 12 names no video in its data; expected the address of a video file",
        ),
    ],
)
def test_exports_that_cannot_be_read(tmp_path, tasks, message):
    with pytest.raises(KgclipError, match=message):
        read(tmp_path, tasks)


def test_predictions_are_for_people_to_correct(tmp_path):
    write_tasks(tmp_path / "t.json", [Interval("films/a.mp4", 0.5, 1.0, "wave")], 24.0, predicted=True)
    (task,) = json.loads((tmp_path / "t.json").read_text())
    assert task["data"] == {"video": "films/a.mp4"}
    (region,) = task["predictions"][0]["result"]
    assert region["value"] == {"ranges": [{"start": 13, "end": 24}], "timelinelabels": ["wave"]}
    assert (region["from_name"], region["to_name"], region["type"]) == ("timeline", "video", "timelinelabels")
    # A prediction is nobody's answer.
    with pytest.raises(KgclipError, match="task 1 has no list of annotations"):
        read_tasks(tmp_path / "t.json", 24.0)


frames = st.tuples(
    st.sampled_from(["a.mp4", "b.mkv"]), st.integers(0, 9999), st.integers(1, 999), st.text("xyz", min_size=1)
)


@settings(max_examples=40)
@given(st.lists(frames, min_size=1, max_size=9), st.sampled_from([12.5, 24.0, 25.0, 29.97, 60.0]))
def test_round_trip(tmp_path_factory, spans, fps):
    folder = tmp_path_factory.mktemp("label-studio")
    found = [Interval(video, start / fps, (start + count) / fps, label) for video, start, count, label in spans]
    write_tasks(folder / "t.json", found, fps, predicted=False)
    again = read_tasks(folder / "t.json", fps)
    assert sorted((e.video, round(e.start_s * fps), round(e.end_s * fps), e.label) for e in again) == sorted(
        (video, start, start + count, label) for video, start, count, label in spans
    )
