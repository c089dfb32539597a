"""Names for labels that are numbers, from a file beside the list that gives them."""

import re
from collections.abc import Iterable
from pathlib import Path

from kgclip.data.tables import read_lines
from kgclip.errors import KgclipError

_FILES = (
    *("classInd.txt", "classes.txt", "classes.csv", "class_names.txt", "labels.txt", "labels.csv"),
    *("label_map.txt", "label_map.csv", "categories.txt"),
)
_NUMBER = re.compile(r"\d{1,9}")
_NUMBERED = re.compile(r"(\d{1,9})[\s,;:]+(.*\S)")
_NAME_FIRST = re.compile(r"(.*\S)\s*[,;\t]\s*(\d{1,9})")
_HEADER = re.compile(r"(?:id|index|number|label|class|name|action)(?:_?(?:id|name))?\s*[,;\t]", re.IGNORECASE)


def named_labels(table: Path, labels: Iterable[str]) -> dict[str, str]:
    """The name of each label of a list: the label itself unless all are numbers.

    Numbers are looked up in a file beside the list: ``id,name``, ``name,id`` or ``id name`` a line, or the names alone,
    from 0.

    Raises:
        KgclipError: all labels are numbers, and there is no such file or it lacks one.
    """
    distinct = sorted(set(labels))
    if not all(_NUMBER.fullmatch(label) for label in distinct):
        return {label: label for label in distinct}
    file = next((table.parent / name for name in _FILES if (table.parent / name).is_file()), None)
    if distinct and (file is None or file == table):
        raise KgclipError(
            f"{table}: its labels are numbers, such as {distinct[0]}, and no file names them; "
            f"put {_FILES[0]} (or {', '.join(_FILES[1:])}) beside it, with 'id,name' a line"
        )
    names = {} if file is None else _read_names(file)
    missing = [label for label in distinct if int(label) not in names]
    if missing:
        raise KgclipError(f"{file}: has no name for label {missing[0]} of {table}; add the line '{missing[0]},<name>'")
    return {label: names[int(label)] for label in distinct}


def _read_names(file: Path) -> dict[int, str]:
    lines = [line.strip() for line in read_lines(file) if line.strip()]
    if lines and _HEADER.match(lines[0]):
        del lines[0]
    numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if len(numbered) == len(lines):
        return {int(match[1]): match[2].strip('"') for match in numbered}
    name_first = [match for line in lines if (match := _NAME_FIRST.fullmatch(line))]
    if len(name_first) == len(lines):
        return {int(match[2]): match[1].strip('"') for match in name_first}
    return dict(enumerate(lines))
