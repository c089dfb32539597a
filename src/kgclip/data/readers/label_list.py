"""Reads text lists with ``path label`` a line, among them those of UCF101 (``trainlist01.txt``, ``testlist01.txt``)."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from kgclip.data.clip import VIDEO_EXTENSIONS, Entry, Part, clip_id
from kgclip.data.readers.class_names import named_labels
from kgclip.data.readers.files import files_beside
from kgclip.data.tables import read_lines
from kgclip.errors import KgclipError

# Paths and labels may hold blanks: the extension of a video ends the path.
_LINE = re.compile(rf"(?P<path>.+\.(?:{'|'.join(e[1:] for e in VIDEO_EXTENSIONS)}))(?:[\s,;]+(?P<label>\S.*))?", re.I)
_PART = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?=list|set|split|[^a-z]|$)", re.I)
_PARTS: dict[str, Part] = {"train": "train", "val": "val", "test": "test"}


def recognizes(path: Path) -> bool:
    """Whether this is a text file."""
    return path.suffix.lower() in (".txt", ".lst") and path.is_file()


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read a list, and those of the other parts beside it: with ``train.txt`` come ``val.txt`` and ``test.txt``.

    A path is relative to the folder, the one above or one in either, where most files are. A line without a label takes
    it from the path's folder, as in UCF's test lists. A clip's id is its path without extension.

    Raises:
        KgclipError: a line names no video, or labels are numbers without names.
    """
    lines = [line for table, part in _lists_with(path) for line in _read_lines(table, part)]
    names = named_labels(path, (label for _, label, _ in lines if label))
    files = files_beside(path, [name for name, _, _ in lines])
    entries = []
    for name, label, part in lines:
        folder = PurePosixPath(name.replace("\\", "/")).parent.name or None
        entries.append(Entry(clip_id(name), files.find(name), names[label] if label else folder, part))
    return entries


def _lists_with(path: Path) -> Iterator[tuple[Path, Part | None]]:
    """The list with its part, and the lists whose names differ in the word for the part only."""
    match = _PART.search(path.stem)
    if match is None:
        yield path, None
        return
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        theirs = _PART.search(other.stem)
        if theirs and _around(theirs) == _around(match):
            yield other, _PARTS[theirs[1].lower()]


def _around(match: re.Match[str]) -> tuple[str, str]:
    return match.string[: match.start()], match.string[match.end() :]


def _read_lines(table: Path, part: Part | None) -> Iterator[tuple[str, str | None, Part | None]]:
    for number, line in enumerate(map(str.strip, read_lines(table)), start=1):
        match = _LINE.fullmatch(line)
        if line and match is None:
            raise KgclipError(
                f"{table}: line {number} names no video, got {line[:80]!r}; expected 'path label' with the file's "
                "extension, e.g. 'golf/a.mp4 golf'"
            )
        if match:
            if re.fullmatch(r"\d+(?:[\s,;]+\d+)+", match["label"] or ""):
                raise KgclipError(f"{table}: line {number} has several labels, {match['label']}; keep one a clip")
            yield match["path"], match["label"], part
