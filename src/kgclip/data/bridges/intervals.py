"""Intervals of films: what the tools that mark them have in common, and the list that all commands read."""

import csv
import io
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from kgclip.data.readers.csv_table import interval_in, read_list
from kgclip.data.readers.files import ListedFiles
from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.files import atomic_path, read_text
from kgclip.reading import parse_json
from kgclip.video.cut import seconds

# "film.mp4" is "3f2a1b9c-film.mp4" once it was uploaded to Label Studio.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_HEADER = ("video", "label", "start", "end")


@dataclass(frozen=True, order=True)
class Interval:
    """A stretch of a film with the label that somebody gave it; made by :func:`interval`.

    Attributes:
        video: the film as the file names it: a path or an address.
        start_s, end_s: seconds from its first frame, to the millisecond.
        label: an action; empty where none was given.
    """

    video: str
    start_s: float
    end_s: float
    label: str


def interval(where: str, video: str, start_s: float, end_s: float, label: str) -> Interval:
    """An interval to the millisecond; ``where`` names its place in the file for a message.

    Raises:
        KgclipError: it has no length, or its times are no numbers from 0.
    """
    if not (math.isfinite(start_s) and math.isfinite(end_s) and round(start_s, 3) >= 0):
        raise KgclipError(f"{where} lies from {start_s} to {end_s} s; expected seconds from 0, correct its times")
    if round(end_s, 3) <= round(start_s, 3):
        raise KgclipError(
            f"{where} lies from {seconds(start_s)} to {seconds(end_s)} s; expected an end after the start, correct its "
            "times"
        )
    return Interval(video, round(start_s, 3), round(end_s, 3), " ".join(label.split()))


def file_name(video: str) -> str:
    """The file name in a path (of any system) or an address."""
    try:
        parts = urlsplit(video)
    except ValueError:  # such as http://[
        parts = urlsplit("")
    local = parse_qs(parts.query).get("d")
    path = local[0] if local else unquote(parts.path) if parts.scheme else video
    return re.split(r"[\\/]", path)[-1]


def locate(video: str, base: Path, videos: Path | None) -> Path | None:
    """Where a film is that a file in the folder ``base`` names: as it says, or by name beside it or in ``videos``."""
    named = unquote(urlsplit(video).path) if video.startswith("file:") else video
    name = file_name(video)
    folders = [ListedFiles(base if videos is None else videos)]
    places = [] if videos is not None else [base / named]
    places += [files.find(found) for files in folders for found in (name, _UPLOAD.sub("", name, count=1)) if found]
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113 (raises for long names)


def write_list(found: Iterable[tuple[Path, Interval]], out: Path, videos: Path | None) -> list[str]:
    """Write intervals, each with the file it was read from, as a list ``video,label,start,end`` that commands read.

    Films are named relative to the list.

    Returns:
        Sentences on what was written and what was not found.

    Raises:
        KgclipError: there is no interval, or one stretch has two labels.
    """
    if out.suffix.lower() not in (".csv", ".tsv"):
        raise KgclipError(f"--out {out}: becomes a list of intervals; give it a name that ends in .csv")
    places: dict[tuple[str, Path], str] = {}
    lost: list[str] = []
    rows: dict[tuple[str, float, float], Interval] = {}
    for file, each in found:
        key = each.video, file.parent
        if key not in places:
            place = locate(each.video, file.parent, videos)
            lost += [] if place else [file_name(each.video)]
            places[key] = os.path.relpath(place, out.parent) if place else file_name(each.video)
        other = rows.setdefault((places[key], each.start_s, each.end_s), each)
        if other.label != each.label:
            raise KgclipError(
                f"{file}: {file_name(each.video)} has the labels {other.label!r} and {each.label!r} from "
                f"{seconds(each.start_s)} to {seconds(each.end_s)} s; a clip shows one action, keep one of them"
            )
    if not rows:
        raise KgclipError(f"{out}: would be empty, as no interval was found; check what was exported")
    lines = [(video, rows[video, start, end].label, seconds(start), seconds(end)) for video, start, end in sorted(rows)]
    _write_table(out, _HEADER, lines)
    notes = [f"{out}: {count_of(len(lines), 'interval')} of {count_of(len({line[0] for line in lines}), 'film')}"]
    if lost:
        where = "named" if videos is None else f"named, in {videos}"
        notes.append(
            f"{count_of(len(set(lost)), 'film')} not found where {where}: {examples_of(sorted(set(lost)))}; give "
            "--videos, or put the list beside them"
        )
    return notes


def read_intervals(path: Path, video: Path | None) -> list[Interval]:
    """The intervals of a list, or of the lines of JSON that ``kgclip watch`` wrote of a film.

    Films of a list are named as seen from here.

    Raises:
        KgclipError: the file is broken, holds no interval, or does not go with ``video``.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        if video is not None:
            raise KgclipError(f"--video {video}: {path} names its films itself; leave the option out")
        found = list(_of_list(path))
    elif path.suffix.lower() in (".jsonl", ".json"):
        if video is None:
            raise KgclipError(f"{path}: does not name its film; give the film that was watched with --video")
        found = [_span(line, f"{path}: line {n}", str(video)) for n, line in enumerate(_lines(path), 1) if line.strip()]
    else:
        raise KgclipError(f"{path}: is neither a list (.csv) nor spans of kgclip watch (.jsonl); give one of them")
    if not found:
        raise KgclipError(f"{path}: holds no interval; nothing to export")
    return sorted(found)


def by_film(intervals: Iterable[Interval]) -> dict[str, list[Interval]]:
    """The intervals of each film, in order of time."""
    films: dict[str, list[Interval]] = defaultdict(list)
    for each in sorted(intervals):
        films[each.video].append(each)
    return films


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal columns as CSV, or with tabs where the name ends in .tsv, atomically."""
    _write_table(path, list(rows[0]), [list(row.values()) for row in rows])


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
    writer.writerows([header, *rows])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _of_list(path: Path) -> Iterable[Interval]:
    for number, row in enumerate(read_list(path), start=2):
        where = f"{path}: row {number}"
        times = interval_in(row, where)
        if times is None:
            raise KgclipError(f"{where} has no start and end; fill them in, or leave whole films out")
        yield interval(where, str(path.parent / row["video"]), *times, row["label"])


def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines()


def _span(line: str, where: str, video: str) -> Interval:
    try:
        span = parse_json(line)
        start_s, end_s, action = float(span["start_s"]), float(span["end_s"]), str(span["action"])
        action.encode()  # JSON can hold halves of characters, which no file takes
    except (ValueError, KeyError, TypeError, OverflowError):
        raise KgclipError(f"{where} is no span; expected start_s, end_s and action, as kgclip watch writes") from None
    return interval(where, video, start_s, end_s, action)
