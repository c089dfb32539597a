"""One hostile file: whose reader takes it, how it is made, and how that must end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REFUSED, READ = "refused", "read"
EITHER = ""
"""Where versions of libraries differ: read or refused in one sentence."""

Make = Callable[[Path], Path | None]
"""Changes a folder of sound files; given the reader's file, it may return another one to read."""


@dataclass(frozen=True)
class Case:
    """One hostile file.

    Attributes:
        reader: of :data:`tests.fuzz.readers.READERS`.
        name: what is hostile.
        make: puts it where the reader's sound file lies.
        end: how it must end.
        says: part of the sentence, or of what is read as Python writes it.
    """

    reader: str
    name: str
    make: Make
    end: str = REFUSED
    says: str = ""


def holding(content: bytes | str | Callable[[bytes], bytes]) -> Make:
    """A file of that content, or of what becomes of the sound one."""

    def make(file: Path) -> None:
        given = content(file.read_bytes()) if callable(content) else content
        file.write_bytes(given.encode() if isinstance(given, str) else given)

    return make


def replacing(old: str | bytes, new: str | bytes) -> Make:
    """The sound file with another piece in place of one that it has."""
    before, after = (each.encode() if isinstance(each, str) else each for each in (old, new))

    def change(content: bytes) -> bytes:
        assert before in content, before
        return content.replace(before, after)

    return holding(change)


def cases(reader: str, table: dict[str, tuple]) -> list[Case]:
    """Cases of one reader by name: what the file holds (or how it is made), then how it ends and what is said."""
    made = []
    for name, (what, *rest) in table.items():
        is_make = callable(what) and getattr(what, "__name__", "") == "make"
        made.append(Case(reader, name, what if is_make else holding(what), *rest))
    return made
