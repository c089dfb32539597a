"""BORIS: projects, tabular events and aggregated events."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.data.bridges.boris import read_boris, write_boris
from kgclip.data.bridges.intervals import Interval
from kgclip.errors import KgclipError
from kgclip.video.encode import write_video
from tests.data.bridges.examples import AGGREGATED, OLDER, PROJECT, TABULAR


def written(folder: Path, name: str, content: Any) -> Path:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / name


def test_tables(tmp_path):
    events = read_boris(written(tmp_path, "a.csv", AGGREGATED))
    assert events.intervals == [Interval("films/gym.mp4", 1.2, 3.45, "push up")]
    assert events.notes() == ["1 point event left out, which last no time"]
    events = read_boris(written(tmp_path, "b.tsv", OLDER))
    assert events.intervals == [Interval("T:/Videos/6008.mp4", 689.0, 750.421, "lunge")]
    events = read_boris(written(tmp_path, "c.csv", TABULAR))
    assert events.intervals == [Interval("gym.mp4", 1.2, 3.45, "push up"), Interval("gym.mp4", 1.5, 4.0, "push up")]


def test_projects(tmp_path):
    events = read_boris(written(tmp_path, "gym.boris", PROJECT))
    assert events.intervals == [
        Interval("films/gym.mp4", 1.2, 4.0, "push up"),
        Interval("films/gym.mp4", 7.5, 9.5, "push up"),
    ]
    assert events.notes() == [
        "1 point event left out, which last no time",
        "1 observation without a film left out: live",
    ]


def changed(key: str, value: Any) -> dict[str, Any]:
    project = copy.deepcopy(PROJECT)
    project["observations"]["gym"][key] = value
    return project


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "video,label\na.mp4,x\n",
            r"a\.csv: has the columns video, label; expected a media file, Behavior, Start",
        ),
        ("a.csv", AGGREGATED.replace("3.450", "NA"), r"row 2 has the time 'NA'; expected seconds, export the events"),
        ("a.csv", AGGREGATED.replace("films/gym.mp4,30", "a.mp4;b.mp4,30"), "row 2 has 2 films in a row; expected one"),
        ("a.csv", AGGREGATED.replace(",0.0,60.0", ",5.0,60.0"), "row 2 has a time offset of 5.0; .* set it to 0"),
        ("a.csv", AGGREGATED.replace("3.450", "1.200"), "row 2 lies from 1.2 to 1.2 s; expected an end after"),
        ("a.csv", TABULAR.replace("START,1.5", "STOP,1.5"), "row 3: 'push up' stops without a start at 1.5 s; pair"),
        ("a.csv", TABULAR.replace("STOP,3.45", "START,3.45"), "row 5: 'push up' starts twice at 3.45 s"),
        (
            "a.boris",
            changed("events", [[1.2, "", "push up", "", ""]]),
            "observation 'gym': 'push up' starts at 1.2 s and n",
        ),
        ("a.boris", changed("file", {"1": ["a.mp4", "b.mp4"]}), "observation 'gym' has 2 films in a row"),
        ("a.boris", changed("time offset", -3), "observation 'gym' has a time offset of -3"),
        ("a.boris", changed("events", [["soon"]]), "is no project that BORIS wrote"),
        ("a.boris", {"annotations": []}, r"a\.boris: holds no observations; expected a BORIS project"),
        ("a.boris", "{", "is no whole JSON"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    with pytest.raises(KgclipError, match=message):
        read_boris(written(tmp_path, name, content))


def test_what_is_written_knows_the_film(tmp_path):
    write_video(tmp_path / "gym.mp4", np.zeros((50, 32, 32, 3), np.uint8), 25)
    video = str(tmp_path / "gym.mp4")
    write_boris(tmp_path / "gym.boris", [Interval(video, 0.0, 1.0, "lunge")])
    (observation,) = json.loads((tmp_path / "gym.boris").read_text())["observations"].values()
    assert observation["media_info"]["length"] == {video: 2.0}
    assert observation["media_info"]["fps"] == {video: 25.0}


@pytest.mark.parametrize(
    ("name", "spans", "message"),
    [
        ("a.txt", [(0.0, 1.0, "x")], r"--out .*a\.txt: expected a BORIS project"),
        ("a.boris", [(0.0, 1.0, "")], r"f\.mp4: has no label from 0 to 1 s; BORIS has no event without a behavior"),
        ("a.boris", [(0.0, 2.0, "x"), (1.0, 3.0, "x")], "'x' starts at 1 s, before the last one has ended; .* as .csv"),
    ],
)
def test_what_boris_cannot_hold(tmp_path, name, spans, message):
    with pytest.raises(KgclipError, match=message):
        write_boris(tmp_path / name, [Interval("f.mp4", *span) for span in spans])
    assert list(tmp_path.iterdir()) == []


lengths = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 5000), st.text("xyz", min_size=1)), min_size=1, max_size=9
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["a/f.mp4", "b/f.mp4", "g.avi"]), lengths, min_size=1))
def test_round_trip(tmp_path_factory, films):
    folder = tmp_path_factory.mktemp("boris")
    found = []
    for video, spans in films.items():
        at = 0
        for gap, length, label in spans:
            found.append(Interval(video, (at + gap) / 1000, (at + gap + length) / 1000, label))
            at += gap + length
    for name in ("f.boris", "f.csv", "f.tsv"):
        write_boris(folder / name, found)
        assert sorted(read_boris(folder / name).intervals) == sorted(found)
