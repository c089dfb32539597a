"""One process at a time on one output, and never over what is there."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.files import disk_room
from kgclip.remains import clear_remains, is_running

ORPHANS_S = 15.0
"""For processes that a killed one had forked, and that hold its lock until they notice."""
_HELD: set[tuple[int, int]] = set()
"""Device and number of the lock files that this process holds; process numbers repeat from container to container."""
_CLAIMS: ContextVar[ExitStack | None] = ContextVar("claims", default=None)


def free_output(path: Path, option: str = "--out") -> None:
    """Refuse to write where something is already.

    Raises:
        KgclipError: ``path`` exists; the message names the option that gave it.
    """
    if os.path.lexists(path):
        raise KgclipError(f"{path}: exists already; choose another {option} or remove it")


@contextmanager
def claims() -> Iterator[None]:
    """Keep what :func:`claim_output` claims in the block until its end."""
    with ExitStack() as stack:
        token = _CLAIMS.set(stack)
        try:
            yield
        finally:
            _CLAIMS.reset(token)


def claim_output(path: Path, option: str = "--out") -> None:
    """Refuse to write where something is already, and inside :func:`claims` keep other processes off.

    Raises:
        KgclipError: as `free_output` and `lock`.
    """
    stack = _CLAIMS.get()
    if stack is not None:
        stack.enter_context(lock(path))
    free_output(path, option)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other processes off an output (a file or a folder) while the block runs, by a lock file beside it.

    What runs that were killed while they wrote it have left beside it, and directly in a folder, is removed.

    Raises:
        KgclipError: another process works on it (the message names its process id), or its folder cannot be written.
    """
    if not path.name:
        raise KgclipError(f"{path}: is no name of an output; give that of a file or folder to write")
    file = path.with_name(f".{path.name}.kgclip-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(file, path)
    except OSError as error:
        raise KgclipError(
            f"{path}: cannot be written ({error.strerror}); name another place, or make its folder writable"
        ) from error
    _HELD.add(_identity(handle))
    try:
        os.ftruncate(handle, 0)
        with disk_room(path):
            os.write(handle, str(os.getpid()).encode())
        clear_remains(path.parent, path.name)
        clear_remains(path)
        yield
    finally:
        file.unlink(missing_ok=True)
        _HELD.discard(_identity(handle))
        os.close(handle)


def _identity(handle: int) -> tuple[int, int]:
    status = os.fstat(handle)
    return status.st_dev, status.st_ino


def _locked(file: Path, path: Path) -> int:
    """An open lock file that this process holds; one that its holder has just removed is made again."""
    end = time.monotonic() + ORPHANS_S
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, mine = os.read(handle, 20).decode() or "?", _identity(handle) in _HELD
            os.close(handle)
            if holder.isdecimal() and not is_running(int(holder)) and time.monotonic() < end:
                time.sleep(0.2)
                continue
            if mine:
                raise KgclipError(
                    f"{path}: process {holder} is writing it, and that is this one; give each output a name of its own"
                ) from None
            raise KgclipError(
                f"{path}: process {holder} is writing it; wait until that ends, or choose another --out"
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(file.stat(), os.fstat(handle)):
                return handle
        os.close(handle)
