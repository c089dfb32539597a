"""The words that part annotations may use."""

from dataclasses import dataclass
from pathlib import Path

from kgclip.data.tables import read_lines
from kgclip.errors import KgclipError
from kgclip.kg.names import plain_name

_FILES = ("body_part.txt", "part_stat.txt", "object.txt")


@dataclass(frozen=True)
class Vocabulary:
    """The words that part annotations may use, with spaces, in the order of their list files."""

    parts: tuple[str, ...]
    states: tuple[str, ...]
    objects: tuple[str, ...]


def find_vocabulary(root: Path, annotations: Path | None) -> Vocabulary | None:
    """Read ``list/`` in the annotations' own folder, or else in the root; None if neither has a list.

    Raises:
        KgclipError: only some of the three lists are there, or one is no UTF-8 text.
    """
    for folder in [root / "list"] if annotations is None else [annotations / "list", root / "list"]:
        if any((folder / name).is_file() for name in _FILES):
            return Vocabulary(*(_read_words(folder / name) for name in _FILES))
    return None


def _read_words(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise KgclipError(f"{path}: not found; expected {', '.join(_FILES)} in {path.parent}, one word a line")
    words = [plain_name(line) for line in read_lines(path)]
    return tuple(dict.fromkeys(word for word in words if word))
