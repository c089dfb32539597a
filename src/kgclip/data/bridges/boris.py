"""BORIS (https://www.boris.unito.it): its projects, and its events as tables (tabular and aggregated)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgclip.data.bridges.documents import read_json
from kgclip.data.bridges.intervals import Interval, by_film, interval, write_table
from kgclip.data.tables import read_table
from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.files import write_json
from kgclip.video.cut import seconds
from kgclip.video.decode import probe

WHAT = "a BORIS project (.boris) or its events as a table (.csv, .tsv)"
# What versions of BORIS call the same columns.
_MEDIA = ("Media file name", "Media file path", "Media file", "Source")
_OFFSET = ("Time offset (s)", "Time offset")
_STATUS = {"START": "start", "STOP": "stop", "STATE": "state", "POINT": "point"}


@dataclass
class BorisEvents:
    """The intervals of a file, and how many of its events are none: points in time, and observations without a film."""

    intervals: list[Interval] = field(default_factory=list)
    points: int = 0
    live: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What was left out, as sentences."""
        notes = []
        if self.points:
            notes.append(f"{count_of(self.points, 'point event')} left out, which last no time")
        if self.live:
            notes.append(f"{count_of(len(self.live), 'observation')} without a film left out: {examples_of(self.live)}")
        return notes


def read_boris(path: Path) -> BorisEvents:
    """The state events of a project or a table; subjects and modifiers are not part of a label.

    Raises:
        KgclipError: the file is broken, an event has no end, or an observation has a time offset or several films in a
            row, so that its times are not those of a film.
    """
    return _of_table(path) if path.suffix.lower() in (".csv", ".tsv") else _of_project(path)


def write_boris(path: Path, intervals: Sequence[Interval]) -> None:
    """Write a project (.boris) that BORIS opens, or aggregated events as it exports them (.csv, .tsv).

    Raises:
        KgclipError: another name, an interval without a label, or (in a project) one label twice at one time.
    """
    unlabeled = next((each for each in intervals if not each.label), None)
    if unlabeled is not None:
        raise KgclipError(
            f"{unlabeled.video}: has no label from {seconds(unlabeled.start_s)} to {seconds(unlabeled.end_s)} s; BORIS "
            "has no event without a behavior, label it or leave it out"
        )
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        write_table(path, [row for video, found in by_film(intervals).items() for row in _rows(video, found)])
    elif suffix == ".boris":
        write_json(path, _project(path, intervals))
    else:
        raise KgclipError(f"--out {path}: expected {WHAT}")


def _of_table(path: Path) -> BorisEvents:
    rows = read_table(path)
    columns = rows[0].keys() if rows else set()
    media = next((name for name in _MEDIA if name in columns), None)
    if media is None or "Behavior" not in columns or not ({"Start (s)", "Stop (s)"} <= columns or "Time" in columns):
        raise KgclipError(
            f"{path}: has the columns {', '.join(list(columns)[:8])}; expected a media file, Behavior, "
            "Start (s) and Stop (s), or Time: export the events of BORIS as tabular or aggregated"
        )
    events, pairs = BorisEvents(), _Pairs()
    for number, row in enumerate(rows, start=2):
        where = f"{path}: row {number}"
        _check_offset(where, next((row[name] for name in _OFFSET if row.get(name)), 0))
        kind = _STATUS.get((row.get("Status") or row.get("Behavior type") or "STATE").upper(), "state")
        if kind == "point":
            events.points += 1
            continue
        video = _single(where, row[media])
        if "Start (s)" in columns:
            start_s, end_s = (_seconds(where, row[name]) for name in ("Start (s)", "Stop (s)"))
            events.intervals.append(interval(where, video, start_s, end_s, row["Behavior"]))
        else:
            key = (row.get("Observation id", ""), row.get("Subject", ""), row["Behavior"])
            pairs.add(key, where, video, _seconds(where, row["Time"]), row["Behavior"], kind)
    events.intervals += pairs.finish()
    return events


def _of_project(path: Path) -> BorisEvents:
    project = read_json(path, WHAT)
    observations = project.get("observations") if isinstance(project, dict) else None
    if not isinstance(observations, dict):
        raise KgclipError(f"{path}: holds no observations; expected {WHAT}")
    events, pairs = BorisEvents(), _Pairs()
    try:
        states = {
            behavior["code"]: "state" in behavior["type"].lower() for behavior in project["behaviors_conf"].values()
        }
        for name, observation in observations.items():
            where = f"{path}: observation {name!r}"
            media = observation.get("file") or {}
            if observation.get("type") != "MEDIA" or not any(media.values()):
                events.live.append(name)
                continue
            _check_offset(where, observation.get("time offset", 0))
            video = _single(where, ";".join(media.get("1") or next(filter(None, media.values()))))
            for time_s, subject, code, modifier, *_ in sorted(observation["events"], key=lambda event: event[0]):
                if states.get(code, True):
                    pairs.add((name, subject, code, modifier), where, video, float(time_s), code, "state")
                else:
                    events.points += 1
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise KgclipError(f"{path}: is no project that BORIS wrote ({error!r}); save it with BORIS again") from None
    events.intervals += pairs.finish()
    return events


class _Pairs:
    """State events, which come as starts and stops in turn."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], tuple[str, str, float, str]] = {}
        self._found: list[Interval] = []

    def add(self, key: tuple[str, ...], where: str, video: str, time_s: float, label: str, kind: str) -> None:
        """Take the next event of a behavior; ``kind`` says which of both it must be, if the file does."""
        started = self._open.pop(key, None)
        if started is not None and kind != "start":
            self._found.append(interval(where, video, started[2], time_s, label))
        elif started is None and kind != "stop":
            self._open[key] = (where, video, time_s, label)
        else:
            what = "starts twice" if kind == "start" else "stops without a start"
            raise KgclipError(f"{where}: {label!r} {what} at {seconds(time_s)} s; pair the events in BORIS")

    def finish(self) -> list[Interval]:
        """The intervals in the order they ended."""
        for where, _, time_s, label in self._open.values():
            raise KgclipError(f"{where}: {label!r} starts at {seconds(time_s)} s and never stops; pair it in BORIS")
        return self._found


def _single(where: str, media: str) -> str:
    """The film of an observation: ``player #1:film.mp4`` or its name alone."""
    films = [name.strip().removeprefix("player #1:").strip() for name in media.split(";") if name.strip()]
    if len(films) != 1:
        raise KgclipError(f"{where} has {count_of(len(films), 'film')} in a row; expected one film an observation")
    return films[0]


def _check_offset(where: str, offset: Any) -> None:
    try:
        shifted = float(offset) != 0
    except (TypeError, ValueError):
        shifted = True
    if shifted:
        raise KgclipError(f"{where} has a time offset of {offset}; expected times from the film's start, set it to 0")


def _seconds(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise KgclipError(
            f"{where} has the time {text[:40]!r}; expected seconds, export the events with times"
        ) from None


def _length(video: str) -> tuple[float, float]:
    """Seconds and frames a second of a film; NaN where it cannot be read."""
    try:
        info = probe(video)
    except KgclipError:
        return math.nan, math.nan
    return info.duration_s, info.fps


def _rows(video: str, intervals: Iterable[Interval]) -> Iterable[Mapping[str, object]]:
    length_s, fps = _length(video)
    for each in intervals:
        yield {
            "Observation id": Path(video).stem,
            "Observation date": "",
            "Description": "",
            "Observation type": "Media file",
            "Source": f"player #1:{video}",
            "Time offset (s)": 0,
            "Coding duration": "",
            "Media duration (s)": "" if math.isnan(length_s) else f"{length_s:.3f}",
            "FPS (frame/s)": "" if math.isnan(fps) else f"{fps:.3f}",
            "Subject": "No focal subject",
            "Observation duration by subject by observation": "",
            "Behavior": each.label,
            "Behavioral category": "",
            "Behavior type": "STATE",
            "Start (s)": f"{each.start_s:.3f}",
            "Stop (s)": f"{each.end_s:.3f}",
            "Duration (s)": f"{each.end_s - each.start_s:.3f}",
            "Media file name": video,
            "Comment start": "",
            "Comment stop": "",
        }


def _project(path: Path, intervals: Sequence[Interval]) -> dict[str, Any]:
    labels = sorted({each.label for each in intervals})
    behavior = {"type": "State event", "key": "", "description": "", "category": "", "modifiers": "", "excluded": ""}
    names: dict[str, int] = defaultdict(int)
    observations = {}
    for video, found in by_film(intervals).items():
        _check_overlaps(found)
        stem = Path(video).stem
        names[stem] += 1
        observations[stem if names[stem] == 1 else f"{stem} ({names[stem]})"] = _observation(video, found)
    return {
        "time_format": "hh:mm:ss",
        "project_date": "1970-01-01T00:00:00",
        "project_name": path.stem,
        "project_description": "written by kgclip",
        "project_format_version": "7.0",
        "subjects_conf": {},
        "behaviors_conf": {str(n): behavior | {"code": label, "coding map": ""} for n, label in enumerate(labels)},
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _check_overlaps(intervals: Iterable[Interval]) -> None:
    """BORIS has a behavior start and stop in turn."""
    last: dict[str, Interval] = {}
    for each in intervals:
        before = last.get(each.label)
        if before is not None and each.start_s < before.end_s:
            raise KgclipError(
                f"{each.video}: {each.label!r} starts at {seconds(each.start_s)} s, before the last one has ended; "
                "BORIS holds a behavior once at a time, export it as .csv"
            )
        last[each.label] = each


def _observation(video: str, intervals: Iterable[Interval]) -> dict[str, Any]:
    events = [[time_s, "", each.label, "", ""] for each in intervals for time_s in (each.start_s, each.end_s)]
    length_s, fps = _length(video)
    known = not math.isnan(length_s)
    return {
        "file": {str(player): [video] if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": "1970-01-01T00:00:00",
        "description": "",
        "time offset": 0.0,
        "events": sorted(events, key=lambda event: event[0]),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {video: round(length_s, 3)} if known else {},
            "fps": {video: round(fps, 3)} if known else {},
            "hasVideo": {video: True},
            "hasAudio": {video: False},
            "offset": {"1": 0.0},
        },
    }
