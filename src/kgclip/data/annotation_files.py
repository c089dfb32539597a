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
    files, others = json_names(folder)
    if files:
        yield name, folder
    for inner in sorted(others):
        path = f"{folder}/{inner}"
        if not inner.startswith(".") and Path(path).is_dir():
            yield from _clip_folders(path, inner)


def json_names(folder: str | int) -> tuple[list[str], list[str]]:
    """The names in a folder, or in what a descriptor stands for, that end as JSON files do, and the others."""
    names = os.listdir(folder)  # noqa: PTH208 (takes a descriptor too)
    files = [name for name in names if name.endswith(".json")]
    return files, [] if len(files) == len(names) else [name for name in names if not name.endswith(".json")]


@lru_cache(maxsize=16384)
def frame_number(file_name: str) -> int:
    """The 1-based image index of ``img_00001.json``, or 0 if this is no such name."""
    match = _FRAME_FILE.fullmatch(file_name)
    return int(match[1]) if match else 0


def fingerprint(folder: str) -> str:
    """A hash of the names, sizes and times of change of a folder's JSON files, without opening them."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        names, _ = json_names(directory)
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
