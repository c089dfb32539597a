"""Reads a CSV with the columns ``video,label[,split][,source]``."""

from pathlib import Path

from kgclip.data.clip import Entry, clip_id, part_named
from kgclip.data.readers.class_names import named_labels
from kgclip.data.readers.files import ListedFiles
from kgclip.data.tables import read_table
from kgclip.errors import KgclipError


def recognizes(path: Path) -> bool:
    """Whether this is a table by its name."""
    return path.suffix.lower() in (".csv", ".tsv")


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read the clips that the rows name, with paths relative to the file; a clip's id is its path without extension.

    Raises:
        KgclipError: the table is broken, lacks a column or a cell, or has numbers for labels and no names for them.
    """
    rows = read_table(path)
    missing = [column for column in ("video", "label") if rows and column not in rows[0]]
    if missing:
        raise KgclipError(
            f"{path}: has no column {' and '.join(missing)}, got {','.join(rows[0])}; "
            "the header must be video,label[,split][,source], or that of Kinetics (youtube_id,time_start,time_end)"
        )
    names = named_labels(path, (row["label"] for row in rows if row["label"]))
    files = ListedFiles(path.parent)
    entries = []
    for number, row in enumerate(rows, start=2):
        if not row["video"]:
            raise KgclipError(f"{path}: row {number} names no video; fill the cell or remove the row")
        part = part_named(row.get("split", ""), f"{path}: row {number}")
        label, file = names.get(row["label"]), files.find(row["video"])
        entries.append(Entry(clip_id(row["video"]), file, label, part, row.get("source") or None))
    return entries
