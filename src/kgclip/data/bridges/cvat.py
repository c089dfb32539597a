"""CVAT for video 1.1 (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/): tracks of body parts.

A track is labeled with a part (``left_hand``) and its boxes carry the attributes ``state``, ``object`` and ``person``.
"""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from kgclip.data.bridges.documents import read_xml, write_xml
from kgclip.data.bridges.part_frames import Box, PartState, part_named
from kgclip.data.clip import clip_id
from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.kg.names import plain_name

WHAT = "CVAT for video 1.1 (annotations.xml)"
STATE, OBJECT, PERSON = ("state", "verb"), ("object", "obj_class"), ("person", "human")
"""Names of the attributes; the second is that of Kinetics-TPS."""
_UNDEFINED = ("", "none", "__undefined__")
_SIDES = ("xtl", "ytl", "xbr", "ybr")
_MOST_FRAMES, _MOST_STATES = 100_000, 1_000_000  # an hour of ten parts
_PERSON = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class CvatTask:
    """The part annotations of one task.

    Attributes:
        clip: the file name of its video without extension.
        frames: states by 1-based frame number, for every frame of the task.
        notes: what was left out, as sentences.
    """

    clip: str
    frames: dict[int, list[PartState]]
    notes: list[str]


@dataclass(frozen=True)
class _Shape:
    frame: int
    outside: bool
    state: PartState

    @property
    def box(self) -> Box:
        assert self.state.box is not None
        return self.state.box


def read_cvat(path: Path) -> CvatTask:
    """The tracks of parts in every frame of a task; between key frames boxes move evenly and attributes stay.

    Raises:
        KgclipError: the file is broken, is not of one video task, or no track is labeled with a part, or a track of a
            part has a state missing.
    """
    root = read_xml(path, "annotations", WHAT)
    task = root.find("meta/task") if root.find("meta/task") is not None else root.find("meta/job")
    if task is None or root.find("image") is not None:
        raise KgclipError(f"{path}: is not of one video task; expected {WHAT}, export each task by itself")
    numbers = _frame_numbers(path, task)
    frames: dict[int, list[PartState]] = {number + 1: [] for number in numbers}
    others: Counter[str] = Counter()
    count = states = 0
    for track in root.iter("track"):
        label, where = str(track.get("label")), f"{path}: track {track.get('id')} ({track.get('label')})"
        part = part_named(label)
        if part is None:
            others[label] += 1
            continue
        count += 1
        for number, state in _along(_shapes(where, part, track), numbers):
            frames[number + 1].append(state)
            states += 1
            if states > _MOST_STATES:
                raise KgclipError(f"{path}: has more than {_MOST_STATES:,} states in its frames; export it in parts")
    if not count:
        found = f", its labels are {examples_of(sorted(others))}" if others else ""
        raise KgclipError(f"{path}: has no track of a body part{found}; label tracks with parts, such as left_hand")
    names = examples_of(sorted(others))
    notes = [f"{path}: {count_of(sum(others.values()), 'track')} of other labels left out: {names}"] if others else []
    source = task.findtext("source") or task.findtext("name") or path.stem
    return CvatTask(clip_id(Path(source).name), frames, notes)


def write_cvat(path: Path, clip: str, frames: Mapping[int, Iterable[PartState]]) -> int:
    """Write the part annotations of one clip as a task with a track for each person, part and state at a time.

    Returns:
        How many states were left out, as they have no box.
    """
    numbers = sorted(number - 1 for number in frames)
    tracks: dict[tuple[int, str, int], dict[int, PartState]] = defaultdict(dict)
    without_box = 0
    for number in numbers:
        seen: Counter[tuple[int, str]] = Counter()
        for each in frames[number + 1]:
            if each.box is None:
                without_box += 1
                continue
            tracks[each.person, each.part, seen[each.person, each.part]][number] = each
            seen[each.person, each.part] += 1
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    step = math.gcd(*(second - first for first, second in pairwise(numbers))) or 1
    _write_task(SubElement(root, "meta"), clip, numbers, step, tracks)
    for position, ((_, part, _), states) in enumerate(sorted(tracks.items())):
        label = part.replace(" ", "_")
        track = SubElement(root, "track", id=str(position), label=label, source="manual")
        for number, follower in zip(numbers, [*numbers[1:], None], strict=True):
            if number not in states:
                continue
            _write_box(track, number, states[number], outside=False)
            if follower is not None and follower not in states:
                _write_box(track, follower, states[number], outside=True)
    write_xml(path, root)
    return without_box


def _frame_numbers(path: Path, task: Element) -> range:
    """The 0-based frames of the video that the task shows."""
    try:
        first, size = int(task.findtext("start_frame") or 0), int(task.findtext("size") or 0)
        step = re.search(r"step=(\d+)", task.findtext("frame_filter") or "")
        stride = int(step[1]) if step else 1
        last = int(task.findtext("stop_frame") or first + (size - 1) * stride)
    except ValueError as error:
        raise KgclipError(f"{path}: has frame numbers that are none ({error}); export the task again") from None
    if not (0 <= first <= last < 10**7 and stride > 0):
        raise KgclipError(f"{path}: has frames {first} to {last} in steps of {stride}; export the task again")
    numbers = range(first, last + 1, stride)
    if len(numbers) > _MOST_FRAMES:
        raise KgclipError(f"{path}: has {len(numbers):,} frames, expected at most {_MOST_FRAMES:,}; export it in parts")
    return numbers


def _shapes(where: str, part: str, track: Element) -> list[_Shape]:
    shapes = []
    for shape in track:
        if shape.tag != "box":
            raise KgclipError(f"{where}: has a <{shape.tag}>; expected boxes, draw body parts as rectangles")
        try:
            left, top, right, bottom = (float(shape.attrib[side]) for side in _SIDES)
            attributes = {str(each.get("name")): each.text or "" for each in shape.iter("attribute")}
            frame, outside = int(shape.attrib["frame"]), shape.get("outside") == "1"
        except (KeyError, ValueError) as error:
            raise KgclipError(f"{where}: has a box that CVAT would not write ({error!r}); export it again") from None
        state = _part_state(f"{where}, frame {frame}", part, attributes, (left, top, right, bottom), outside)
        shapes.append(_Shape(frame, outside, state))
    return sorted(shapes, key=lambda shape: shape.frame)


def _along(shapes: Sequence[_Shape], numbers: range) -> Iterator[tuple[int, PartState]]:
    """The track in each frame where it is seen: shapes hold, or move to the next one, until one is outside."""
    for shape, follower in zip_longest(shapes, shapes[1:]):
        if shape.outside:
            continue
        end = numbers.stop if follower is None else follower.frame
        to = None if follower is None or follower.outside else follower.box
        for number in numbers[bisect_left(numbers, shape.frame) : bisect_left(numbers, end)]:
            if to is None or to == shape.box:
                yield number, shape.state
            else:
                yield (
                    number,
                    replace(shape.state, box=_between(shape.box, to, (number - shape.frame) / (end - shape.frame))),
                )


def _between(one: Box, other: Box, share: float) -> Box:
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return left, top, right, bottom


def _part_state(where: str, part: str, attributes: Mapping[str, str], box: Box, outside: bool) -> PartState:
    """What a box says; where the part is outside, nothing need be said."""
    state, item, person = (
        next((plain_name(attributes[name]) for name in names if name in attributes), "")
        for names in (STATE, OBJECT, PERSON)
    )
    if outside:
        return PartState(1, part, state, None, box)
    if not state or state == "__undefined__":
        raise KgclipError(f"{where}: has no state; give the label an attribute {STATE[0]}, 'none' for no movement")
    if person and not _PERSON.fullmatch(person):
        raise KgclipError(f"{where}: has {person[:40]!r} for a person; expected a number from 1")
    return PartState(int(person or 1), part, state, None if item in _UNDEFINED else item, box)


def _write_task(
    meta: Element, clip: str, numbers: Sequence[int], step: int, tracks: Mapping[tuple[int, str, int], dict]
) -> None:
    task = SubElement(meta, "task")
    first, last = numbers[0], numbers[-1]
    facts = {
        "name": clip,
        "size": (last - first) // step + 1,
        "mode": "interpolation",
        "start_frame": first,
        "stop_frame": last,
        "frame_filter": f"step={step}" if step > 1 else "",
    }
    for name, value in facts.items():
        SubElement(task, name).text = str(value)
    labels = SubElement(task, "labels")
    for part in sorted({part for _, part, _ in tracks}):
        label = SubElement(labels, "label")
        SubElement(label, "name").text = part.replace(" ", "_")
        SubElement(label, "type").text = "rectangle"
        attributes = SubElement(label, "attributes")
        for name, mutable, default in ((STATE[0], True, "none"), (OBJECT[0], True, "none"), (PERSON[0], False, "1")):
            attribute = SubElement(attributes, "attribute")
            facts = {"name": name, "mutable": str(mutable), "input_type": "text", "default_value": default}
            for key, value in facts.items():
                SubElement(attribute, key).text = value
    SubElement(task, "source").text = f"{clip.rsplit('/', 1)[-1]}.mp4"


def _write_box(track: Element, number: int, state: PartState, *, outside: bool) -> None:
    assert state.box is not None
    sides = {side: f"{edge:.2f}" for side, edge in zip(_SIDES, state.box, strict=True)}
    flags = {"keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    box = SubElement(track, "box", {"frame": str(number)} | flags | sides | {"z_order": "0"})
    for name, value in ((STATE[0], state.state), (OBJECT[0], state.object or "none"), (PERSON[0], str(state.person))):
        SubElement(box, "attribute", name=name).text = value.replace(" ", "_")
