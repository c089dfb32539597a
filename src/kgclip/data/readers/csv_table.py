"""Reads a CSV with the columns ``video,label[,start,end][,split][,source]``."""

import re
from collections.abc import Mapping
from pathlib import Path

from kgclip.data.clip import Entry, clip_id, part_named
from kgclip.data.readers.class_names import named_labels
from kgclip.data.readers.files import ListedFiles
from kgclip.data.tables import read_table
from kgclip.errors import KgclipError
from kgclip.video.cut import Cut, cut_id

_HEADER = "video,label[,start,end][,split][,source]"
# Hours and minutes may stand before seconds.
_TIME = re.compile(r"(?:(?:(\d{1,9}):)?([0-5]?\d):)?(\d{1,12}(?:\.\d{1,12})?)", re.ASCII)


def recognizes(path: Path) -> bool:
    """Whether this is a table by its name."""
    return path.suffix.lower() in (".csv", ".tsv")


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read the clips that the rows name, with paths relative to the file; a clip's id is its path without extension.

    With ``start`` and ``end``, seconds or h:mm:ss, a clip is what the video shows between them; where both are empty it
    is the whole video.

    Raises:
        KgclipError: the table is broken, lacks a column or a cell, has numbers for labels and no names for them, or
            times that are no interval.
    """
    rows = read_list(path)
    names = named_labels(path, (row["label"] for row in rows if row["label"]))
    files = ListedFiles(path.parent)
    entries = []
    for number, row in enumerate(rows, start=2):
        where = f"{path}: row {number}"
        part, interval = part_named(row.get("split", ""), where), interval_in(row, where)
        label, file, name = names.get(row["label"]), files.find(row["video"]), clip_id(row["video"])
        if interval is None:
            entries.append(Entry(name, file, label, part, row.get("source") or None))
            continue
        try:
            cut = Cut(file, *interval)
        except KgclipError as error:
            raise KgclipError(f"{where}: {error}") from None
        entries.append(Entry(cut_id(name, cut), cut, label, part, row.get("source") or None))
    return entries


def read_list(path: Path) -> list[dict[str, str]]:
    """The rows of a list of clips, each with a video and a label, which may be empty.

    Raises:
        KgclipError: the table is broken, lacks a column, or a row names no video.
    """
    rows = read_table(path)
    missing = [column for column in ("video", "label") if rows and column not in rows[0]]
    if missing:
        raise KgclipError(
            f"{path}: has no column {' and '.join(missing)}, got {','.join(rows[0])}; the header must be {_HEADER}, or "
            "that of Kinetics (youtube_id,time_start,time_end)"
        )
    if rows and ("start" in rows[0]) != ("end" in rows[0]):
        raise KgclipError(
            f"{path}: has only one of the columns start and end, got {','.join(rows[0])}; the header must be {_HEADER}"
        )
    for number, row in enumerate(rows, start=2):
        if not row["video"]:
            raise KgclipError(f"{path}: row {number} names no video; fill the cell or remove the row")
    return rows


def interval_in(row: Mapping[str, str], where: str) -> tuple[float, float] | None:
    """The interval that a row gives in seconds, None where it gives none.

    Raises:
        KgclipError: only one end is there, or it is no time.
    """
    cells = [row.get(name, "") for name in ("start", "end")]
    if not any(cells):
        return None
    found = [_TIME.fullmatch(cell) for cell in cells]
    if not (found[0] and found[1]):
        raise KgclipError(
            f"{where} has start {cells[0][:40]!r} and end {cells[1][:40]!r}; expected seconds, such as 12.5, or h:mm:ss"
        )
    start, end = (
        3600 * int(match[1] or 0) + 60 * int(match[2] or 0) + float(match[3]) for match in (found[0], found[1])
    )
    return start, end
