"""What killed runs have left: temporary files and folders, known by their names, that the next run removes."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.kgclip-(?P<process>\d+)-[a-z0-9_]{8}")
_SCRATCH = re.compile(r"kgclip-(?P<purpose>[a-z]+)-(?P<process>\d+)-[a-z0-9_]{8}")


def temporary_prefix(path: Path) -> str:
    """What names of temporary files and folders start with: hidden, and known as ours by program and process."""
    return f".{path.name}.kgclip-{os.getpid()}-"


def final_path(path: Path) -> Path:
    """A path with the names that temporary folders in it are to have in the end."""
    matches = ((part, _TEMPORARY.fullmatch(part)) for part in path.parts)
    return Path(*(match["name"] if match else part for part, match in matches))


def is_ours(name: str) -> bool:
    """Whether a name is of a temporary file or folder, or of a lock."""
    return _TEMPORARY.fullmatch(name) is not None or (name.startswith(".") and name.endswith(".kgclip-lock"))


def clear_remains(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files and folders in a folder whose processes have ended.

    Args:
        folder: where nobody else writes the same files now; nothing is done if it is not there.
        name: of the file or folder that they were to become; None takes all.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            match = _TEMPORARY.fullmatch(entry.name)
            if match and name in (None, match["name"]) and not is_running(int(match["process"])):
                _remove(Path(entry.path))


def remove_folder(path: Path) -> None:
    """Remove a folder in one step, so that a kill leaves it whole or not at all; one that is not there is fine."""
    if not path.exists():
        return
    gone = Path(tempfile.mkdtemp(prefix=temporary_prefix(path), dir=path.parent))
    try:
        path.replace(gone)
    finally:
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A folder among the system's temporary ones, for the block; those that killed runs left there are removed.

    Args:
        purpose: one word, in the folder's name.
    """
    _clear_scratch(Path(tempfile.gettempdir()), purpose)
    with tempfile.TemporaryDirectory(prefix=f"kgclip-{purpose}-{os.getpid()}-") as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            # For runs in other containers, which do not see this process.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(handle)


def is_running(process: int) -> bool:
    """Whether a process of that number is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _clear_scratch(home: Path, purpose: str) -> None:
    with suppress(OSError), os.scandir(home) as entries:
        for entry in list(entries):
            match = _SCRATCH.fullmatch(entry.name)
            if not match or match["purpose"] != purpose or is_running(int(match["process"])):
                continue
            mine = entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.getuid()
            if mine and _is_free(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_free(folder: str) -> bool:
    """Whether nobody holds a folder's lock."""
    handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
