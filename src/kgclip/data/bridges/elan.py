"""ELAN annotation files (.eaf): https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf."""

import datetime
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from kgclip.data.bridges.documents import read_xml, write_xml
from kgclip.data.bridges.intervals import Interval, interval
from kgclip.errors import KgclipError

WHAT = "an ELAN file (.eaf)"
TIER = "actions"
_MIME_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".avi": "video/x-msvideo", ".mpg": "video/mpeg"}
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def read_eaf(path: Path, tiers: Sequence[str] = ()) -> list[Interval]:
    """The annotations of these tiers, or of all that are tied to the time line; of several films the first is meant.

    Annotations of a dependent tier, where it is asked for by name, lie where those they refer to lie.

    Raises:
        KgclipError: the file is broken, names no film or other units, has no such tier, or an annotation has no times.
    """
    root = read_xml(path, "ANNOTATION_DOCUMENT", WHAT)
    video, origin_ms = _media(path, root)
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    all_tiers = {str(tier.get("TIER_ID")): tier for tier in root.iter("TIER")}
    unknown = [name for name in tiers if name not in all_tiers]
    if unknown:
        raise KgclipError(f"{path}: has no tier {unknown[0]!r}; it has {', '.join(map(repr, all_tiers)) or 'none'}")
    aligned = _aligned(root)
    found = []
    for name in tiers or all_tiers:
        for note in _annotations(all_tiers[name], dependent=bool(tiers)):
            label = (note.findtext("ANNOTATION_VALUE") or "").strip()
            where = f"{path}: annotation {label[:40]!r} ({note.get('ANNOTATION_ID')}) of tier {name!r}"
            at = note if note.tag == "ALIGNABLE_ANNOTATION" else aligned.get(note.get("ANNOTATION_ID"), note)
            ends = _ends(at, slots)
            if ends is None:
                raise KgclipError(f"{where} is not tied to the time line; align it in ELAN, or choose others by --tier")
            start_s, end_s = ((end + origin_ms) / 1000 for end in ends)
            found.append(interval(where, video, start_s, end_s, label))
    return found


def write_eaf(path: Path, intervals: Sequence[Interval]) -> None:
    """Write the intervals of one film as tiers: one, or where some overlap as many as they need."""
    video = Path(intervals[0].video)
    root = Element("ANNOTATION_DOCUMENT", AUTHOR="kgclip", DATE=_now(), FORMAT="3.0", VERSION="3.0")
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", _SCHEMA)
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=video.absolute().as_uri(),
        MIME_TYPE=_MIME_TYPES.get(video.suffix.lower(), "video/*"),
        RELATIVE_MEDIA_URL=os.path.relpath(video, path.parent),
    )
    order = SubElement(root, "TIME_ORDER")
    times = sorted({round(1000 * time) for each in intervals for time in (each.start_s, each.end_s)})
    slots = {time: f"ts{number}" for number, time in enumerate(times, start=1)}
    for time, slot in slots.items():
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
    number = 0
    for position, lane in enumerate(_lanes(intervals)):
        name = f"{TIER} {position + 1}" if position else TIER
        tier = SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name)
        for each in lane:
            number += 1
            first, last = (slots[round(1000 * time)] for time in (each.start_s, each.end_s))
            note = SubElement(
                SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{number}",
                TIME_SLOT_REF1=first,
                TIME_SLOT_REF2=last,
            )
            SubElement(note, "ANNOTATION_VALUE").text = each.label
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    SubElement(root, "LINGUISTIC_TYPE", kind)
    write_xml(path, root)


def _media(path: Path, root: Element) -> tuple[str, float]:
    """The film as the file names it, and where in it the time line begins, in milliseconds."""
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise KgclipError(f"{path}: counts time in {units}; expected milliseconds, save it with another ELAN")
    media = list(root.iter("MEDIA_DESCRIPTOR"))
    films = [each for each in media if not each.get("MIME_TYPE", "").startswith("audio")] or media
    names = [name for each in films for name in (each.get("RELATIVE_MEDIA_URL"), each.get("MEDIA_URL")) if name]
    if not names:
        raise KgclipError(f"{path}: names no film; link the film in ELAN (Edit > Linked Files) and save the file again")
    return names[0].removeprefix("./"), _milliseconds(path, films[0].get("TIME_ORIGIN", "0"))


def _milliseconds(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise KgclipError(f"{path}: has {text!r} for a time; expected milliseconds, save it with ELAN again") from None


def _annotations(tier: Element, *, dependent: bool) -> Iterator[Element]:
    for note in tier.iter():
        if note.tag == "ALIGNABLE_ANNOTATION" or (dependent and note.tag == "REF_ANNOTATION"):
            yield note


def _aligned(root: Element) -> dict[str | None, Element]:
    """The annotation on the time line that each one, by its id, depends on; itself where it depends on none.

    Each is followed once, however long chains are; those that lead in a circle or nowhere are left out.
    """
    by_id = {note.get("ANNOTATION_ID"): note for note in root.iter() if note.tag.endswith("_ANNOTATION")}
    found: dict[str | None, Element] = {}
    lost: set[str | None] = set()
    for name in by_id:
        chain: list[str | None] = []
        at = name
        while at in by_id and at not in found and at not in lost and by_id[at].tag != "ALIGNABLE_ANNOTATION":
            chain.append(at)
            lost.add(at)
            at = by_id[at].get("ANNOTATION_REF")
        end = None if at in lost else found.get(at, by_id.get(at))
        if end is not None:
            lost.difference_update(chain)
            found.update(dict.fromkeys([*chain, at], end))
    return found


def _ends(note: Element, slots: dict[str | None, str | None]) -> tuple[float, float] | None:
    """When an annotation of the time line starts and ends in milliseconds; None if that is not said."""
    values = [slots.get(note.get(f"TIME_SLOT_REF{end}")) for end in (1, 2)]
    if values[0] is None or values[1] is None:
        return None
    try:
        return float(values[0]), float(values[1])
    except ValueError:
        return None


def _lanes(intervals: Sequence[Interval]) -> list[list[Interval]]:
    """The intervals in as few rows as none overlaps another in its row: a tier cannot hold two at one time."""
    lanes: list[list[Interval]] = []
    for each in sorted(intervals, key=lambda each: each.start_s):
        lane = next((lane for lane in lanes if lane[-1].end_s <= each.start_s), None)
        if lane is None:
            lanes.append([each])
        else:
            lane.append(each)
    return lanes


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
