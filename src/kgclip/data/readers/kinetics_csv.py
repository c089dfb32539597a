"""Reads a list of Kinetics (label, youtube_id, time_start, time_end, split), whose clips lie anywhere beside it."""

import os
from pathlib import Path

from kgclip.data.clip import Entry, is_foreign, is_video, part_named
from kgclip.data.readers import csv_table
from kgclip.data.tables import read_lines, read_table
from kgclip.errors import KgclipError

_COLUMNS = ("youtube_id", "time_start", "time_end")


def recognizes(path: Path) -> bool:
    """Whether this is a table with the columns of Kinetics."""
    return csv_table.recognizes(path) and all(column in next(iter(read_lines(path)), "") for column in _COLUMNS)


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read the rows; a clip's id and file name is ``<youtube_id>_<start>_<end>``, seconds with six digits.

    Raises:
        KgclipError: the table is broken, or a row has no id or times that are no numbers.
    """
    files, rows = _videos_under(path.parent), read_table(path)
    missing = [column for column in _COLUMNS if rows and column not in rows[0]]
    if missing:
        raise KgclipError(f"{path}: has no column {' and '.join(missing)}, got {','.join(rows[0])}; correct the header")
    entries = []
    for number, row in enumerate(rows, start=2):
        where = f"{path}: row {number}"
        try:
            start, end = (int(float(row[column])) for column in ("time_start", "time_end"))
        except (ValueError, OverflowError):
            raise KgclipError(
                f"{where} has times {row['time_start']!r} and {row['time_end']!r}; expected seconds"
            ) from None
        if not row["youtube_id"]:
            raise KgclipError(f"{where} has no youtube_id; fill the cell or remove the row")
        name = f"{row['youtube_id']}_{start:06d}_{end:06d}"
        part = part_named(row.get("split", ""), where)
        file = files.get(name, path.parent / f"{name}.mp4")
        entries.append(Entry(name, file, row.get("label") or None, part, row["youtube_id"]))
    return entries


def _videos_under(root: Path) -> dict[str, Path]:
    """Every video in a tree by its stem."""
    files: dict[str, Path] = {}
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not is_foreign(name)]
        files |= {Path(name).stem: Path(folder, name) for name in filter(is_video, names)}
    return files
