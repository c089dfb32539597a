"""One frame's part annotation in JSON, and the folders of a clip's frames.

This module runs in worker processes, so that it imports little.
"""

import hashlib
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_FRAME_FILE = re.compile(r"(?:img_)?0*([1-9]\d{0,8})\.json")
_NUM_EXAMPLES = 3

Triple = tuple[str, str, str | None]


@dataclass
class Problems:
    """What is wrong with some annotations: per kind its number of cases and the first three places."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """Count one case."""
        self.merge(Problems({kind: 1}, {kind: [place]}))

    def merge(self, other: "Problems") -> None:
        """Count the cases of another collection too."""
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
            mine = self.examples.setdefault(kind, [])
            new = [place for place in other.examples[kind] if place not in mine]
            mine += new[: _NUM_EXAMPLES - len(mine)]


@dataclass(frozen=True)
class AllowedWords:
    """The words an annotation may use, with spaces; None allows any."""

    parts: frozenset[str]
    states: frozenset[str] | None
    objects: frozenset[str] | None


@dataclass
class FrameColumns:
    """The annotations of some clips in columns.

    Frames, humans and part records follow each other in one order, folder by folder:
    ``frames_per_folder``, ``frame`` (1-based image index), ``humans_per_frame``, ``records_per_human``, and per record
    its position in ``triples``, the distinct (part, state, object). ``fingerprints`` has one entry per folder.
    """

    frames_per_folder: array = field(default_factory=lambda: array("i"))
    frame: array = field(default_factory=lambda: array("i"))
    humans_per_frame: array = field(default_factory=lambda: array("i"))
    records_per_human: array = field(default_factory=lambda: array("i"))
    record: array = field(default_factory=lambda: array("i"))
    triples: dict[Triple, int] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)

    def append(self, other: "FrameColumns") -> None:
        """Add the clips of another reading."""
        new_position = [self.triples.setdefault(triple, len(self.triples)) for triple in other.triples]
        self.record.extend(map(new_position.__getitem__, other.record))
        for name in ("frames_per_folder", "frame", "humans_per_frame", "records_per_human", "fingerprints"):
            getattr(self, name).extend(getattr(other, name))
        self.problems.merge(other.problems)


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


def frame_number(file_name: str) -> int | None:
    """The 1-based image index of ``img_00001.json``, or None if this is no such name."""
    match = _FRAME_FILE.fullmatch(file_name)
    return int(match[1]) if match else None


def fingerprint(folder: str) -> str:
    """A hash of the names, sizes and times of change of a folder's JSON files, without opening them."""
    with os.scandir(folder) as entries:
        return _fingerprint(_trait(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".json"))


def read_folders(folders: list[str], root: str, allowed: AllowedWords) -> FrameColumns:
    """Read the frames in these folders, each in the order of its frame numbers.

    Args:
        folders: one per clip.
        root: the folder that the names of files in problems are relative to.
        allowed: the vocabulary.
    """
    reader = _FrameReader(root, allowed)
    for folder in folders:
        reader.read_folder(folder)
    return reader.columns


class _FrameReader:
    def __init__(self, root: str, allowed: AllowedWords) -> None:
        self.root = root
        self.allowed = allowed
        self.columns = FrameColumns()
        # From a record as it is written to its position in the list of triples: most records repeat earlier ones.
        self.known: dict[tuple[Any, Any, Any], int] = {}
        self.path = ""

    def read_folder(self, folder: str) -> None:
        traits = []
        frames: set[int] = set()
        with os.scandir(folder) as entries:
            files = [(frame_number(entry.name), entry.name) for entry in entries if entry.name.endswith(".json")]
        for number, name in sorted(files, key=lambda file: (file[0] or 0, file[1])):
            self.path = f"{folder}/{name}"
            try:
                content, trait = _read_file(self.path, name)
            except OSError as error:
                self._report(f"a file that cannot be read ({error.strerror})")
                continue
            traits.append(trait)
            if number is None:
                self._report("a file name other than img_<number>.json")
            elif number in frames:
                self._report("a second file for one frame")
            elif self._read_frame(content, number):
                frames.add(number)
        self.columns.frames_per_folder.append(len(frames))
        self.columns.fingerprints.append(_fingerprint(traits))

    def _read_frame(self, content: bytes, number: int) -> bool:
        try:
            annotation = orjson.loads(content)
        except orjson.JSONDecodeError:
            self._report("malformed JSON")
            return False
        humans = annotation.get("humans", []) if isinstance(annotation, dict) else None
        if not isinstance(humans, list | None) or not isinstance(annotation, dict):
            self._report("a file without a list of humans")
            return False
        known, sizes, positions = self.known, [], []
        for human in humans or ():
            before = len(positions)
            for name, record in self._records(human):
                try:
                    positions.append(known[name, record["verb"], record.get("obj_class")])
                except (KeyError, TypeError, AttributeError):  # new words, lists of words, or something broken
                    positions += self._positions_of(name, record)
            sizes.append(len(positions) - before)
        self.columns.frame.append(number)
        self.columns.humans_per_frame.append(len(sizes))
        self.columns.records_per_human.extend(sizes)
        self.columns.record.extend(positions)
        return True

    def _records(self, human: Any) -> Iterable[tuple[Any, Any]]:
        """The (name, record) of each part of one human."""
        parts = human.get("parts") if isinstance(human, dict) else 0
        if isinstance(parts, dict):
            return parts.items()
        if isinstance(parts, list):
            return [(part.get("name") if isinstance(part, dict) else None, part) for part in parts]
        if parts is not None:
            self._report("a human whose parts are neither an object nor a list")
        return ()

    def _positions_of(self, name: Any, record: Any) -> list[int]:
        """The triples of one record: one for each of its verbs."""
        if not isinstance(name, str) or not isinstance(record, dict):
            self._report("a part that is no object with a name")
            return []
        verbs, objects = _as_list(record.get("verb")), _as_list(record.get("obj_class")) or [None]
        if not verbs or not all(isinstance(verb, str) for verb in verbs):
            self._report("a part without a verb in words")
            return []
        if not all(isinstance(word, str | None) for word in objects):
            self._report("a part with an obj_class that is no word")
            return []
        if len(verbs) == 1 or len(objects) == 1:
            pairs = [(verb, word) for verb in verbs for word in objects]
        elif len(verbs) == len(objects):
            pairs = list(zip(verbs, objects, strict=True))
        else:
            self._report("a part whose numbers of verbs and objects differ")
            return []
        known = self.columns.triples
        triples = [self._triple(name, verb, word) for verb, word in dict.fromkeys(pairs)]
        positions = [known.setdefault(triple, len(known)) for triple in triples if triple is not None]
        if len(positions) == 1 and isinstance(record["verb"], str) and not isinstance(record.get("obj_class"), list):
            self.known[name, record["verb"], record.get("obj_class")] = positions[0]
        return positions

    def _triple(self, name: str, verb: str, word: str | None) -> Triple | None:
        part, state, thing = _with_spaces(name), _with_spaces(verb), _with_spaces(word or "none")
        allowed = self.allowed
        problems = []
        if part not in allowed.parts:
            problems.append(f"unknown part {part!r}")
        if allowed.states is not None and state not in allowed.states:
            problems.append(f"unknown state {state!r}")
        if allowed.objects is not None and thing != "none" and thing not in allowed.objects:
            problems.append(f"unknown object {thing!r}")
        for problem in problems:
            self._report(problem)
        return None if problems else (part, state, None if thing == "none" else thing)

    def _report(self, kind: str) -> None:
        self.columns.problems.add(kind, os.path.relpath(self.path, self.root))


def _read_file(path: str, name: str) -> tuple[bytes, str]:
    # Plain system calls: with half a million small files, io.open would take longer than parsing.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        content = os.read(descriptor, status.st_size + 1)
    finally:
        os.close(descriptor)
    return content, _trait(name, status)


def _trait(name: str, status: os.stat_result) -> str:
    return f"{name},{status.st_size},{status.st_mtime_ns}"


def _fingerprint(traits: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(traits)).encode(errors="surrogateescape")).hexdigest()


def _as_list(value: Any) -> list:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _with_spaces(word: str) -> str:
    return " ".join(word.replace("_", " ").split())
