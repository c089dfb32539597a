"""HAKE's part states in the words of this project, and what none of them says."""

import json
from pathlib import Path
from typing import Any

import pytest

from kgclip.data.bridges.hake import read_hake
from kgclip.data.bridges.hake_states import PARTS, STATES_76, STATES_93
from kgclip.data.bridges.part_frames import PartState
from kgclip.errors import KgclipError
from kgclip.kg import movement
from tests.data.bridges.examples import hake_image as image


def read(folder: Path, content: Any, num_states: int | None = None):
    (folder / "hake.json").write_text(json.dumps(content))
    return read_hake(folder / "hake.json", num_states)


def test_the_lists_have_hakes_lengths_and_our_parts():
    assert [sum(map(len, states.values())) for states in (STATES_76, STATES_93)] == [76, 93]
    # Lengths that HAKE's own description of its files gives.
    assert [len(STATES_76[kind]) for kind in ("foot", "leg", "arm", "hand", "hip", "head")] == [12, 10, 5, 31, 5, 13]
    assert set(PARTS) == set(movement.PARTS)
    assert all(list(states)[-1] == "no_interaction" for lists in (STATES_76, STATES_93) for states in lists.values())


def test_images(tmp_path):
    content = {
        "HICO_train2015_00000001.jpg": image(
            *("right hand", "left hand", "hip"), hand=("hold", "touch"), hip=("sit on",), foot=("kick",)
        ),
        "HICO_train2015_00000002.jpg": image("head", count=93, head=("listen",)),
        "HICO_train2015_00000003.jpg": image("left leg", count=93, leg=("bend", "kneel")),
    }
    found = read(tmp_path, content)
    assert found.images == {
        "HICO_train2015_00000001": [
            PartState(1, "hip", "sit"),
            PartState(1, "right hand", "hold"),
            PartState(1, "left hand", "hold"),
        ],
        "HICO_train2015_00000002": [],
        "HICO_train2015_00000003": [PartState(1, "left leg", "bend")],
    }
    assert found.unmapped == {"hand: touch": 2, "head: listen": 1}


def test_people_in_images(tmp_path):
    def pair(box: list[int], *labels: tuple[int, int]) -> dict[str, Any]:
        actions = [{"human_part": part, "partstate": state} for part, state in labels]
        return {"action_labels": actions, "hoi_id": 524, "human_bbox": box, "object_bbox": [0, 0, 1, 1]}

    content = {
        "HICO_test2015_00000001.jpg": {
            "dataset": "hico-det",
            "labels": [
                pair([1, 60, 395, 399], (6, 0), (4, 4)),
                pair([1, 60, 395, 399], (6, 0)),
                pair([5, 5, 9, 9], (0, 7), (5, 12)),
            ],
            "path_prefix": "hico_20160224_det/images/test2015",
        }
    }
    found = read(tmp_path, content, 76)
    assert found.images["HICO_test2015_00000001"] == [
        PartState(1, "right hand", "hold"),
        PartState(1, "hip", "none"),
        PartState(2, "right foot", "kick"),
        PartState(2, "head", "none"),
    ]
    # Another list of states has other states at these positions.
    assert read(tmp_path, content, 93).images["HICO_test2015_00000001"][1] == PartState(1, "hip", "bend")
    with pytest.raises(KgclipError, match=r"00000001\.jpg: does not tell its list of states; give --states 76 or"):
        read(tmp_path, content)


def one(**changes: Any) -> dict[str, Any]:
    label = {"human_bbox": [0, 0, 1, 1], "action_labels": [{"human_part": 0, "partstate": 0} | changes]}
    return {"a.jpg": {"labels": [label]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"hake\.json: is no object of images; expected part states of HAKE"),
        ({"a.jpg": []}, "is no object of images"),
        ({"a.jpg": {"hand_list": [1]}}, r"a\.jpg: lacks a list of flags \(KeyError\('parts_list'\)\)"),
        ({"a.jpg": image("hip") | {"hip_list": [1]}}, r"a\.jpg: has 72 states of 10 parts; expected 76 or 93 of 10"),
        (
            {"a.jpg": image("hip"), "b/a.png": image("hip")},
            r"b/a\.png: is the second image called a; rename one of the",
        ),
        (
            one(partstate=12),
            r"a\.jpg: has state 12 of part 0, which a list of 76 states lacks; give the other --states",
        ),
        (one(human_part=10), "has state 0 of part 10"),
        (one(partstate=None), "has a label that HAKE would not write"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, message):
    with pytest.raises(KgclipError, match=message):
        read(tmp_path, content, 76)
