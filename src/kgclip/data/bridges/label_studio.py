"""Label Studio's time lines of videos (the tag TimelineLabels), in its JSON export and import."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgclip.data.bridges.documents import read_json
from kgclip.data.bridges.intervals import Interval, by_film, file_name, interval
from kgclip.data.clip import is_video
from kgclip.errors import KgclipError
from kgclip.files import write_json
from kgclip.reading import one_sentence

WHAT = "a JSON export of Label Studio (a list of tasks)"
NAME, TO = "timeline", "video"
"""Names of the tags of the labeling configuration: ``<TimelineLabels name="timeline" toName="video">``."""


def read_tasks(path: Path, fps: float) -> list[Interval]:
    """The labeled ranges of all tasks; their frames are counted from 1, the last is inside, at ``fps`` a second.

    Raises:
        KgclipError: the file is broken, a task names no video or was annotated by several people, or a range has not
            one label.
    """
    tasks = read_json(path, WHAT)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise KgclipError(f"{path}: is no list of tasks; expected {WHAT}, not JSON-MIN or a single task")
    with one_sentence(path, WHAT):  # a list may be a number, a number infinite
        return [found for number, task in enumerate(tasks, 1) for found in _of_task(path, task, number, fps)]


def write_tasks(path: Path, intervals: Sequence[Interval], fps: float, *, predicted: bool) -> None:
    """Write tasks for Label Studio's import: with annotations, or with predictions for people to correct."""
    tasks = []
    for video, found in by_film(intervals).items():
        result = [_region(each, number, fps) for number, each in enumerate(found, start=1)]
        answer = {"predictions": [{"model_version": "kgclip", "result": result}]}
        tasks.append({"data": {TO: video}} | (answer if predicted else {"annotations": [{"result": result}]}))
    write_json(path, tasks)


def frames_of(each: Interval, fps: float) -> tuple[int, int]:
    """The first and the last frame of an interval, counted from 1."""
    first = round(each.start_s * fps) + 1
    return first, max(first, round(each.end_s * fps))


def _of_task(path: Path, task: Mapping[str, Any], number: int, fps: float) -> Iterator[Interval]:
    where = f"{path}: task {task.get('id', number)}"
    annotations = task.get("annotations")
    if not isinstance(annotations, list):
        raise KgclipError(f"{where} has no list of annotations; expected {WHAT}, not JSON-MIN")
    answers = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    if len(answers) > 1:
        raise KgclipError(
            f"{where} was annotated {len(answers)} times; keep one annotation of each task and export again"
        )
    regions = [
        region
        for answer in answers
        for region in answer.get("result") or ()
        if isinstance(region, dict) and "timelinelabels" in (region.get("value") or ())
    ]
    video = _video(where, task) if regions else ""
    for region in regions:
        yield from _of_region(f"{where}, region {region.get('id')}", region["value"], video, fps)


def _of_region(where: str, value: Mapping[str, Any], video: str, fps: float) -> Iterator[Interval]:
    labels = value["timelinelabels"]
    if not isinstance(labels, list) or len(labels) != 1:
        raise KgclipError(f"{where} has the labels {labels}; a clip shows one action, keep one label")
    for span in value.get("ranges") or ():
        try:
            first, last = int(span["start"]), int(span["end"])
        except (KeyError, TypeError, ValueError):
            raise KgclipError(f"{where} has the range {span}; expected the frames start and end") from None
        yield interval(where, video, max(0, first - 1) / fps, last / fps, str(labels[0]))


def _video(where: str, task: Mapping[str, Any]) -> str:
    data = task.get("data")
    values = [value for value in (data.values() if isinstance(data, dict) else ()) if isinstance(value, str)]
    videos = [value for value in values if is_video(file_name(value))]
    if not videos:
        raise KgclipError(f"{where} names no video in its data; expected the address of a video file")
    return videos[0]


def _region(each: Interval, number: int, fps: float) -> dict[str, Any]:
    first, last = frames_of(each, fps)
    value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [each.label]}
    return {"id": f"kgclip{number}", "type": "timelinelabels", "from_name": NAME, "to_name": TO, "value": value}
