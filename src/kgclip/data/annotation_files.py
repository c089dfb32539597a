"""The folders that hold one JSON file a frame, what the files are called, and whether any of them has changed."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

_FRAME_FILE = re.compile(r"(?:img_)?0*([1-9]\d{0,8})\.json")


def clip_folders(root: Path) -> Iterator[tuple[str, str]]:
    """Find the folders with JSON files under ``root``, as (clip id, path); the folder's name is the clip's id."""
    yield from _clip_folders(str(root), root.name)


def _clip_folders(folder: str, name: str) -> Iterator[tuple[str, str]]:
    holds_json = False
    inner = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                holds_json = True
            elif not entry.name.startswith(".") and entry.is_dir():
                inner.append((entry.path, entry.name))
    if holds_json:
        yield name, folder
    for path, inner_name in sorted(inner):
        yield from _clip_folders(path, inner_name)


@lru_cache(maxsize=16384)
def frame_number(file_name: str) -> int | None:
    """The 1-based image index of ``img_00001.json``, or None if this is no such name."""
    match = _FRAME_FILE.fullmatch(file_name)
    return int(match[1]) if match else None


def fingerprint(folder: str) -> str:
    """A hash of the names, sizes and times of change of a folder's JSON files, without opening them."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".json")]
        # Relative to the folder: the system need not walk its path for every file.
        return fingerprint_of(trait_of(name, os.stat(name, dir_fd=directory)) for name in names)
    finally:
        os.close(directory)


def trait_of(name: str, status: os.stat_result) -> str:
    """What a change of a file shows in: its name, size and time of change."""
    return f"{name},{status.st_size},{status.st_mtime_ns}"


def fingerprint_of(traits: Iterable[str]) -> str:
    """The hash of the traits of a folder's files, in any order."""
    return hashlib.sha256("\n".join(sorted(traits)).encode(errors="surrogateescape")).hexdigest()
