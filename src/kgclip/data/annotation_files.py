"""The folders that hold one JSON file a frame, what the files are called, and whether any of them has changed."""

import codecs
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import orjson

from kgclip.data.clip import is_foreign
from kgclip.errors import KgclipError
from kgclip.reading import check_unpacked, read_bytes

_MOST_BYTES = 2**26

_FRAME_FILE = re.compile(r"(?:img_)?0*([1-9]\d{0,8})\.json")
_FRAME_ZERO = re.compile(r"(?:img_)?0+\.json")

# The keys that tell other formats of annotations, at the top or in the first item of a list.
_OTHER_FORMATS: tuple[tuple[str, frozenset[str]], ...] = (
    ("COCO", frozenset({"images", "annotations"})),
    ("COCO", frozenset({"annotations", "categories"})),
    ("COCO results", frozenset({"image_id", "category_id"})),
    ("CVAT", frozenset({"tracks", "shapes"})),
    ("Datumaro", frozenset({"items", "categories"})),
    ("Label Studio", frozenset({"data", "annotations"})),
    ("Label Studio", frozenset({"data", "predictions"})),
    ("LabelMe", frozenset({"shapes", "imagePath"})),
    ("OpenPose", frozenset({"people", "version"})),
)


def clip_folders(root: Path) -> Iterator[str]:
    """Find the folders with JSON files under ``root``; a folder's name is that of its clip."""
    for folder, inner, names in os.walk(root, followlinks=True):
        inner[:] = sorted(name for name in inner if not is_foreign(name))
        if any(name.endswith(".json") and name[0] != "." for name in names):
            yield folder


def json_names(folder: str | int) -> list[str]:
    """The names in a folder, or in what a descriptor stands for, of JSON files that are not hidden."""
    return [name for name in os.listdir(folder) if name.endswith(".json") and name[0] != "."]  # noqa: PTH208


@lru_cache(maxsize=16384)
def frame_number(file_name: str) -> int:
    """The 1-based image index of ``img_00001.json``, or 0 if this is no such name."""
    match = _FRAME_FILE.fullmatch(file_name)
    return int(match[1]) if match else 0


def problem_of_name(file_name: str) -> str:
    """Why a file is no frame's, where ``frame_number`` gives 0."""
    if _FRAME_ZERO.fullmatch(file_name):
        return "a frame number of 0, where frames count from 1 (img_00001.json is the first)"
    return "a file name other than img_<number>.json"


def foreign_format(path: Path) -> str | None:
    """The name of the format of another annotation tool that a file is in, None if it is in none known."""
    try:
        content = read_bytes(path, _MOST_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
        if content.startswith(b"<"):
            start = content[:4096]
            return "CVAT XML" if b"<annotations" in start else "Pascal VOC XML" if b"<annotation" in start else None
        check_unpacked(content)
        return format_of(orjson.loads(content))
    except (KgclipError, ValueError):
        return None


def format_of(value: object) -> str | None:
    """The name of the format of another annotation tool that has these keys, None if it is none known."""
    if isinstance(value, list) and value:
        value = value[0]
    keys = value.keys() if isinstance(value, dict) else set()
    return next((name for name, needed in _OTHER_FORMATS if needed <= keys), None)


def fingerprint(folder: str) -> str:
    """A hash of the names, sizes and times of change of a folder's JSON files, without opening them."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        # Relative to the folder: the system need not walk its path for every file.
        return fingerprint_of(trait_of(name, os.stat(name, dir_fd=directory)) for name in json_names(directory))
    finally:
        os.close(directory)


def trait_of(name: str, status: os.stat_result) -> str:
    """What a change of a file shows in: its name, size and time of change."""
    return f"{name},{status.st_size},{status.st_mtime_ns}"


def fingerprint_of(traits: Iterable[str]) -> str:
    """The hash of the traits of a folder's files, in any order."""
    return hashlib.sha256("\n".join(sorted(traits)).encode(errors="surrogateescape")).hexdigest()
