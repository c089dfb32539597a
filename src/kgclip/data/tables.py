"""Tables and lists that people write by hand or export: CSV with a header, and text with one entry a line."""

import csv
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.files import read_text

_MOST_LINES, _MOST_CELLS, _MOST_COLUMNS = 1_000_000, 4_000_000, 1000


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table with a header into one dictionary per row, without surrounding blanks.

    Cells are separated by commas, or by the semicolons or tabs that the header has more of.

    Raises:
        KgclipError: the file is empty, is not UTF-8 text, has too many rows or columns, or a row has more or fewer
            cells than the header.
    """
    lines = read_lines(path)
    try:
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        _check_size(path, lines, delimiter)
        rows = ([cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if any(row))
        header = [" ".join(name.split()) for name in next(rows, ())]  # errors quote them, on one line
        if not header:
            raise KgclipError(f"{path}: is empty; expected a header and one row per clip")
        return [_named(f"{path}: row {number}", header, row) for number, row in enumerate(rows, start=2)]
    except csv.Error as error:
        raise KgclipError(f"{path}: is no CSV file ({error}); expected cells with commas between, quoted") from None


def _named(where: str, header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise KgclipError(
            f"{where} has {len(row)} cells, expected {len(header)} as in the header; put cells that contain a comma in "
            "double quotes"
        )
    return dict(zip(header, row, strict=True))


def _check_size(path: Path, lines: list[str], delimiter: str) -> None:
    """Refuse, before cells are made, what would fill the memory with them."""
    columns = 1 + (lines[0].count(delimiter) if lines else 0)
    if columns > _MOST_COLUMNS or sum(line.count(delimiter) for line in lines) > _MOST_CELLS:
        raise KgclipError(
            f"{path}: has more than {_MOST_COLUMNS:,} columns or {_MOST_CELLS:,} cells; split it or leave it out"
        )


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file, with their ends.

    Raises:
        KgclipError: the file cannot be read, is not UTF-8, holds a null character, or has too many lines.
    """
    text = read_text(path)
    if text.count("\n") > _MOST_LINES:
        raise KgclipError(f"{path}: has more than {_MOST_LINES:,} lines; split it or leave it out")
    lines = text.split("\n")  # str.splitlines would also split at rare characters inside of names
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])
