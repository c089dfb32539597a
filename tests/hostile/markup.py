"""Hostile XML."""

from typing import Any

from tests.hostile.case import EITHER, READ, REFUSED, Case, cases, replacing


def laughs(root: str, levels: int = 9) -> str:
    """Entities of entities: a few lines that stand for ten to the ninth."""
    lines = ['<!ENTITY a0 "ha">', *(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, levels + 1))]
    return f'<?xml version="1.0"?><!DOCTYPE {root} [{"".join(lines)}]><{root}>&a{levels};</{root}>'


def _of_every_xml(root: str) -> dict[str, tuple]:
    def typed(inside: str) -> str:
        return f'<?xml version="1.0"?><!DOCTYPE {root} [{inside}]><{root}>&x;</{root}>'

    return {
        "a billion laughs": (laughs(root), REFUSED, "has a document type"),
        "one entity a million times": (
            typed('<!ENTITY x "' + "ha" * 40_000 + '">').replace("&x;", "&x;" * 50_000),
            REFUSED,
            "has a document type",
        ),
        "an entity of a file": (typed('<!ENTITY x SYSTEM "file:///etc/passwd">'), REFUSED, "has a document type"),
        "an entity of an address": (typed('<!ENTITY x SYSTEM "http://127.0.0.1:9/">'), REFUSED, "has a document type"),
        "entities of parameters": (typed('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;'), REFUSED, "document type"),
        "a document type elsewhere": (f'<!DOCTYPE {root} SYSTEM "http://127.0.0.1:9/x.dtd"><{root}/>', REFUSED, "type"),
        "a document type in UTF-16": (laughs(root).replace("1.0", "1.0").encode("utf-16"), REFUSED, "document type"),
        "an entity that is not there": (f"<{root}>&x;</{root}>", REFUSED, "is no whole XML"),
        "a million elements deep": (f"<{root}>" + "<a>" * 1_000_000, REFUSED, "elements more than 64 deep"),
        "two million tags": (f"<{root}>" + "<a/>" * 2_000_000 + f"</{root}>", REFUSED, "more than 1,500,000 tags"),
        "a tag of a megabyte": (f"<{root} a='" + "x" * 2**20 + "'/>", REFUSED, "has a tag of more than"),
        "a comment of a megabyte": (f"<{root}><!--" + "x" * 2**20 + f"--></{root}>", REFUSED, "has a tag of more than"),
        "ten thousand attributes": (
            f"<{root} " + " ".join(f"a{n}=''" for n in range(8000)) + "/>",
            REFUSED,
        ),
        "an attribute twice": (f"<{root} a='1' a='2'/>", REFUSED, "is no whole XML"),
        "64 MiB and a byte": (f"<{root}>" + " " * 2**26, REFUSED, "64 MiB"),
        "another root": ("<html><body/></html>", REFUSED, "has the root <html>"),
        "an encoding that is none": (f"<?xml version='1.0' encoding='klingon'?><{root}/>", REFUSED, "is no whole XML"),
        "UTF-7": (f"<?xml version='1.0' encoding='utf-7'?><{root}/>", REFUSED),
        "a null character": (f"<{root}>\0</{root}>", REFUSED, "is no whole XML"),
        "a control character": (f"<{root}>\x1b</{root}>", REFUSED, "is no whole XML"),
        "a reference to a null": (f"<{root}>&#0;</{root}>", REFUSED, "is no whole XML"),
        "two roots": (f"<{root}/><{root}/>", REFUSED, "is no whole XML"),
        "half of it": (lambda sound: sound[: len(sound) // 2], REFUSED, "is no whole XML"),
        "nothing in it": (f"<{root}/>", REFUSED),
        "a namespace": (f"<{root} xmlns='urn:x'/>", REFUSED),
        "JSON": ("{}", REFUSED, "is no whole XML"),
        "a style sheet elsewhere": (
            lambda sound: b"<?xml-stylesheet href='http://127.0.0.1:9/'?>" + sound.partition(b"?>")[2],
            READ,
        ),
    }


BOX = '<box frame="{}" outside="0" xtl="{}" ytl="0" xbr="9" ybr="9"><attribute name="state">{}</attribute></box>'


def task(inside: str, start: Any = 0, stop: Any = 9, more: str = "") -> str:
    """A task of CVAT with one track of the head."""
    meta = f"<start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame>{more}<name>gym</name>"
    track = f'<track id="0" label="head">{inside}</track>'
    return f"<annotations><meta><task>{meta}</task></meta>{track}</annotations>"


SOUND_BOX = BOX.format(0, 0, "look")
CVAT = cases(
    "CVAT",
    {
        "ten million frames": (task(SOUND_BOX, 0, 9_999_999), REFUSED, "expected at most 100,000"),
        "frames of 5,000 digits": (task(SOUND_BOX, 0, "9" * 5000), REFUSED, "has frame numbers that are none"),
        "frames below zero": (task(SOUND_BOX, -5, 3), REFUSED, "has frames -5 to 3"),
        "frames the wrong way round": (task(SOUND_BOX, 9, 3), REFUSED, "has frames 9 to 3"),
        "steps of nothing": (task(SOUND_BOX, more="<frame_filter>step=0</frame_filter>"), REFUSED, "in steps of 0"),
        "many tracks of many frames": (
            task(SOUND_BOX, 0, 99_999).replace(
                "</annotations>", f'<track label="hip">{SOUND_BOX}</track>' * 30 + "</annotations>"
            ),
            REFUSED,
            "has more than 1,000,000 states",
        ),
        "20,000 boxes in as many frames": (
            task("".join(BOX.format(n, 0, "look") for n in range(20_000)), 0, 19_999),
            READ,
        ),
        "a box of no numbers": (task(BOX.format(0, "a", "look")), REFUSED, "CVAT would not write"),
        "a box that is none": (task(BOX.format(0, "nan", "look")), EITHER),
        "a box in frame 1e5": (task(BOX.format("1e5", 0, "look")), REFUSED, "CVAT would not write"),
        "a box without state": (task(BOX.format(0, 0, "")), REFUSED, "has no state"),
        "a track without boxes": (task(""), READ),
        "a polygon": (task("<polygon/>"), REFUSED, "draw body parts as rectangles"),
        "a person of 5,000 digits": (
            task(SOUND_BOX.replace("</box>", f'<attribute name="person">{"9" * 5000}</attribute></box>')),
            REFUSED,
            "for a person",
        ),
        "a person in Arabic digits": (
            task(SOUND_BOX.replace("</box>", '<attribute name="person">٣</attribute></box>')),
            REFUSED,
            "for a person",
        ),
        "no track of a part": (task(SOUND_BOX).replace("head", "dog"), REFUSED, "has no track of a body part"),
        "a task of images": (task(SOUND_BOX).replace("<track", "<image/><track", 1), REFUSED, "not of one video task"),
        "a clip above the folder": (task(SOUND_BOX).replace("gym", "../../../../tmp/evil"), READ, "1 clip"),
        "a clip of 300 characters": (task(SOUND_BOX).replace("gym", "a" * 300), REFUSED),
        "a state of 100,000 characters": (task(BOX.format(0, 0, "a" * 100_000)), EITHER),
    },
)
ELAN = cases(
    "ELAN",
    {
        "no film": (lambda sound: sound.replace(b"MEDIA_DESCRIPTOR", b"X"), REFUSED, "names no film"),
        "times in frames": (replacing("milliseconds", "PAL-frames"), REFUSED, "expected milliseconds"),
        "a time in words": (replacing('TIME_VALUE="1200"', 'TIME_VALUE="soon"'), REFUSED, "not tied to the time line"),
        "a time without end": (
            replacing('TIME_VALUE="3450"', 'TIME_VALUE="1e999"'),
            REFUSED,
            "expected seconds from 0",
        ),
        "a time that is none": (replacing('TIME_VALUE="3450"', 'TIME_VALUE="nan"'), REFUSED, "expected seconds from 0"),
        "a time below zero": (replacing('TIME_VALUE="1200"', 'TIME_VALUE="-1200"'), REFUSED, "expected seconds from 0"),
        "an end before the start": (
            replacing('TIME_VALUE="1200"', 'TIME_VALUE="9999"'),
            REFUSED,
            "end after the start",
        ),
        "a slot that is not there": (replacing('REF1="ts1"', 'REF1="ts99"'), REFUSED, "not tied to the time line"),
        "a film of 300 characters": (replacing("./gym.mp4", f"./{'a' * 300}.mp4"), READ),
        "a film above the folder": (replacing("./gym.mp4", "../../../../etc/passwd"), READ),
        "no annotation": (lambda sound: sound.replace(b"ALIGNABLE_ANNOTATION", b"X"), REFUSED),
    },
)
MARKUP_CASES: list[Case] = [
    *cases("CVAT", _of_every_xml("annotations")),
    *cases("ELAN", _of_every_xml("ANNOTATION_DOCUMENT")),
    *CVAT,
    *ELAN,
]
