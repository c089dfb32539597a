"""Part annotations by frame, as bridges read and write them: the JSON files of docs/data.md."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kgclip.data.annotation_files import clip_folders, frame_number, json_names
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder
from kgclip.kg.movement import PARTS
from kgclip.kg.names import plain_name
from kgclip.reading import read_bytes

_MOST_BYTES = 2**24  # of one frame
_LONGEST_NAME = 255

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PartState:
    """What a part of a person does in one frame.

    Attributes:
        person: their number in the frame, from 1.
        part: one of the ten, with spaces.
        state, object: with spaces; no object is None.
        box: left, top, right and bottom in pixels, where it is known.
    """

    person: int
    part: str
    state: str
    object: str | None = None
    box: Box | None = None


Frames = Mapping[int, Iterable[PartState]]
"""By 1-based frame number; a frame without states was looked at, too."""


def part_named(name: str) -> str | None:
    """The body part that a label names, None for anything else."""
    plain = plain_name(re.sub(r"[-\s]+", " ", name)).lower()
    return plain if plain in PARTS else None


def write_clips(out: Path, clips: Mapping[str, Frames]) -> None:
    """Write a folder with a folder for each clip and a file for each frame.

    Raises:
        KgclipError: something stands there.
    """
    with atomic_folder(out) as folder:
        for clip, frames in clips.items():
            words = [word for word in Path(clip).parts if word not in ("..", "/")]
            if any(len(os.fsencode(word)) > _LONGEST_NAME for word in words):
                raise KgclipError(f"{out}: the name of the clip {clip[:40]!r} is longer than folders' are; shorten it")
            inside = folder.joinpath(*words)
            inside.mkdir(parents=True)
            for number, states in frames.items():
                content = orjson.dumps({"humans": _humans(states)})
                (inside / f"img_{number:05d}.json").write_bytes(content)


def read_clips(folder: Path) -> dict[str, dict[int, list[PartState]]]:
    """The part annotations in a folder, by clip (its folder within ``folder``) and frame number.

    Raises:
        KgclipError: it holds none, or a file is broken.
    """
    clips = {
        Path(clip).relative_to(folder).as_posix(): {
            frame_number(name): _states(Path(clip, name)) for name in sorted(json_names(clip)) if frame_number(name)
        }
        for clip in clip_folders(folder)
        if Path(clip) != folder
    }
    clips = {clip: frames for clip, frames in clips.items() if frames}
    if not clips:
        raise KgclipError(f"{folder}: holds no frame annotation; expected <clip>/img_00001.json")
    return clips


def _humans(states: Iterable[PartState]) -> list[dict[str, Any]]:
    people: dict[int, dict[str, dict[str, Any]]] = {}
    for each in states:
        parts = people.setdefault(each.person, {})
        name, verb, item = (_on_disk(word) for word in (each.part, each.state, each.object or "none"))
        part = parts.get(name)
        if part is None:
            parts[name] = {"name": name, "verb": verb} | ({} if item == "none" else {"obj_class": item})
            if each.box is not None:
                parts[name]["box"] = [round(edge, 2) for edge in each.box]
            continue
        verbs, items = ([*_listed(part.get(key, "none")), word] for key, word in (("verb", verb), ("obj_class", item)))
        part |= {"verb": verbs, "obj_class": items + ["none"] * (len(verbs) - len(items))}
    return [{"number": person, "parts": parts} for person, parts in sorted(people.items())]


def _states(path: Path) -> list[PartState]:
    try:
        humans = orjson.loads(read_bytes(path, _MOST_BYTES)).get("humans") or []
        return [
            state
            for position, human in enumerate(humans, start=1)
            for name, part in _parts(human.get("parts") or {})
            for state in _states_of(_number_of(human, position), name, part)
        ]
    except (LookupError, ValueError, OverflowError, TypeError, AttributeError) as error:
        raise KgclipError(f"{path}: is no frame annotation ({error!r}); see docs/data.md for its format") from None


def _number_of(human: Mapping[str, Any], position: int) -> int:
    number = human.get("number")
    return position if number is None else int(number)


def _parts(parts: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return parts.items() if isinstance(parts, dict) else [(part["name"], part) for part in parts]


def _states_of(person: int, name: str, part: Mapping[str, Any]) -> Iterable[PartState]:
    verbs, items, box = _listed(part["verb"]), _listed(part.get("obj_class") or "none"), part.get("box")
    items = items * len(verbs) if len(items) == 1 else items
    edges = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    for verb, item in zip(verbs, items, strict=True):
        word = plain_name(item or "none")
        yield PartState(person, plain_name(name), plain_name(verb), None if word == "none" else word, edges)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _on_disk(words: str) -> str:
    return words.replace(" ", "_")
