"""Tables and lists that people write by hand or export: CSV with a header, and text with one entry a line."""

import csv
import io
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.files import read_text

_MOST_LINES = 2_000_000


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table with a header into one dictionary per row, without surrounding blanks.

    Cells are separated by commas, or by the semicolons or tabs that the header has more of.

    Raises:
        KgclipError: the file is empty, is not UTF-8 text, or a row has more or fewer cells than the header.
    """
    lines = read_lines(path)
    try:
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise KgclipError(f"{path}: is no CSV file ({error}); expected cells with commas between, quoted") from None
    if not rows:
        raise KgclipError(f"{path}: is empty; expected a header and one row per clip")
    header = [" ".join(name.split()) for name in rows[0]]  # errors quote them, on one line
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise KgclipError(
                f"{path}: row {number} has {len(row)} cells, expected {len(header)} as in the header; "
                "put cells that contain a comma in double quotes"
            )
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file, with their ends.

    Raises:
        KgclipError: the file cannot be read, is not UTF-8, holds a null character, or has too many lines.
    """
    text = read_text(path)
    if "\0" in text:  # no name of a file may
        raise KgclipError(f"{path}: holds a null character, as no text does; save it as UTF-8")
    if text.count("\n") > _MOST_LINES:
        raise KgclipError(f"{path}: has more than {_MOST_LINES:,} lines; split it or leave it out")
    return list(io.StringIO(text))  # str.splitlines would also split at rare characters inside of names
