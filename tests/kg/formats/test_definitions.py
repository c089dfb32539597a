import re
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import Edge


def test_definitions_are_lists_or_shares(tmp_path: Path):
    (tmp_path / "d.yaml").write_text(
        "push up: [left arm bend, right arm bend, left arm bend]\nlunge:\n  left leg bend: 0.9\n  hip stoop: 1\n"
    )
    graph = read_definitions(tmp_path / "d.yaml")
    assert graph.edges("consists_of") == [
        Edge("lunge", "consists_of", "hip stoop", 1.0),
        Edge("lunge", "consists_of", "left leg bend", float(np.float32(0.9))),
        Edge("push up", "consists_of", "left arm bend", 1.0),
        Edge("push up", "consists_of", "right arm bend", 1.0),
    ]
    assert graph.rule == {"source": "definitions", "repeated": 1}
    assert graph.entities("video") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("push up: [left arm bend", r"d\.yaml, line 2: not valid YAML"),
        ("jump: [hip bend]\njump: [head nod]", r"d\.yaml, line 2: not valid YAML \('jump' is given twice\)"),
        ("jump: {hip bend: 1, hip bend: 0.5}", r"line 1: not valid YAML \('hip bend' is given twice\)"),
        ("? [a, b]\n: [hip bend]", r"line 1: not valid YAML \(found unhashable key\)"),
        ("- left arm bend", r"d\.yaml: expected actions with lists of movements, e\.g\. 'push up: \["),
        ("", "expected actions with lists of movements"),
        ("jump: hip bend", r"action 'jump': expected a list of movements.*got 'hip bend'"),
        ("jump:", "action 'jump': expected a list of movements.*got None"),
        ("jump: []", "action 'jump': expected a list of movements"),
        ("on: [hip bend]", "action True: expected a name, got bool; put it in quotes"),
        ("jump: [[hip bend]]", r"expected a movement like 'left arm bend', got \['hip bend'\]"),
        ("jump: [arm bend]", r"action 'jump': movement 'arm bend': starts with no body part"),
        ("jump: {hip bend: 2}", r"the share of 'hip bend' is 2, expected a number in \(0, 1\]"),
        (
            "brush_hair: [hip bend]\nBrush hair: [hip bend]",
            "'brush_hair' and 'Brush hair' are one action; keep one entry",
        ),
        ("jump: {hip bend: yes}", "the share of 'hip bend' is True"),
        ("jump: {hip bend: }", "the share of 'hip bend' is None"),
    ],
)
def test_malformed_definitions_are_named(tmp_path: Path, text: str, problem: str):
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(KgclipError, match=problem):
        read_definitions(tmp_path / "d.yaml")


def test_names_are_spelled_as_the_data_spells_them(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "d.yaml").write_text(
        "Brush_Hair: [left_hand_hold, hip  bend]\ncafe\u0301: [hip bend]\npusch up: [hip bend]\nswim: [hip bend]\n",
        encoding="utf-8",
    )
    graph = read_definitions(tmp_path / "d.yaml", ["brush hair", "caf\u00e9", "push up"])
    assert graph.entities("action") == ["brush hair", "caf\u00e9", "pusch up", "swim"]
    assert graph.entities("movement") == ["hip bend", "left hand hold"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'd.yaml'}: 'pusch up' has no clip, did you mean 'push up'?"
    ]
    assert read_definitions(tmp_path / "d.yaml").entities("action") == ["Brush Hair", "caf\u00e9", "pusch up", "swim"]


def test_absent_definitions_are_named(tmp_path: Path):
    with pytest.raises(KgclipError, match=r"d\.yaml: cannot be read"):
        read_definitions(tmp_path / "d.yaml")


BOMB = "a: &a [hip bend, head nod]\n" + "".join(f"{name}: [*a, *a]\n" for name in "bcd")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, r"d\.yaml, line 2: not valid YAML \(aliases are not read; write it out\)"),
        ("a: &a {hip bend: 1}\nb: {<<: *a}", r"d\.yaml, line 2: not valid YAML \(aliases are not read"),
        ("[" * 1_000_000, r"d\.yaml, line 1: not valid YAML \(nested too deeply\)"),
        ("{" * 1_000_000, r"d\.yaml, line 1: not valid YAML \(nested too deeply\)"),
        (
            "".join(f"{i:x}:\n" for i in range(250_000)),
            r"line 100000: not valid YAML \(more than 200,000 values",
        ),
        (
            "a: {hip bend: " + "9" * 6000 + "}",
            r"d\.yaml, line 1: not valid YAML \(a value of 6,000 characters",
        ),
        ("a: {hip bend: 0x" + "f" * 900 + "}", r"the share of 'hip bend' is 5104866514\d+\.\.\.\d+, expected a number"),
        ("a: {<<: {hip bend: 1}}", r"d\.yaml, line 1: not valid YAML \(merges are not read; write it out\)"),
        ("a: !!timestamp x", r"d\.yaml, line 1: not valid YAML \(tags such as 'tag:yaml\.org.*' are not read; leave"),
        ("\u202e: [hip bend]", r"entity name '\\u202e': empty or with a control character"),
        ("a: 2026-13-45", r"d\.yaml: not valid YAML \(month must be in 1\.\.12"),
        ("# " + "x" * 2_000_001, r"d\.yaml: larger than 2,000,000 characters"),
        ('"a\\x01": [hip bend]', r"d\.yaml: entity name 'a\\x01': empty or with a control character"),
        ('"": [hip bend]', r"d\.yaml: entity name ''"),
    ],
    ids=[
        *(
            "alias",
            "alias in a merge",
            "lists",
            "mappings",
            "keys",
            "number",
            "hex",
            "merge",
            "tag",
            "direction",
            "date",
        ),
        *("large", "control", "empty"),
    ],
)
def test_yaml_that_fills_the_memory_or_names_nothing_is_one_sentence(tmp_path: Path, text: str, problem: str):
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(KgclipError, match=problem) as caught:
        read_definitions(tmp_path / "d.yaml")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("movement", "hint"),
    [
        ("left knee bent", "did you mean 'left leg bend'?"),
        ("both arms raised", "did you mean 'left arm raise' and 'right arm raise'?"),
        ("arm bend", "did you mean 'left arm bend' or 'right arm bend'?"),
        ("tail wag", "expected one of head, hip, left arm"),
    ],
)
def test_a_part_that_is_none_is_asked_about(tmp_path: Path, movement: str, hint: str):
    (tmp_path / "d.yaml").write_text(f"squat: [{movement}]")
    with pytest.raises(KgclipError, match=re.escape(f"d.yaml: action 'squat': movement {movement!r}: ")) as caught:
        read_definitions(tmp_path / "d.yaml")
    assert f"starts with no body part; {hint}" in str(caught.value)


def test_forms_of_states_are_taken_and_near_words_asked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "actions.yaml"
    file.write_text("squat: [left arm bent, left foot stepping on bench, left arm up, left hand strum, hip bend]\n")
    graph = read_definitions(file)
    taken = ["hip bend", "left arm bend", "left arm up", "left foot step on bench", "left hand strum"]
    assert graph.entities("movement") == taken
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}: action 'squat': movement 'left arm bent': taken as 'left arm bend'",
        f"{file}: action 'squat': movement 'left foot stepping on bench': taken as 'left foot step on bench'",
        f"{file}: action 'squat': movement 'left arm up': did you mean 'left arm raise'?",
    ]


def test_a_movement_in_two_forms_has_the_larger_share(tmp_path: Path):
    (tmp_path / "d.yaml").write_text("squat: {left arm bend: 0.25, left arm bent: 0.5}")
    assert read_definitions(tmp_path / "d.yaml").edges("consists_of") == [
        Edge("squat", "consists_of", "left arm bend", 0.5)
    ]


def test_words_of_the_data_are_taken_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "d.yaml").write_text("squat: [left arm bent, left hand claps, left leg up]\n")
    read_in = {"states": ["clap", "bent"], "movements": ["right leg up"]}
    graph = read_definitions(tmp_path / "d.yaml", **read_in)
    assert graph.entities("movement") == ["left arm bent", "left hand clap", "left leg up"]
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["taken as 'left hand clap'"]
