"""What strangers' files are opened with: files of bounded size, JSON of bounded depth, one sentence for the rest."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from kgclip.errors import KgclipError
from kgclip.visible import visible

MOST_BYTES = 2**27
"""Of a file that is read into memory: five times the largest that is known, the tokenizer of many languages."""
MOST_UNPACKED = 2**29
"""Bytes of memory that a JSON file may become."""
# What a mark of JSON brings into memory at most, in bytes: a list, an object, a value beside others, an end of a text.
_BYTES_OF_MARKS = {"[": 80, "{": 256, ",": 40, '"': 32}
MOST_DEPTH = 64
_MOST_DIGITS = 19  # of 64 bits
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def one_sentence(path: Path, what: str) -> Iterator[None]:
    """Turn whatever the content of a file does to its reader into that file's sentence.

    Args:
        path: the file or folder.
        what: it is expected to hold, such as "a feature file".
    """
    try:
        yield
    except KgclipError:
        raise
    except MemoryError as error:
        raise KgclipError(
            f"{path}: takes more memory to read than there is; make it smaller or leave it out"
        ) from error
    except Exception as error:
        raise KgclipError(
            f"{path}: is damaged, expected {what} ({reason_of(error)}); restore it or write it again"
        ) from error


def reason_of(error: BaseException) -> str:
    """The kind of an error and the first line of its text, to be quoted inside a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip().partition("\n")[0]
    return visible(f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__).rstrip(".")


def check_file(path: Path, most_bytes: int | None = None) -> None:
    """Refuse what is no regular file, before a library opens it: a named pipe would be waited for without end.

    Raises:
        KgclipError: it is missing, a folder, a pipe, a device, or larger than ``most_bytes``.
    """
    try:
        _check(path, path.stat(), most_bytes)
    except (OSError, ValueError) as error:
        raise KgclipError(f"{path}: cannot be read ({reason_of(error)}); check the path") from error


@contextmanager
def open_regular(path: Path, most_bytes: int | None = None) -> Iterator[BufferedReader]:
    """Open a regular file for reading, never waiting for it.

    Raises:
        KgclipError: as `check_file`, or it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise KgclipError(f"{path}: cannot be read ({reason}); check the path") from error
    try:
        _check(path, os.fstat(descriptor), most_bytes)
    except KgclipError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """All of a regular file; raises as `open_regular`."""
    with open_regular(path, most_bytes) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)  # which Python makes room for at once
    if len(content) > size:
        raise KgclipError(f"{path}: grew while it was read; wait until it is written")
    return content


def parse_json(content: bytes | str) -> Any:
    """JSON whose depth and whole numbers are bounded, so that whatever is made of it may recurse and count.

    Raises:
        ValueError: it is no JSON, nested deeper than `MOST_DEPTH`, holds a whole number of more than 64 bits, or would
            fill the memory.
    """
    check_unpacked(content)
    try:
        value = json.loads(content, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise ValueError("nested too deeply")


def check_unpacked(content: bytes | str, most_bytes: int = MOST_UNPACKED) -> None:
    """Refuse JSON that would fill the memory, before anything is made of it: ``[{},{},…]`` grows thirtyfold.

    Raises:
        ValueError: it may become more than ``most_bytes``.
    """
    if isinstance(content, str):
        size = len(content) * (1 if content.isascii() else 4)
        size += sum(cost * content.count(mark) for mark, cost in _BYTES_OF_MARKS.items())
    else:
        size = len(content) * (1 if content.isascii() else 4)
        size += sum(cost * content.count(mark.encode()) for mark, cost in _BYTES_OF_MARKS.items())
    if size > most_bytes:
        raise ValueError(f"more values than memory is given for, {size // 2**20:,} MiB")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _check(path: Path, status: os.stat_result, most_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise KgclipError(f"{path}: is {kind}, expected a file; check the path")
    if most_bytes is not None and status.st_size > most_bytes:
        raise KgclipError(
            f"{path}: has {status.st_size:,} bytes, expected at most {most_bytes:,}; split it or leave it out"
        )
