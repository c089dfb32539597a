"""Files that lie elsewhere, at any address that fsspec reads."""

import hashlib
import importlib.util
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any, TypeVar

from kgclip.errors import KgclipError
from kgclip.reading import open_regular, reason_of

T = TypeVar("T")

# What fails is tried again after these times.
WAITS_S = (0.5, 2.0)
# What obstore reads; it takes the usual environment variables of each store.
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
_DENIED = ("PermissionError", "PermissionDeniedError", "UnauthenticatedError")


class Stored(PosixPath):
    """A file or folder at an address, such as ``s3://bucket/folder``; made by `at`.

    No library that opens paths can open it by mistake: `kgclip.copies` gives a path that can be opened.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text.replace(":/", "://", 1) if _SCHEME.fullmatch(self.parts[0]) else text

    def absolute(self) -> "Stored":
        """Itself: an address is the same on all machines."""
        return self

    def resolve(self, strict: bool = False) -> "Stored":
        """Itself."""
        return self


class Member(Stored):
    """A file inside of a tar archive, here or elsewhere: the archive's place, and the file's name after it.

    Attributes:
        archive: the archive.
        start, size: where the file's bytes lie in it.
    """

    archive: Path
    start: int
    size: int

    @classmethod
    def of(cls, archive: Path, name: str, start: int, size: int) -> "Member":
        """The file of this name, whose bytes are these of the archive."""
        member = cls(archive, name)
        member.archive, member.start, member.size = archive, start, size
        return member

    def absolute(self) -> "Member":
        """The same for processes that work in another folder."""
        name = str(PurePosixPath(*self.parts[len(self.archive.parts) :]))
        return Member.of(self.archive.absolute(), name, self.start, self.size)

    def __reduce__(self) -> tuple[Any, ...]:
        name = str(PurePosixPath(*self.parts[len(self.archive.parts) :]))
        return Member.of, (self.archive, name, self.start, self.size)


@dataclass(frozen=True)
class Listed:
    """What a listing says of a file: its size in bytes, and a number that changes with its content."""

    size: int
    version: int


def at(place: str | os.PathLike[str]) -> Path:
    """What a person names: an address elsewhere, or a path of this machine as it is.

    Raises:
        KgclipError: an address holds a password, or is none that is read.
    """
    if isinstance(place, Stored):
        return place
    path = Path(place)
    if len(path.parts) < 2 or not _SCHEME.fullmatch(path.parts[0]):
        return path
    from fsspec.registry import known_implementations

    scheme = path.parts[0][:-1]
    if Path(path.parts[0]).exists():
        return path
    if scheme not in _STORES and scheme not in known_implementations:
        raise KgclipError(
            f"{Stored(path)}: no address that begins so is read; give one as s3://bucket/folder, or a path"
        )
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


def listed(path: Path) -> Listed:
    """Length and version of one file, here or elsewhere.

    Raises:
        KgclipError: it is not there, or cannot be asked for.
    """
    if isinstance(path, Stored):
        scheme, name = _split(path)
        return _listed(_tried(path, lambda: _filesystem(scheme).info(name)))
    try:
        state = path.stat()
    except OSError as error:
        raise KgclipError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return Listed(state.st_size, state.st_mtime_ns)


def read_range(path: Path, start: int, end: int) -> bytes:
    """The bytes of a file, here or elsewhere, from one on and before another.

    Raises:
        KgclipError: they cannot be read, or are not there.
    """
    if not isinstance(path, Stored):
        with open_regular(path) as file:
            file.seek(start)
            return _all_of(file.read(end - start), end - start)
    scheme, name = _split(path)
    return _tried(path, lambda: _all_of(_filesystem(scheme).cat_file(name, start=start, end=end), end - start))


def _all_of(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise EOFError(f"{len(content)} of {size} bytes came")
    return content


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

    # Its overloads name each scheme.
    store: Any = FsspecStore
    # Only an endpoint that a person names is without encryption.
    client = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
    options: Any = {"client_options": client, "retry_config": {"max_retries": 0}, "skip_instance_cache": True}
    return store(scheme, **options)


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
    reason = text.rpartition(" - ")[2][:160] or type(error).__name__
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
