"""Copies of files that lie elsewhere, or inside of archives: each made only while it is read."""

import os
import subprocess
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from kgclip.errors import KgclipError
from kgclip.remote import Member, Stored, listed, read_range

# A file is fetched in pieces, and refused if it is larger than any that is read here.
PIECE_BYTES, MOST_BYTES = 16 * 2**20, 16 * 2**30
# Of files that are not being read, the last few stay: cuts of one film follow each other.
KEPT_BYTES = 2**30
# Address, version, and where the bytes lie.
_Key = tuple[str, int, int, int]


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """A path that can be opened while the block runs: the file itself, or a temporary copy of one that lies elsewhere.

    An error in the block names the file, not its copy.

    Raises:
        KgclipError: it cannot be fetched, or is too large.
    """
    if not isinstance(path, Stored):
        yield path
        return
    copies = _copies()
    copy = copies.take(path)
    try:
        yield copy.file
    except KgclipError as error:
        raise KgclipError(str(error).replace(str(copy.file), str(path))) from error
    finally:
        copies.give_back(copy)


@dataclass(eq=False)
class _Copy:
    key: _Key
    file: Path
    users: int = 0
    is_whole: bool = False
    fetching: Any = field(default_factory=threading.Lock)


class _Copies:
    """The copies of a process: those that are being read, and others up to KEPT_BYTES."""

    def __init__(self) -> None:
        self._lock, self._copies = threading.Lock(), OrderedDict[_Key, _Copy]()
        self._folder = Path(tempfile.mkdtemp(prefix=f"kgclip-{os.getpid()}-"))
        self._made = 0
        self._end = weakref.finalize(self, _removed_at_the_end(self._folder).close)

    def take(self, path: Stored) -> _Copy:
        """A copy of a file as it is now, not taken away before it is given back."""
        found = listed(path.archive if isinstance(path, Member) else path)
        start, size = (path.start, path.size) if isinstance(path, Member) else (0, found.size)
        if size > MOST_BYTES:
            raise KgclipError(f"{path}: has {size:,} bytes, at most {MOST_BYTES:,} are fetched; cut it in parts")
        key = (str(path), found.version, start, size)
        with self._lock:
            if key not in self._copies:
                self._made += 1
                self._copies[key] = _Copy(key, self._folder / f"{self._made}{path.suffix}")
            copy = self._copies[key]
            copy.users += 1
        try:
            with copy.fetching:
                if not copy.is_whole:
                    _fetch(path, start, size, copy.file)
                    copy.is_whole = True
        except BaseException:
            self.give_back(copy)
            raise
        return copy

    def give_back(self, copy: _Copy) -> None:
        with self._lock:
            copy.users -= 1
            self._copies.move_to_end(copy.key)
            idle = [each for each in self._copies.values() if not each.users]
            kept = sum(each.key[-1] for each in idle)
            for each in idle:
                if kept > KEPT_BYTES or not each.is_whole:
                    kept -= each.key[-1]
                    each.file.unlink(missing_ok=True)
                    del self._copies[each.key]


def _removed_at_the_end(folder: Path) -> IO[bytes]:
    """A pipe; once it closes, and be it that this process is killed, as Ray does with its own, the folder goes.

    Who waits for that is no child of this process, as Ray kills these, too.
    """
    script = 'exec 3<&0; { cat <&3; rm -rf -- "$0"; } &'
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(["sh", "-c", script, folder], stdin=subprocess.PIPE, **quiet) as shell:
        pipe, shell.stdin = shell.stdin, None
    assert pipe is not None
    return pipe


@cache
def _copies() -> _Copies:
    return _Copies()


def _fetch(path: Stored, start: int, size: int, target: Path) -> None:
    source = path.archive if isinstance(path, Member) else path
    try:
        with target.open("wb") as file:
            for first in range(start, start + size, PIECE_BYTES):
                file.write(read_range(source, first, min(start + size, first + PIECE_BYTES)))
    except OSError as error:
        raise KgclipError(
            f"{path}: cannot be kept in {target.parent} while it is read ({error.strerror}); make room there, or name "
            "another folder by TMPDIR"
        ) from error
    except EOFError as error:
        raise KgclipError(f"{path}: its archive ends before it; copy that again") from error
