"""Hostile JSON."""

import json
from collections.abc import Callable
from typing import Any

from tests.hostile.case import EITHER, READ, REFUSED, Case, Make, cases, holding, replacing

JSONS = ("annotations", "part frames", "split", "model, configuration", "model, split", "model, left out")
JSONS += ("keypoints, COCO", "keypoints, OpenPose", "BORIS, project", "Label Studio", "HAKE", "spans", "index")
JSONS += ("sentence encoder, modules", "sentence encoder, configuration", "sentence encoder, tokenizer")
JSONS += ("sentence encoder, length", "sentence encoder, pooling", "backbone, configuration", "backbone, preprocessing")
JSONS += ("backbone, tokenizer", "backbone, padding", "backbone, shards", "backbone, words")
MANY = 3 * 2**20
PARSERS = ("model, split", "annotations", "keypoints, COCO", "BORIS, project", "spans", "backbone, tokenizer")
PARSERS += ("part frames", "backbone, words")
"""Readers of several ways to parse JSON: these get the most that is parsed at all, which takes seconds."""

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
    "a MiB of lists": (b"[" + b"[]," * (MANY // 10) + b"0]", REFUSED),
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
        "no marks of beginning and end": (put("post_processor", value=None), REFUSED, "makes nothing of a text"),
        "a template with a piece that is none": (
            put("post_processor", "single", 2, "SpecialToken", "id", value="[NONE]"),
            REFUSED,
            "a template of pieces that it does not have",
        ),
        "a piece beyond the weights": (
            put("post_processor", "special_tokens", "[SEP]", "ids", value=[99]),
            REFUSED,
            "has a word of number 99",
        ),
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


_OF_ENCODERS: dict[str, dict[str, tuple]] = {
    "sentence encoder, length": {
        "a length of a word": (put("max_seq_length", value="x"), REFUSED),
        "a length below zero": (put("max_seq_length", value=-5), REFUSED),
        "a length of nothing": (put("max_seq_length", value=0), EITHER),
        "a length of half a word": (put("max_seq_length", value=2.5), REFUSED),
        "a length of 2**62": (put("max_seq_length", value=2**62), READ),
    },
    "sentence encoder, pooling": {
        "pooling of the longest": (put("pooling_mode_max_tokens", value=True), REFUSED, "expected mean or cls"),
        "pooling by a word": (put("pooling_mode_mean_tokens", value="yes"), REFUSED, "pools by nothing"),
    },
    "backbone, configuration": {
        "a kind of model that is none": (put("model_type", value="pickle"), REFUSED, "expected clip"),
        "a size of 2**40": (put("projection_dim", value=2**40), REFUSED),
        "a size below zero": (put("vision_config", "patch_size", value=-8), REFUSED),
        "no patch": (put("vision_config", "patch_size", value=0), REFUSED),
        "a patch larger than the image": (put("vision_config", "patch_size", value=64), REFUSED),
        "an image of 2**30": (put("vision_config", "image_size", value=2**30), REFUSED),
        "an image in words": (put("vision_config", "image_size", value="large"), REFUSED),
        "a million layers": (put("text_config", "num_hidden_layers", value=10**6), REFUSED),
        "no heads": (put("text_config", "num_attention_heads", value=0), REFUSED),
        "heads that do not divide": (put("text_config", "num_attention_heads", value=5), REFUSED),
        "an act that is none": (put("text_config", "hidden_act", value="__import__('os')"), REFUSED),
        "code from elsewhere": (put("auto_map", value={"AutoModel": "evil--x.Model"}), READ),
        "an end token that no text has": (put("text_config", "eos_token_id", value=10**9), EITHER),
        "a tower that is a list": (put("text_config", value=[1]), REFUSED),
    },
    "backbone, preprocessing": {
        "a mean of words": (put("image_mean", value="abc"), REFUSED),
        "a mean of four": (put("image_mean", value=[0.5] * 4), REFUSED),
        "a mean that is none": (put("image_mean", value=[float("nan")] * 3), REFUSED),
        "a mean of null": (put("image_mean", value=None), REFUSED),
        "a deviation of zero": (put("image_std", value=[0, 0, 0]), REFUSED),
        "a deviation below zero": (put("image_std", value=[-1, 1, 1]), REFUSED),
        "a deviation without end": (put("image_std", value=[float("inf")] * 3), REFUSED),
        "a deviation that is a number": (put("image_std", value=5), REFUSED),
    },
    "backbone, tokenizer": {
        "no model": (put("model", value=None), REFUSED, "is damaged, expected a tokenizer"),
        "a word beyond the weights": (put("model", "vocab", "z</w>", value=10**6), REFUSED),
        "an end beyond the weights": (put("post_processor", "sep", 1, value=999), REFUSED, "has a word of number 999"),
    },
    "backbone, padding": {
        "a token that is none": (put("pad_token", value="[NONE]"), REFUSED, "is no token"),
        "a token that is a number": (put("pad_token", value=5), REFUSED),
        "a token that is a list": (put("pad_token", value=[1]), REFUSED),
        "code from elsewhere": (put("auto_map", value={"AutoTokenizer": ["evil--x.Tokenizer", None]}), READ),
        "another class": (put("tokenizer_class", value="os.system"), READ),
    },
    "backbone, shards": {
        "no files": (put("weight_map", value={}), REFUSED),
        "files that are numbers": (changed(lambda v: v["weight_map"].update(a=5)), REFUSED, "has no weight_map"),
        "a file above the folder": (changed(lambda v: v["weight_map"].update(a="../../x.safetensors")), REFUSED),
        "a file with a null character": (changed(lambda v: v["weight_map"].update(a="x\0.safetensors")), REFUSED),
        "a file of another kind": (changed(lambda v: v["weight_map"].update(a="config.json")), REFUSED),
        "a name of 5,000 characters": (changed(lambda v: v["weight_map"].update(a="x" * 5000)), REFUSED),
    },
    "backbone, words": {
        "numbers in words": (put("a", value="b"), REFUSED),
        "a number below zero": (put("a", value=-1), REFUSED),
        "a number beyond the weights": (put("z</w>", value=10**6), REFUSED),
        "without the end": (changed(lambda v: {key: n for key, n in v.items() if "|" not in key}), READ),
    },
}


def _twice(sound: bytes) -> bytes:
    value = json.loads(sound)
    first = next(iter(value.values()))
    return json.dumps({"a/x.jpg": first, "b/x.jpg": first}).encode()


TREE_CASES: list[Case] = [
    *(case for reader in JSONS for case in cases(reader, _OF_EVERY_JSON)),
    *(Case(reader, "ten MiB of lists", holding(b"[" + b"[]," * MANY + b"0]")) for reader in PARSERS),
    *_CONFIG,
    *(case for reader, table in (_BY_JSON | _OF_ENCODERS).items() for case in cases(reader, table)),
]
