"""Files that lie elsewhere, at any address that fsspec reads: listed there, and each fetched only while it is read."""

import hashlib
import importlib.util
import os
import re
import subprocess
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PosixPath
from typing import IO, Any, TypeVar

from kgclip.errors import KgclipError
from kgclip.reading import reason_of
from kgclip.visible import visible

T = TypeVar("T")

# A file is fetched in pieces, and refused if it is larger than any that is read here.
PIECE_BYTES, MOST_BYTES = 16 * 2**20, 16 * 2**30
# Of files that are not being read, the last few stay: cuts of one film follow each other.
KEPT_BYTES = 2**30
# What fails is tried again after these times.
WAITS_S = (0.5, 2.0)
# What obstore reads; it takes the usual environment variables of each store.
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
_DENIED = ("PermissionError", "PermissionDeniedError", "UnauthenticatedError")


class Stored(PosixPath):
    """A file or folder at an address, such as ``s3://bucket/folder``; made by `at`.

    No library that opens paths can open it by mistake: `local_file` gives a path that can be opened.
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def absolute(self) -> "Stored":
        """Itself: an address is the same on all machines."""
        return self

    def resolve(self, strict: bool = False) -> "Stored":
        """Itself."""
        return self


@dataclass(frozen=True)
class Listed:
    """What a listing says of a file: its size in bytes, and a number that changes with its content."""

    size: int
    version: int


def at(place: str | Path) -> Path:
    """What a person names: an address elsewhere, or a path of this machine as it is.

    Raises:
        KgclipError: an address holds a password, or is none that is read.
    """
    path = Path(place)
    if isinstance(path, Stored) or len(path.parts) < 2 or not _SCHEME.fullmatch(path.parts[0]):
        return path
    from fsspec.registry import known_implementations

    scheme = path.parts[0][:-1]
    if Path(path.parts[0]).exists() or (scheme not in _STORES and scheme not in known_implementations):
        return path
    if re.search(r":[^/]*@", path.parts[1]):
        raise KgclipError(f"{scheme}://…: holds a password; leave it out, and give it by an environment variable")
    if scheme in ("file", "local") or "::" in str(path):
        raise KgclipError(f"{Stored(path)}: is no address that is read; give one as s3://bucket/folder, or a path")
    return Stored(path)


def files_under(folder: Stored) -> dict[str, Listed]:
    """All files in a folder elsewhere, at any depth, by their names relative to it.

    Raises:
        KgclipError: it cannot be listed.
    """
    scheme, name = _split(folder)
    found = _tried(folder, lambda: _filesystem(scheme).find(name, detail=True))
    prefix = (name if scheme in _STORES else str(_filesystem(scheme)._strip_protocol(name))).strip("/") + "/"
    names = {full.lstrip("/"): info for full, info in found.items() if info.get("type") == "file"}
    inside = {full.removeprefix(prefix): _listed(info) for full, info in names.items() if full.startswith(prefix)}
    if not inside:
        raise KgclipError(f"{folder}: there is no such folder, or it is empty; check the address")
    return inside


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
    key: tuple[str, Listed]
    file: Path
    users: int = 0
    is_whole: bool = False
    fetching: Any = field(default_factory=threading.Lock)


class _Copies:
    """The copies of a process: those that are being read, and others up to KEPT_BYTES."""

    def __init__(self) -> None:
        self._lock, self._copies = threading.Lock(), OrderedDict[tuple[str, Listed], _Copy]()
        self._folder = Path(tempfile.mkdtemp(prefix=f"kgclip-{os.getpid()}-"))
        self._made = 0
        self._end = weakref.finalize(self, _removed_at_the_end(self._folder).close)

    def take(self, path: Stored) -> _Copy:
        """A copy of a file as it is now, not taken away before it is given back."""
        scheme, name = _split(path)
        listed = _listed(_tried(path, lambda: _filesystem(scheme).info(name)))
        if listed.size > MOST_BYTES:
            raise KgclipError(f"{path}: has {listed.size:,} bytes, at most {MOST_BYTES:,} are fetched; cut it in parts")
        key = (str(path), listed)
        with self._lock:
            if key not in self._copies:
                self._made += 1
                self._copies[key] = _Copy(key, self._folder / f"{self._made}{path.suffix}")
            copy = self._copies[key]
            copy.users += 1
        try:
            with copy.fetching:
                if not copy.is_whole:
                    _fetch(path, 0, listed.size, copy.file)
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
            kept = sum(each.key[1].size for each in idle)
            for each in idle:
                if kept > KEPT_BYTES or not each.is_whole:
                    kept -= each.key[1].size
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


def _fetch(path: Stored, start: int, end: int, target: Path) -> None:
    scheme, name = _split(path)

    def piece(first: int, last: int) -> bytes:
        content = _filesystem(scheme).cat_file(name, start=first, end=last)
        if len(content) != last - first:
            raise EOFError(f"{len(content)} of {last - first} bytes came")
        return content

    try:
        with target.open("wb") as file:
            for first in range(start, end, PIECE_BYTES):
                last = min(end, first + PIECE_BYTES)
                file.write(_tried(path, lambda first=first, last=last: piece(first, last)))
    except OSError as error:
        raise KgclipError(
            f"{path}: cannot be kept in {target.parent} while it is read ({error.strerror}); make room there, or name "
            "another folder by TMPDIR"
        ) from error


def _split(path: Stored) -> tuple[str, str]:
    """The scheme of an address, and what its file system is asked for."""
    scheme = path.parts[0][:-1]
    rest = "/".join(path.parts[1:])
    return scheme, rest if scheme in _STORES else f"{scheme}://{rest}"


def _listed(info: dict[str, Any]) -> Listed:
    names = ("e_tag", "ETag", "etag", "last_modified", "LastModified", "mtime", "created")
    stamp = next((str(info[name]) for name in names if info.get(name)), "")
    # As a time in nanoseconds, which it is compared with, it lies in this century.
    return Listed(int(info.get("size") or 0), int.from_bytes(hashlib.sha256(stamp.encode()).digest()[:7]))


@cache
def _filesystem(scheme: str) -> Any:
    if scheme not in _STORES:
        import fsspec

        try:
            return fsspec.filesystem(scheme)
        except Exception as error:
            raise KgclipError(f"{scheme}://: cannot be read here ({reason_of(error)}); copy the files") from error
    if importlib.util.find_spec("obstore") is None:
        raise KgclipError(f"{scheme}://: needs a package that is not installed; pip install 'kgclip[remote]'")
    from obstore.fsspec import FsspecStore

    # Only an endpoint that a person names is without encryption.
    options: Any = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
    return FsspecStore(scheme, client_options=options, retry_config={"max_retries": 0}, skip_instance_cache=True)


def _tried(path: Stored, ask: Callable[[], T]) -> T:
    """What a server answers, asked again where it fails."""
    for wait_s in (*WAITS_S, None):
        try:
            return ask()
        except KgclipError:
            raise
        except Exception as error:
            why = _final(error)
            if why is None and wait_s is not None:
                time.sleep(wait_s)
                continue
            raise KgclipError(f"{path}: {why or _failed(error)}") from error
    raise AssertionError


def _failed(error: Exception) -> str:
    """That a server does not answer, without what addresses that it quotes hold after a question mark."""
    text = re.sub(r"[?]\S*", "", str(error).partition("\n")[0])
    reason = visible(text.rpartition(" - ")[2][:160]) or type(error).__name__
    return f"cannot be read from there, asked {len(WAITS_S) + 1} times ({reason}); look whether the server answers"


def _final(error: Exception) -> str | None:
    """Why it is no use to ask again."""
    text = str(error)
    if "NoSuchBucket" in text:
        return "there is no such bucket; check the address"
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder; check the address"
    if type(error).__name__ in _DENIED or "AccessDenied" in text or "403 Forbidden" in text:
        return (
            "access is denied; give the rights by environment variables, such as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    return None
