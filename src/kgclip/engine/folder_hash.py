"""One hash over all files of a model's folder: actions, options and weights are not replaced unnoticed.

Whoever replaces a file can write its hash too: what tells two folders apart is the hash of them all, which the command
line shows.
"""

import hashlib
import json
import logging
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import ValidationError, convert

from kgclip.errors import KgclipError
from kgclip.files import digest, read_json, write_json

HASHES_FILE = "hashes.json"

log = logging.getLogger(__name__)


def write_hashes(folder: Path) -> None:
    """Write the SHA-256 of each file in a folder that is about to be complete; its card may be written again."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix != ".md"]
    write_json(folder / HASHES_FILE, {file.name: digest(file) for file in files})


class FolderHash:
    """The hash of a folder, taken in a thread while the folder is read: the interpreter's lock is free meanwhile.

    Args:
        folder: by :func:`write_hashes`, or from before there were hashes.
        needed: files that count even where the stored hashes leave them out.
    """

    def __init__(self, folder: Path, needed: Collection[str]):
        self._folder, self._stored = folder, _stored(folder / HASHES_FILE)
        self._names = sorted({*needed, *(self._stored or ())})
        self._pool = ThreadPoolExecutor(1)
        self._found = self._pool.submit(lambda: {name: digest(folder / name) for name in self._names})
        self._pool.shutdown(wait=False)

    def verified(self) -> str:
        """SHA-256, in hex, of the names and hashes of all files.

        Raises:
            KgclipError: a file was changed since they were stored.
        """
        found = self._found.result()
        if self._stored is None:
            log.warning("%s: has no %s, so that a change of its files is not noticed", self._folder, HASHES_FILE)
        elif found != self._stored:
            changed = [name for name in self._names if found[name] != self._stored.get(name)]
            raise KgclipError(
                f"{self._folder}: {' and '.join(changed)} changed since the model was written; restore what was "
                f"changed, or remove {HASHES_FILE} if the change is meant"
            )
        return hash_of(found)


def damaged_files(folder: Path) -> list[str]:
    """The names of files that are not as :func:`write_hashes` found them, or are missing."""
    try:
        stored = _stored(folder / HASHES_FILE)
    except KgclipError:
        stored = None
    if stored is None:
        return [HASHES_FILE]
    return [name for name, value in stored.items() if not (folder / name).is_file() or digest(folder / name) != value]


def hash_of(hashes: dict[str, str]) -> str:
    """SHA-256, in hex, of the names and hashes of files."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def stored_hash(folder: Path) -> str:
    """The hash of a folder as it was written, without reading its files."""
    return hash_of(_stored(folder / HASHES_FILE) or {})


def _stored(file: Path) -> dict[str, str] | None:
    if not file.exists():
        return None
    try:
        hashes = convert(read_json(file), dict[str, str])
    except ValidationError as error:
        raise KgclipError(f"{file}: is not as training wrote it ({error}); restore the file") from error
    outside = [name for name in hashes if Path(name).name != name]
    if outside:
        raise KgclipError(f"{file}: names {outside[0]!r}, which is no file of the folder; restore the file")
    return hashes
