"""Submissions and annotations in all their spellings, and what is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kgclip.errors import KgclipError
from tools import psc
from tools.psc import Human, read_annotations, read_submission

FRAME = {"humans": [{"number": 1, "box": [0, 0, 99, 99], "parts": {"head": {"box": [1, 2, 3, 4], "verb": "look_up"}}}]}
EXPECTED = Human((0.0, 0.0, 99.0, 99.0), {"head": (((1.0, 2.0, 3.0, 4.0), "look up"),)})


def write(path: Path, actions: Any, parts: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("pred_vid_result.json", actions), ("pred_part_result.json", parts)):
            if content is not None:
                archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "parts",
    [
        {"head": {"box": [1, 2, 3, 4], "verb": "look up"}},
        {"head": {"box": [[1, 2, 3, 4]], "verb": ["look_up"], "number": 1, "name": "head", "score": 0.4}},
        [{"name": "head", "box": [1, 2, 3, 4], "verb": "look_up", "obj_class": "none"}],
    ],
)
def test_spellings_of_parts(parts: Any, tmp_path: Path):
    frame = {"humans": [{"box": [0, 0, 99, 99], "parts": parts}]}
    read = read_submission(write(tmp_path / "s.zip", {"a": "push_up"}, {"a": {"img_00006.json": frame}}))
    assert read.actions == {"a": "push up"}
    assert read.frames == {"a": {6: [EXPECTED]}}


def test_proposals_are_pairs(tmp_path: Path):
    parts = {
        "left_arm": {"box": [[1, 2, 3, 4], [5, 6, 7, 8]], "verb": ["bend", "raise"]},
        "head": {"box": [], "verb": []},
    }
    frame = {"humans": [{"box": [0, 0, 99, 99], "parts": parts}]}
    (human,) = read_submission(write(tmp_path / "s.zip", {}, {"a": {"img_00001.json": frame}})).frames["a"][1]
    expected = (((1.0, 2.0, 3.0, 4.0), "bend"), ((5.0, 6.0, 7.0, 8.0), "raise"))
    assert human.parts == {"left arm": expected, "head": ()}


@pytest.mark.parametrize("empty", [{"humans": []}, {"humans": None}, {}])
def test_frames_without_humans(empty: Any, tmp_path: Path):
    assert read_submission(write(tmp_path / "s.zip", {}, {"a": {"img_00001.json": empty}})).frames == {"a": {1: []}}


def human(**changes: Any) -> dict[str, Any]:
    return {"humans": [{"box": [0, 0, 9, 9], "parts": {}} | changes]}


PROPOSALS = {"box": [[1, 2, 3, 4]] * 6, "verb": ["bend"] * 6}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([], "no list of humans"),
        ({"humans": [3]}, "no list of humans"),
        (human(box=None), "None is no box"),
        (human(box=[1, 2, 3]), "is no box"),
        (human(box=[[0, 0, 9, 9], [0, 0, 9, 9]]), "a human has 2 boxes"),
        (human(parts=3), "parts that are no object"),
        (human(parts={"head": 3}), "no verb in words"),
        (human(parts=[{"box": [1, 2, 3, 4], "verb": "bend"}]), "no name"),
        (human(parts={"head": {"box": [1, 2, 3, 4]}}), "no verb in words"),
        (human(parts={"head": {"verb": "bend"}}), "None is no box"),
        (human(parts={"head": {"verb": ["bend"], "box": [[1, 2, 3, 4]] * 2}}), "2 boxes and 1 verbs"),
        ({"humans": human()["humans"] * 11}, "has 11 humans"),
        (human(parts={"head": PROPOSALS}), "up to 6 proposals"),
    ],
)
def test_broken_frames_are_refused_and_named(frame: Any, message: str, tmp_path: Path):
    with pytest.raises(KgclipError, match=message) as caught:
        read_submission(write(tmp_path / "s.zip", {}, {"a": {"img_00001.json": frame}}))
    assert "img_00001.json" in str(caught.value)


@pytest.mark.parametrize(
    ("actions", "parts", "message"),
    [
        (None, {}, "holds 0 files pred_vid_result.json"),
        ({}, None, "holds 0 files pred_part_result.json"),
        ("{", {}, "pred_vid_result.json: malformed JSON"),
        ([], {}, "pred_vid_result.json is no JSON object"),
        ({"a": 3}, {}, "gives 'a' no action in words"),
        ({}, {"a": []}, "is no frame"),
        ({}, {"a": {"one": FRAME}}, "'one' is no frame"),
    ],
)
def test_broken_submissions_are_refused(actions: Any, parts: Any, message: str, tmp_path: Path):
    with pytest.raises(KgclipError, match=message):
        read_submission(write(tmp_path / "s.zip", actions, parts))


def test_files_that_are_no_zip_are_refused(tmp_path: Path):
    (tmp_path / "s.zip").write_bytes(b"PK what")
    with pytest.raises(KgclipError, match="cannot be read as a zip file"):
        read_submission(tmp_path / "s.zip")
    content = bytearray(write(tmp_path / "t.zip", {"a": "push_up"}, {}).read_bytes())
    content[content.index(b"push_up")] ^= 1
    (tmp_path / "t.zip").write_bytes(content)
    with pytest.raises(KgclipError, match="cannot be read as a zip file"):
        read_submission(tmp_path / "t.zip")


def test_a_file_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    submission = write(tmp_path / "s.zip", {"a": "push_up"}, " " * 5000 + "{}")
    assert read_submission(submission).frames == {}
    monkeypatch.setattr(psc, "MAX_BYTES", 4999)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("was unpacked"))
    with pytest.raises(KgclipError, match=r"json has 0\.0 GiB unpacked, expected at most 0"):
        psc._member(zipfile.ZipFile(submission), psc.PART_FILE, submission)


def annotate(folder: Path, name: str = "img_00001.json", content: Any = FRAME) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_labels_come_from_class_folders_or_a_file(tmp_path: Path):
    annotate(tmp_path / "classes" / "push_up" / "a" / "a")
    read = read_annotations(tmp_path / "classes")
    assert (read.actions, read.frames) == ({"a": "push up"}, {"a": {1: [EXPECTED]}})
    annotate(tmp_path / "flat" / "a")
    with pytest.raises(KgclipError, match="lies in no class folder"):
        read_annotations(tmp_path / "flat")
    (tmp_path / "labels.csv").write_text("video,label\nvideos/a.mp4,push_up\n")
    assert read_annotations(tmp_path / "flat", tmp_path / "labels.csv").actions == {"a": "push up"}
    (tmp_path / "labels.csv").write_text("video,label\nb,push_up\n")
    with pytest.raises(KgclipError, match="has no row for it"):
        read_annotations(tmp_path / "flat", tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("id,name\na,push_up\n")
    with pytest.raises(KgclipError, match="has the columns id, name"):
        read_annotations(tmp_path / "flat", tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("img_00001.json", "{", "malformed JSON"),
        ("frame.json", FRAME, "is no img_<number>.json"),
        ("img_1.json", FRAME, "second file for one frame"),
        ("img_00006.json", {"humans": 3}, "no list of humans"),
    ],
)
def test_broken_annotations_are_refused_and_named(name: str, content: Any, message: str, tmp_path: Path):
    annotate(tmp_path / "push_up" / "a")
    annotate(tmp_path / "push_up" / "a", name, content)
    with pytest.raises(KgclipError, match=message):
        read_annotations(tmp_path)


def test_folders_that_are_no_annotations_are_refused(tmp_path: Path):
    with pytest.raises(KgclipError, match="is no folder of annotations"):
        read_annotations(tmp_path / "none")
    with pytest.raises(KgclipError, match="holds no frame annotation"):
        read_annotations(tmp_path)
    annotate(tmp_path / "set" / "train_annotations" / "push_up" / "a")
    with pytest.raises(KgclipError, match="is a whole data set"):
        read_annotations(tmp_path / "set")
    annotate(tmp_path / "push_up" / "a")
    annotate(tmp_path / "lunge" / "a")
    with pytest.raises(KgclipError, match="a second folder of annotations for 'a'"):
        read_annotations(tmp_path)
