"""The part annotations in a clip's JSON files, one a frame.

This module runs in worker processes, so that it imports little.
"""

import codecs
import os
import stat
import threading
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from kgclip.data.annotation_files import fingerprint_of, format_of, frame_number, json_names, problem_of_name, trait_of
from kgclip.data.wording import printable
from kgclip.kg.names import plain_name

_NUM_EXAMPLES = 3
# Not waiting for a writer: a named pipe in place of a file is then empty.
_MOST_BYTES = 2**24  # of one frame
_FLAGS = os.O_RDONLY | os.O_NONBLOCK

Triple = tuple[str, str, str | None]


class AllowedWords(NamedTuple):
    """The words an annotation may use, with spaces; None allows any."""

    part: frozenset[str]
    state: frozenset[str] | None = None
    object: frozenset[str] | None = None


class _Part(msgspec.Struct, frozen=True, gc=False):
    """What is read of one part; boxes are skipped without making objects of them."""

    verb: Any = None
    obj_class: Any = None


class _Human(msgspec.Struct, gc=False):
    parts: dict[str, _Part] = {}


class _Frame(msgspec.Struct, gc=False):
    humans: list[_Human]


_DECODER = msgspec.json.Decoder(_Frame)


@dataclass
class Problems:
    """What is wrong with some annotations: per kind its number of cases and the first three places."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, *places: str, count: int = 1) -> None:
        """Count cases of one kind."""
        self.counts[kind] = self.counts.get(kind, 0) + count
        mine = self.examples.setdefault(kind, [])
        mine += [place for place in places if place not in mine][: _NUM_EXAMPLES - len(mine)]

    def merge(self, other: "Problems") -> None:
        """Count the cases of another collection too."""
        for kind, count in other.counts.items():
            self.add(kind, *other.examples[kind], count=count)


def _numbers() -> array:
    return array("i")


@dataclass
class FrameColumns:
    """The annotations of some clips in columns, folder by folder.

    Per frame ``folder`` (its position), ``frame`` (1-based image index) and ``records_per_frame``; per record of a part
    ``human`` (index in the frame) and ``record`` (position of its part, state and object in ``triples``).
    ``fingerprints`` has one entry per folder.
    """

    folder: array = field(default_factory=_numbers)
    frame: array = field(default_factory=_numbers)
    records_per_frame: array = field(default_factory=_numbers)
    human: array = field(default_factory=_numbers)
    record: array = field(default_factory=_numbers)
    triples: list[Triple] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)


def read_folders(folders: list[str], root: str, allowed: AllowedWords) -> FrameColumns:
    """Read the frames in these folders in the order of their numbers; problems name files relative to ``root``."""
    return _reader(root, allowed, threading.get_ident()).read(folders)


@lru_cache(maxsize=1)
def _reader(root: str, allowed: AllowedWords, thread: int) -> "_FrameReader":
    """Kept from one call to the next of a thread, as it knows how words are written."""
    return _FrameReader(root, allowed)


class _FrameReader:
    def __init__(self, root: str, allowed: AllowedWords) -> None:
        self.root = root
        self.allowed = allowed
        self.triples: dict[Triple, int] = {}
        # From a part as it is written to its triple's position: most repeat earlier ones.
        self.known: dict[tuple[str, _Part], int] = {}
        self.columns = FrameColumns()
        self.folder = self.name = ""

    def read(self, folders: list[str]) -> FrameColumns:
        self.columns = FrameColumns()
        for number, folder in enumerate(folders):
            self._read_folder(number, folder)
        self.columns.triples = list(self.triples)
        return self.columns

    def _read_folder(self, folder_number: int, folder: str) -> None:
        """Read the frames of one clip, in one loop: with half a million files, a call more for each of them counts."""
        self.folder = folder
        columns, position_of = self.columns, self.known.__getitem__
        numbers: set[int] = set()
        record: list[int] = []
        human: list[int] = []
        traits: list[str] = []
        for number, content in self._frames(folder, traits):
            if number in numbers:
                self._report("a second file for one frame")
                continue
            try:
                humans = [list(map(position_of, each.parts.items())) for each in _DECODER.decode(content).humans]
            except (msgspec.MsgspecError, ValueError, RecursionError, KeyError, TypeError):
                humans = self._humans(content)  # a new word, or another layout
            if humans is None:
                continue
            before = len(record)
            for position, positions in enumerate(humans):
                record += positions
                human += [position] * len(positions)
            columns.records_per_frame.append(len(record) - before)
            columns.folder.append(folder_number)
            columns.frame.append(number)
            numbers.add(number)
        columns.record.extend(record)
        columns.human.extend(human)
        columns.fingerprints.append(fingerprint_of(traits))

    def _frames(self, folder: str, traits: list[str]) -> Iterator[tuple[int, bytes]]:
        """The number and content of each frame's file in order; the traits of all files are appended to ``traits``."""
        directory = os.open(folder, os.O_RDONLY)
        try:
            names = json_names(directory)
            for number, name in sorted(zip(map(frame_number, names), names, strict=True)):
                self.name = name
                try:
                    # Relative to the folder, and not by io.open, which takes longer than reading JSON.
                    descriptor = os.open(name, _FLAGS, dir_fd=directory)
                    try:
                        status = os.fstat(descriptor)
                        sound = stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES
                        content = os.read(descriptor, status.st_size + 1) if sound else None
                    finally:
                        os.close(descriptor)
                except OSError as error:
                    self._report(f"a file that cannot be read ({error.strerror})")
                    continue
                traits.append(trait_of(name, status))
                if content is None:
                    self._report(f"a file that is a pipe or a device, or has more than {_MOST_BYTES:,} bytes")
                elif number:
                    yield number, content
                else:
                    self._report(problem_of_name(name))
        finally:
            os.close(directory)

    def _humans(self, content: bytes) -> list[list[int]] | None:
        """The positions of each human's triples, whatever their layout; None if nothing can be made of the file."""
        try:
            annotation = orjson.loads(content.removeprefix(codecs.BOM_UTF8))
        except orjson.JSONDecodeError:
            self._report("malformed JSON")
            return None
        humans = annotation.get("humans") if isinstance(annotation, dict) else 0
        if layout := format_of(annotation):
            self._report(f"a file in the format of {layout}")
        elif not isinstance(humans, list | None):
            self._report("a file without a list of humans")
        else:
            return [
                [position for name, part in self._parts(human) for position in self._positions(name, part)]
                for human in humans or ()
            ]
        return None

    def _parts(self, human: Any) -> Iterable[tuple[Any, Any]]:
        """The (name, record) of each part of one human."""
        parts = human.get("parts") if isinstance(human, dict) else 0
        if isinstance(parts, dict):
            return parts.items()
        if isinstance(parts, list):
            return [(part.get("name") if isinstance(part, dict) else None, part) for part in parts]
        if parts is not None:
            self._report("a human whose parts are neither an object nor a list")
        return ()

    def _positions(self, name: Any, part: Any) -> list[int]:
        """The triples of one part: one for each of its verbs."""
        if not isinstance(name, str) or not isinstance(part, dict):
            self._report("a part that is no object with a name")
            return []
        written = part.get("verb"), part.get("obj_class")
        verbs, objects = map(_as_list, written)
        objects = objects or [None]
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
        positions = [self._position(name, verb, word) for verb, word in dict.fromkeys(pairs)]
        sound = [position for position in positions if position is not None]
        if len(sound) == 1 and not any(isinstance(word, list) for word in written):
            self.known[name, _Part(*written)] = sound[0]
        return sound

    def _position(self, name: str, verb: str, word: str | None) -> int | None:
        """The position of a part, state and object in the list of triples, None if one of them is unknown."""
        part, state, item = names = plain_name(name), plain_name(verb), plain_name(word or "none")
        unknown = [
            f"unknown {kind} {name!r}"
            for kind, name, words in zip(AllowedWords._fields, names, self.allowed, strict=True)
            if words is not None and name not in words
        ]
        for problem in unknown:
            self._report(problem)
        if unknown:
            return None
        return self.triples.setdefault((part, state, None if item == "none" else item), len(self.triples))

    def _report(self, kind: str) -> None:
        self.columns.problems.add(kind, printable(os.path.relpath(f"{self.folder}/{self.name}", self.root)))


def _as_list(value: Any) -> list:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
