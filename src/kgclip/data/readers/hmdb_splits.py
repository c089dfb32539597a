"""Reads the split lists of HMDB51 and JHMDB: ``<class>_test_split1.txt`` with a file and 0, 1 or 2 a line."""

import re
from pathlib import Path

from kgclip.data.clip import Entry, Part, clip_id
from kgclip.data.readers.files import files_beside
from kgclip.data.tables import read_lines
from kgclip.errors import KgclipError

_FILE = re.compile(r"(?P<label>.+)_test_split(?P<split>\d+)\.txt")
_PART_OF_CODE: dict[str, Part | None] = {"0": None, "1": "train", "2": "test"}


def recognizes(path: Path) -> bool:
    """Whether this is a folder of such lists, or one of them."""
    names = [file.name for file in path.glob("*_test_split*.txt")] if path.is_dir() else [path.name]
    return any(map(_FILE.fullmatch, names))


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read one split over all classes without the clips of code 0, which it does not use; the id is ``<class>/<clip>``.

    Videos are looked for as ``<class>/<file>`` in the lists' folder, the one above and the folders in either.

    Raises:
        KgclipError: the folder holds several splits and none of its files is named, or a line is broken.
    """
    folder = path if path.is_dir() else path.parent
    lists = [match for file in sorted(folder.iterdir()) if (match := _FILE.fullmatch(file.name))]
    chosen = _FILE.fullmatch(path.name)
    numbers = {match["split"] for match in ([chosen] if chosen else lists)}
    if len(numbers) > 1:
        raise KgclipError(
            f"{folder}: holds the splits {', '.join(sorted(numbers))}; give one of its files to choose, "
            f"e.g. {folder / lists[0].string}"
        )
    listed: list[tuple[str, str, Part]] = []
    for match in (match for match in lists if match["split"] in numbers):
        for number, line in enumerate(map(str.strip, read_lines(folder / match.string)), start=1):
            name, _, code = line.rpartition(" ")
            if line and (not name or code not in _PART_OF_CODE):
                raise KgclipError(
                    f"{folder / match.string}: line {number} is {line[:80]!r}; expected a file and 0, 1 or 2, "
                    "e.g. 'clip.avi 1'"
                )
            if part := _PART_OF_CODE.get(code):
                listed.append((f"{match['label']}/{name.strip()}", match["label"], part))
    files = files_beside(folder / lists[0].string, [name for name, _, _ in listed])
    return [Entry(clip_id(name), files.find(name), label, part) for name, label, part in listed]
