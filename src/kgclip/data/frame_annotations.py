"""One frame's part annotation in JSON.

This module runs in worker processes, so that it imports little.
"""

import codecs
import os
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from kgclip.data.annotation_files import (
    fingerprint_of,
    format_of,
    frame_number,
    json_names,
    problem_of_name,
    trait_of,
)
from kgclip.data.wording import printable
from kgclip.kg.names import plain_name

_NUM_EXAMPLES = 3

Triple = tuple[str, str, str | None]


class _Part(msgspec.Struct, frozen=True, gc=False):
    """What is read of one part; boxes are skipped without making objects of them."""

    verb: Any = None
    obj_class: Any = None


class _Human(msgspec.Struct, gc=False):
    parts: dict[str, _Part] | None = None


class _Frame(msgspec.Struct, gc=False):
    humans: list[_Human] | None = None


# Not waiting for a writer: a named pipe in place of a file is then empty.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK

_DECODER = msgspec.json.Decoder(_Frame)


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
    its position in ``triples``, distinct (part, state, object). ``fingerprints`` has one entry per folder.
    """

    frames_per_folder: array = field(default_factory=lambda: array("i"))
    frame: array = field(default_factory=lambda: array("i"))
    humans_per_frame: array = field(default_factory=lambda: array("i"))
    records_per_human: array = field(default_factory=lambda: array("i"))
    record: array = field(default_factory=lambda: array("i"))
    triples: Sequence[Triple] = ()
    fingerprints: list[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)


def read_folders(folders: list[str], root: str, allowed: AllowedWords) -> FrameColumns:
    """Read the frames in these folders, each in the order of its frame numbers.

    Args:
        folders: one per clip.
        root: the folder that the names of files in problems are relative to.
        allowed: the vocabulary.
    """
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
        # From a part as it is written to its position in the list of triples: most repeat earlier ones.
        self.known: dict[tuple[str, _Part], int] = {}
        self.columns = FrameColumns()
        self.folder = self.name = ""

    def read(self, folders: list[str]) -> FrameColumns:
        self.columns = FrameColumns()
        for folder in folders:
            self._read_folder(folder)
        self.columns.triples = list(self.triples)
        return self.columns

    def _read_folder(self, folder: str) -> None:
        """Read the frames of one clip, in one loop: with half a million files, a call more for each of them counts."""
        self.folder = folder
        position_of = self.known.__getitem__
        numbers: dict[int, None] = {}
        humans_per_frame: list[int] = []
        records_per_human: list[int] = []
        record: list[int] = []
        traits: list[str] = []
        for number, content in self._frames(folder, traits):
            if number in numbers:
                self._report("a second file for one frame")
                continue
            try:
                humans = _DECODER.decode(content).humans
            except (msgspec.MsgspecError, ValueError, RecursionError):
                humans = None
            if humans is None:
                humans = self._humans_in_another_layout(content)
                if humans is None:
                    continue
                for positions in humans:
                    record += positions
                    records_per_human.append(len(positions))
            else:
                for human in humans:
                    before, parts = len(record), human.parts or {}
                    try:
                        record.extend(map(position_of, parts.items()))
                    except (KeyError, TypeError):  # new words, or lists of words
                        del record[before:]
                        for part, written in parts.items():
                            record += self._positions_of_part(part, written)
                    records_per_human.append(len(record) - before)
            numbers[number] = None
            humans_per_frame.append(len(humans))
        columns = self.columns
        columns.frames_per_folder.append(len(numbers))
        columns.frame.extend(numbers)
        columns.humans_per_frame.extend(humans_per_frame)
        columns.records_per_human.extend(records_per_human)
        columns.record.extend(record)
        columns.fingerprints.append(fingerprint_of(traits))

    def _frames(self, folder: str, traits: list[str]) -> Iterator[tuple[int, bytes]]:
        """The number and content of each frame's file in order; the traits of all files are appended to ``traits``."""
        directory = os.open(folder, os.O_RDONLY)
        try:
            names = json_names(directory)[0]
            for number, name in sorted(zip(map(frame_number, names), names, strict=True)):
                self.name = name
                try:
                    # Relative to the folder, and not by io.open, which takes longer than reading JSON.
                    descriptor = os.open(name, _FLAGS, dir_fd=directory)
                    try:
                        status = os.fstat(descriptor)
                        content = os.read(descriptor, status.st_size + 1)
                    finally:
                        os.close(descriptor)
                except OSError as error:
                    self._report(f"a file that cannot be read ({error.strerror})")
                    continue
                traits.append(trait_of(name, status))
                if number:
                    yield number, content
                else:
                    self._report(problem_of_name(name))
        finally:
            os.close(directory)

    def _humans_in_another_layout(self, content: bytes) -> list[list[int]] | None:
        """The positions of each human's triples, whatever their layout; None if nothing can be made of it."""
        try:
            annotation = orjson.loads(content.removeprefix(codecs.BOM_UTF8))
        except orjson.JSONDecodeError:
            self._report("malformed JSON")
            return None
        layout = format_of(annotation)
        if layout:
            self._report(f"a file in the format of {layout}")
            return None
        humans = annotation.get("humans", []) if isinstance(annotation, dict) else None
        if not isinstance(humans, list | None) or not isinstance(annotation, dict):
            self._report("a file without a list of humans")
            return None
        return [
            [position for name, record in self._records(human) for position in self._positions_of(name, record)]
            for human in humans or ()
        ]

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

    def _positions_of_part(self, name: str, part: _Part) -> list[int]:
        try:
            return [self.known[name, part]]
        except (KeyError, TypeError):
            return self._positions_of(name, {"verb": part.verb, "obj_class": part.obj_class})

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
        known = self.triples
        triples = [self._triple(name, verb, word) for verb, word in dict.fromkeys(pairs)]
        positions = [known.setdefault(triple, len(known)) for triple in triples if triple is not None]
        if len(positions) == 1 and isinstance(record["verb"], str) and not isinstance(record.get("obj_class"), list):
            self.known[name, _Part(record["verb"], record.get("obj_class"))] = positions[0]
        return positions

    def _triple(self, name: str, verb: str, word: str | None) -> Triple | None:
        part, state, item = plain_name(name), plain_name(verb), plain_name(word or "none")
        allowed = self.allowed
        problems = []
        if part not in allowed.parts:
            problems.append(f"unknown part {part!r}")
        if allowed.states is not None and state not in allowed.states:
            problems.append(f"unknown state {state!r}")
        if allowed.objects is not None and item != "none" and item not in allowed.objects:
            problems.append(f"unknown object {item!r}")
        for problem in problems:
            self._report(problem)
        return None if problems else (part, state, None if item == "none" else item)

    def _report(self, kind: str) -> None:
        self.columns.problems.add(kind, printable(os.path.relpath(f"{self.folder}/{self.name}", self.root)))


def _as_list(value: Any) -> list:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
