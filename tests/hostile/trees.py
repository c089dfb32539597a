"""Hostile JSON and XML."""

import json
from collections.abc import Callable
from typing import Any

from tests.hostile.case import EITHER, READ, REFUSED, Case, Make, cases, holding, replacing

JSONS = ("annotations", "part frames", "split", "model, configuration", "model, split", "model, left out")
JSONS += ("keypoints, COCO", "keypoints, OpenPose", "BORIS, project", "Label Studio", "HAKE", "spans", "index")
JSONS += ("sentence encoder, modules", "sentence encoder, configuration", "sentence encoder, tokenizer")
MANY = 3 * 2**20

_OF_EVERY_JSON: dict[str, tuple] = {
    "a list a million deep": (b"[" * 1_000_000, REFUSED),
    "objects 100,000 deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, REFUSED),
    "a number of 6,000 digits": (b"9" * 6000, REFUSED),
    "a number that is none": (b"NaN", REFUSED),
    "null": (b"null", REFUSED),
    "true": (b"true", REFUSED),
    "a word": (b'"a"', REFUSED),
    "an empty object": (b"{}", EITHER),
    "an empty list": (b"[]", EITHER),
    "a list of lists": (b"[[1]]", REFUSED),
    "a list of nulls": (b"[null, null]", REFUSED),
    "twenty MiB of objects": (b"[" + b'{"":0},' * MANY + b"0]", REFUSED),
    "ten MiB of lists": (b"[" + b"[]," * MANY + b"0]", REFUSED),
    "half of it": (lambda sound: sound[: len(sound) // 2], REFUSED),
    "more after its end": (lambda sound: sound.rstrip() + b"}", REFUSED),
    "bytes of Latin-1": (lambda sound: sound.replace(b'"', b'"\xe9', 1), REFUSED),
    "UTF-16": (lambda sound: sound.decode().encode("utf-16"), EITHER),
    "a mark of byte order": (lambda sound: b"\xef\xbb\xbf" + sound, EITHER),
    "a null character": (lambda sound: sound[:1] + b"\0" + sound[1:], REFUSED),
    "a comment": (lambda sound: b"// made by hand\n" + sound, REFUSED),
}


def changed(change: Callable[[Any], Any]) -> Make:
    """The sound file with its value changed in place, or replaced where the change returns one."""

    def of(sound: bytes) -> bytes:
        value = json.loads(sound)
        other = change(value)
        return json.dumps(value if other is None else other).encode()

    return holding(of)


def put(*path: str | int, value: Any) -> Make:
    """The sound file with one value of it replaced."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return changed(change)


def all_joints(values: list[Any]) -> Make:
    """COCO's people, each with these keypoints."""

    def change(content: Any) -> None:
        for person in content["annotations"]:
            person["keypoints"] = values

    return changed(change)


def of_observation(**values: Any) -> Make:
    """BORIS' observations with other fields."""

    def change(content: Any) -> None:
        for observation in content["observations"].values():
            observation.update(values)

    return changed(change)


ODD = {
    "a null": None,
    "true": True,
    "a negative number": -1,
    "a word": "x",
    "2**62": 2**62,
    "a list": [1],
    "an object": {"a": 1},
}
_CONFIG = [
    *(
        Case("model, configuration", f"{what} for {key}", put(key, value=value))
        for key in ("backbone", "actions", "landmarks", "identity", "config", "split_hash", "format")
        for what, value in ODD.items()
        if not (key == "identity" and value is None)
    ),
    Case(
        "model, configuration",
        "actions with escapes",
        put("actions", 0, value="a\x1b[2J"),
        REFUSED,
        "it has the action",
    ),
    Case("model, configuration", "an action of half a pair", put("actions", 0, value="\ud800"), REFUSED, "the action"),
    Case("model, configuration", "an action twice", changed(lambda v: v["actions"].append(v["actions"][0]))),
    Case("model, configuration", "one action more", changed(lambda v: v["actions"].append("zzz"))),
    Case("model, configuration", "a million actions", put("actions", value=[str(n) for n in range(1_000_000)])),
    Case("model, configuration", "a backbone of no kind", put("backbone", "kind", value="nothing")),
    Case("model, configuration", "a text tower of 2**40", put("backbone", "text", "width", value=2**40)),
    Case("model, configuration", "a billion layers", put("backbone", "text", "depth", value=10**9)),
    Case("model, configuration", "no layers' heads", put("backbone", "text", "num_heads", value=0)),
    Case("model, configuration", "2**24 landmarks", put("landmarks", value={"8": 2**24})),
    Case("model, configuration", "a number of frames in words", put("landmarks", value={"eight": 4})),
    Case("model, configuration", "an option that is none", changed(lambda v: v["config"].update(nothing=1))),
    Case("model, configuration", "an unknown probability of 7", put("unknown", value={"probability": 7})),
    Case(
        "model, configuration",
        "a graph of another hash",
        put("graph_hash", value="0" * 64),
        REFUSED,
        "its graph is not",
    ),
]
_BY_JSON: dict[str, dict[str, tuple]] = {
    "annotations": {
        "a person without parts": ('{"humans": [{"number": 1}]}', READ),
        "parts that are a number": ('{"humans": [{"parts": 5}]}', REFUSED, "img_00001.json"),
        "a part that is none": ('{"humans": [{"parts": {"tail": {"verb": "wag"}}}]}', REFUSED, "unknown part 'tail'"),
        "verbs and objects of other numbers": (
            '{"humans": [{"parts": {"head": {"verb": ["look", "turn"], "obj_class": ["a", "b", "c"]}}}]}',
            REFUSED,
            "numbers of verbs and objects differ",
        ),
        "a verb that is a number": (
            '{"humans": [{"parts": {"head": {"verb": 5}}}]}',
            REFUSED,
            "without a verb in words",
        ),
        "COCO in its place": ('{"images": [], "annotations": []}', REFUSED, "in the format of COCO"),
        "a part of escapes": ('{"humans": [{"parts": {"\\u001b[2J": {"verb": "look"}}}]}', REFUSED),
        "a verb of half a pair": ('{"humans": [{"parts": {"head": {"verb": "\\ud800"}}}]}', REFUSED),
        "20 MiB": (lambda sound: sound + b" " * 20 * 2**20, REFUSED, "bytes"),
        "humans twice": ('{"humans": [], "humans": 5}', REFUSED),
    },
    "part frames": {
        "a box of words": ('{"humans": [{"parts": {"head": {"verb": "look", "box": ["a"]}}}]}', REFUSED),
        "a box without end": ('{"humans": [{"parts": {"head": {"verb": "look", "box": [1e999, 0, 0, 0]}}}]}', EITHER),
        "a person of 2**63": ('{"humans": [{"number": 9223372036854775808, "parts": {}}]}', EITHER),
        "parts that are a word": ('{"humans": [{"parts": "head"}]}', REFUSED),
    },
    "split": {
        "a clip in two parts": ('{"train": ["a"], "test": ["a"]}', REFUSED, "1 clip twice"),
        "a clip that is a number": ('{"train": [1]}', REFUSED, "no list of clip ids"),
        "a part that is a word": ('{"train": "a"}', REFUSED, "no list of clip ids"),
        "a hash of another": ('{"train": ["a"], "hash": "00"}', REFUSED, "was changed after it was saved"),
        "a label of a clip that does not train": ('{"train": ["a"], "labelled": ["b"]}', REFUSED),
        "a clip of half a pair": ('{"train": ["\\ud800"]}', EITHER),
        "no training": ('{"train": []}', READ),
        "a hash that is an object": ('{"train": ["a"], "hash": {"a": 1}}', REFUSED),
    },
    "model, left out": {
        "a clip without guesses": ('[{"clip": "a"}]', REFUSED),
        "guesses of other types": (
            '[{"clip": "a", "action": null, "guesses": [[1, "b"]], "own_probability": null, "judged": true}]',
            REFUSED,
        ),
    },
    "index": {
        "another format": (put("format", value=99), REFUSED, "is not of an index of format"),
        "a content above the folder": (put("content", value="../../etc"), REFUSED, "is damaged"),
        "a content that is gone": (put("content", value=7), REFUSED, "7"),
        "actions that are numbers": (put("vocabulary", "actions", value=[1]), REFUSED, "is damaged"),
        "no told movements": (put("vocabulary", "told", value=[]), REFUSED, "is damaged"),
        "a definition beyond the movements": (put("vocabulary", "definitions", value=[[99]]), REFUSED, "is damaged"),
        "an action more": (put("vocabulary", "actions", value=["push up", "b"]), REFUSED, "is damaged"),
        "a field more": (put("vocabulary", "nothing", value=1), READ),
        "an identity that is a word": (put("identity", value="abc"), REFUSED, "is damaged"),
    },
    "keypoints, COCO": {
        "an image that is none": (changed(lambda v: v["annotations"][0].update(image_id=10**9)), REFUSED),
        "an image of no number": (changed(lambda v: v["images"][0].update(file_name="gym/img.jpg")), REFUSED),
        "an image of 30 digits": (changed(lambda v: v["images"][0].update(file_name=f"gym/{'9' * 30}.jpg")), REFUSED),
        "two numbers a joint": (all_joints([1, 2]), REFUSED),
        "joints in words": (all_joints(["a"] * 51), REFUSED),
        "joints of 1e300": (all_joints([1e300] * 51), REFUSED),
        "joints that are shares": (all_joints([0.5] * 51), REFUSED),
        "a frame beyond the film": (changed(lambda v: v["images"][0].update(file_name="gym/img_99999.jpg")), REFUSED),
        "people without a list": (changed(lambda v: v.update(annotations=5)), REFUSED),
    },
    "keypoints, OpenPose": {
        "joints in words": ('{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}', REFUSED),
        "one joint": ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', REFUSED),
        "joints of 1e300": (json.dumps({"people": [{"pose_keypoints_2d": [1e300] * 54}]}), REFUSED),
        "people that are a number": ('{"people": 5}', REFUSED),
        "nobody": ('{"people": []}', READ),
    },
    "BORIS, project": {
        "events that are numbers": (of_observation(events=[1]), REFUSED),
        "a time in words": (
            of_observation(events=[["soon", "", "push up", ""]]),
            REFUSED,
        ),
        "times of two types": (
            of_observation(events=[[1, "", "a", ""], ["b", "", "a", ""]]),
            REFUSED,
        ),
        "a start alone": (
            of_observation(events=[[1, "", "push up", ""]]),
            REFUSED,
            "never stops",
        ),
        "a modifier that is a list": (
            of_observation(events=[[1, [], "push up", {}]] * 2),
            REFUSED,
        ),
        "an offset": (of_observation(**{"time offset": 5}), REFUSED, "offset"),
        "no behaviors": (replacing('"behaviors_conf"', '"x"'), REFUSED),
        "a film that is a number": (
            of_observation(file={"1": [5]}),
            REFUSED,
        ),
    },
    "Label Studio": {
        "a range the wrong way round": (replacing('"end": 50', '"end": 0'), REFUSED),
        "a range in words": (replacing('"start": 1,', '"start": "a",'), REFUSED, "expected the frames start and end"),
        "a range of 1e308": (replacing('"end": 50', '"end": 1e308'), EITHER),
        "a range without end": (replacing('"end": 50', '"end": 1e999'), REFUSED),
        "two labels": (replacing('["push up"]', '["push up", "jump"]'), REFUSED, "keep one label"),
        "no label": (replacing('["push up"]', "[]"), REFUSED, "keep one label"),
        "two people's": (changed(lambda v: v[0]["annotations"].append(v[0]["annotations"][0])), REFUSED, "2 times"),
        "no video": (replacing("3f2a1b9c-gym.mp4", "gym.txt"), REFUSED, "names no video"),
        "an address that is none": (replacing("/data/upload/4/3f2a1b9c-gym.mp4", "http://[/gym.mp4"), EITHER),
        "a film of 300 characters": (replacing("3f2a1b9c-gym.mp4", "a" * 300 + ".mp4"), READ),
    },
    "HAKE": {
        "an image that is a number": ('{"a.jpg": 5}', REFUSED, "is no object of images"),
        "flags of another length": ('{"a.jpg": {"parts_list": [1]}}', REFUSED),
        "two images of one name": (lambda sound: _twice(sound), REFUSED, "is the second image called"),
        "labels without a list of states": ('{"a.jpg": {"labels": []}}', REFUSED, "does not tell its list of states"),
    },
    "spans": {
        "a span without an action": ('{"start_s": 0, "end_s": 1}', REFUSED, "is no span"),
        "times of 400 digits": ('{"start_s": 0, "end_s": ' + "9" * 400 + ', "action": "a"}', REFUSED, "is no span"),
        "times without end": ('{"start_s": 0, "end_s": Infinity, "action": "a"}', REFUSED, "expected seconds from 0"),
        "times that are none": ('{"start_s": NaN, "end_s": 1, "action": "a"}', REFUSED, "expected seconds from 0"),
        "times the wrong way round": ('{"start_s": 2, "end_s": 1, "action": "a"}', REFUSED, "expected an end after"),
        "a time that is a list": ('{"start_s": [], "end_s": 1, "action": "a"}', REFUSED, "is no span"),
        "an action of half a pair": ('{"start_s": 0, "end_s": 1, "action": "\\ud800"}', REFUSED, "is no span"),
    },
    "sentence encoder, modules": {
        "modules above the folder": (replacing("1_Pooling", "../../../1_Pooling"), READ),
        "a module whose type is a number": (put(0, "type", value=5), REFUSED),
        "a path that is a list": (put(1, "path", value=[]), REFUSED),
    },
    "sentence encoder, configuration": {
        "a kind of model that is none": (put("model_type", value="pickle"), REFUSED, "expected bert"),
        "a size of 2**40": (put("hidden_size", value=2**40), REFUSED),
        "a size below zero": (put("vocab_size", value=-5), REFUSED),
        "another size": (put("max_position_embeddings", value=512), REFUSED, "weights are of other sizes"),
        "an act that is none": (put("hidden_act", value="__import__('os')"), REFUSED),
        "code from elsewhere": (put("auto_map", value={"AutoModel": "evil--x.Model"}), READ),
    },
    "sentence encoder, tokenizer": {
        "no model": (put("model", value=None), REFUSED, "is damaged, expected a tokenizer"),
        "another version": (put("version", value="9.9"), REFUSED),
        "words of numbers": (put("model", "vocab", value={"a": "b"}), REFUSED),
        "a word beyond the weights": (put("model", "vocab", "up", value=10**6), EITHER),
        "a regular expression without end": (
            put(
                "pre_tokenizer",
                value={"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False},
            ),
            REFUSED,
        ),
    },
}


def _twice(sound: bytes) -> bytes:
    value = json.loads(sound)
    first = next(iter(value.values()))
    return json.dumps({"a/x.jpg": first, "b/x.jpg": first}).encode()


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
TREE_CASES: list[Case] = [
    *(case for reader in JSONS for case in cases(reader, _OF_EVERY_JSON)),
    *_CONFIG,
    *(case for reader, table in _BY_JSON.items() for case in cases(reader, table)),
    *cases("CVAT", _of_every_xml("annotations")),
    *cases("ELAN", _of_every_xml("ANNOTATION_DOCUMENT")),
    *CVAT,
    *ELAN,
]
