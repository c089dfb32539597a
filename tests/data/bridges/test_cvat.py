"""CVAT for video: tracks of body parts, whose boxes move and whose states stay between key frames."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.data.annotations import read_observations
from kgclip.data.bridges.cvat import read_cvat, write_cvat
from kgclip.data.bridges.part_frames import PartState, read_clips, write_clips
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from tests.data.bridges.examples import XML


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    (tmp_path / "annotations.xml").write_text(XML)
    return tmp_path / "annotations.xml"


def test_tracks_become_states_of_every_frame(xml):
    task = read_cvat(xml)
    ball, box = "little ball", (10.0, 20.0, 30.0, 40.0)
    assert task.clip == "gym.v2"
    assert task.frames == {
        1: [PartState(2, "left hand", "hold", ball, box)],
        2: [PartState(2, "left hand", "hold", ball, (12.0, 20.0, 32.0, 40.0))],
        3: [PartState(2, "left hand", "wave", None, (14.0, 20.0, 34.0, 40.0))],
        4: [PartState(2, "left hand", "wave", None, (14.0, 20.0, 34.0, 40.0))],
        5: [PartState(1, "hip", "bend", None, (0.0, 0.0, 9.0, 9.0))],
        6: [PartState(1, "hip", "bend", None, (0.0, 0.0, 9.0, 9.0))],
    }
    assert task.notes == [f"{xml}: 1 track of other labels left out: car"]


def test_a_task_of_every_third_frame(xml):
    text = xml.read_text().replace("<frame_filter></frame_filter>", "<frame_filter>step=3</frame_filter>")
    xml.write_text(text)
    frames = read_cvat(xml).frames
    assert {number: [state.state for state in states] for number, states in frames.items()} == {
        1: ["hold"],
        4: ["wave"],
    }


def test_what_is_imported_is_read_as_part_annotations(xml, tmp_path):
    write_clips(tmp_path / "parts", {"gym.v2": read_cvat(xml).frames})
    (tmp_path / "clips/lift").mkdir(parents=True)
    (tmp_path / "clips/lift/gym.v2.mp4").write_text("")
    parts = read_observations(open_dataset(tmp_path / "clips", tmp_path / "parts"), progress=False).parts
    found = parts.select("frame", "part", "state", "object").rows()
    assert found[0] == (1, "left hand", "hold", "little ball")
    assert found[2] == (3, "left hand", "wave", None)
    assert len(found) == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<task>", "<project>", "is no whole XML"),
        (
            "<meta>",
            "<image id='0'/><meta>",
            r"annotations\.xml: is not of one video task; expected CVAT for video 1\.1",
        ),
        (
            '<attribute name="verb">bend</attribute>',
            "",
            r"track 1 \(hip\), frame 4: has no state; give the label an attrib",
        ),
        (
            'name="person">2',
            'name="person">Anna',
            r"track 0 \(left_hand\), frame 0: has 'Anna' for a person; expected a n",
        ),
        ('xbr="34.00"', 'xbr="wide"', r"track 0 \(left_hand\): has a box that CVAT would not write"),
        ('<box frame="4" keyframe="1" outside="1"', '<box keyframe="1" outside="1"', "a box that CVAT would not write"),
        ("<stop_frame>5", "<stop_frame>-5", "has frames 0 to -5 in steps of 1; export the task again"),
        ("<stop_frame>5", "<stop_frame>five", "has frame numbers that are none"),
        ("<annotations>", "<!DOCTYPE a><annotations>", "has a document type"),
        ("annotations>", "annotation>", r"has the root <annotation>; expected CVAT for video"),
    ],
)
def test_files_that_cannot_be_read(xml, old, new, message):
    xml.write_text(xml.read_text().replace(old, new))
    with pytest.raises(KgclipError, match=message):
        read_cvat(xml)


def test_other_shapes_and_other_labels(xml):
    xml.write_text(XML.replace("left_hand", "paw").replace('label="hip"', 'label="tail"'))
    with pytest.raises(
        KgclipError, match="has no track of a body part, its labels are car, paw, tail; label tracks with"
    ):
        read_cvat(xml)
    xml.write_text(XML.replace("<box ", "<polygon ").replace("</box>", "</polygon>"))
    with pytest.raises(KgclipError, match=r"track 0 \(left_hand\): has a <polygon>; expected boxes"):
        read_cvat(xml)


states = st.builds(
    PartState,
    st.integers(1, 3),
    st.sampled_from(PARTS),
    st.sampled_from(["hold", "step on", "none"]),
    st.sampled_from([None, "little ball"]),
    st.tuples(*[st.integers(0, 9999).map(lambda n: n / 100)] * 4),
)


@settings(max_examples=40)
@given(st.lists(st.lists(states, max_size=4), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 20))
def test_round_trip(tmp_path_factory, frames, step, first):
    folder = tmp_path_factory.mktemp("cvat")
    numbered = {first + step * row: sorted(each, key=lambda s: s.part) for row, each in enumerate(frames)}
    if not any(numbered.values()):
        return
    assert write_cvat(folder / "a.xml", "golf/a b", numbered) == 0
    task = read_cvat(folder / "a.xml")
    assert task.clip == "a b"
    key = lambda state: (state.person, state.part, state.state, state.object or "", state.box)  # noqa: E731
    assert {n: sorted(s, key=key) for n, s in task.frames.items()} == {
        n: sorted(s, key=key) for n, s in numbered.items()
    }


@settings(max_examples=40)
@given(st.lists(st.lists(states, max_size=4), min_size=1, max_size=4))
def test_files_of_frames_hold_all_states(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("parts") / "out"
    numbered = dict(enumerate(frames, start=1))
    write_clips(folder, {"golf/a": numbered})
    again = read_clips(folder)["golf/a"]
    key = lambda state: (state.person, state.part, state.state, state.object or "")  # noqa: E731
    assert {n: sorted(map(key, s)) for n, s in again.items()} == {n: sorted(map(key, s)) for n, s in numbered.items()}


def test_states_without_a_box_are_counted(tmp_path):
    frames = {1: [PartState(1, "hip", "bend"), PartState(1, "left arm", "swing", None, (0.0, 0.0, 1.0, 1.0))]}
    assert write_cvat(tmp_path / "a.xml", "a", frames) == 1
    assert [state.part for state in read_cvat(tmp_path / "a.xml").frames[1]] == ["left arm"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"img_00001\.json: is no frame annotation"),
        ('{"humans": [{"parts": {"hip": {}}}]}', "is no frame annotation"),
        (
            '{"humans": [{"parts": {"hip": {"verb": ["a", "b"], "obj_class": ["x", "y", "z"]}}}]}',
            "is no frame annotation",
        ),
    ],
)
def test_frames_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/img_00001.json").write_text(content)
    with pytest.raises(KgclipError, match=message):
        read_clips(tmp_path)


def test_frames_of_nobody_and_people_without_a_number(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/img_00001.json").write_text("{}")
    people = [{"number": None, "parts": {"hip": {"verb": "bend"}}}, {"parts": {"head": {"verb": "nod"}}}]
    (tmp_path / "a/img_00002.json").write_text(json.dumps({"humans": people}))
    (frames,) = read_clips(tmp_path).values()
    assert frames == {1: [], 2: [PartState(1, "hip", "bend"), PartState(2, "head", "nod")]}
    for number, human in enumerate(people):
        human["number"] = number
    (tmp_path / "a/img_00002.json").write_text(json.dumps({"humans": people}))
    (frames,) = read_clips(tmp_path).values()
    assert [state.person for state in frames[2]] == [0, 1]


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(KgclipError, match=r"holds no frame annotation; expected <clip>/img_00001\.json"):
        read_clips(tmp_path)
