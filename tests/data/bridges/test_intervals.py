"""Intervals from whatever tool become one list that is a data set."""

import pytest

from kgclip.data.bridges.intervals import Interval, file_name, interval, locate, read_intervals, write_list
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.video.cut import Cut


@pytest.mark.parametrize(
    "video",
    [
        "film 1.mp4",
        "/home/me/film 1.mp4",
        r"C:\Users\me\film 1.mp4",
        "file:///C:/Users/me/film%201.mp4",
        "https://host.example/films/film%201.mp4?token=1#t=2",
        "/data/local-files/?d=films/film 1.mp4",
        "./films/film 1.mp4",
    ],
)
def test_the_name_of_a_film(video):
    assert file_name(video) == "film 1.mp4"


def test_where_a_film_lies(tmp_path):
    for name in ("base/films/a.mp4", "base/b.mp4", "videos/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    base = tmp_path / "base"
    assert locate("films/a.mp4", base, None) == base / "films/a.mp4"
    assert locate((base / "films/a.mp4").as_uri(), tmp_path, None) == base / "films/a.mp4"
    assert locate(r"D:\old\b.mp4", base, None) == base / "b.mp4"
    assert locate("/data/upload/3/0a1b2c3d-b.mp4", base, None) == base / "b.mp4"
    assert locate("c.avi", base, tmp_path / "videos") == tmp_path / "videos/c.mp4"
    assert locate("c.mp4", base, None) is None


def test_a_list_is_a_data_set(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films/a.mp4").write_text("")
    intervals = [Interval("a.mp4", 1.0, 2.5, "wave"), Interval("gone, too.mp4", 0.0, 1.0, "")]
    notes = write_list([(tmp_path / "x.eaf", each) for each in intervals], tmp_path / "l.csv", tmp_path / "films")
    assert notes == [
        f"{tmp_path}/l.csv: 2 intervals of 2 films",
        f"1 film not found where named, in {tmp_path}/films: gone, too.mp4; give --videos, or put the list beside them",
    ]
    assert (tmp_path / "l.csv").read_text() == ('video,label,start,end\nfilms/a.mp4,wave,1,2.5\n"gone, too.mp4",,0,1\n')
    first, second = open_dataset(tmp_path / "l.csv").clips
    assert (first.path, first.action) == (Cut(tmp_path / "films/a.mp4", 1.0, 2.5), "wave")
    assert second.action is None
    again = read_intervals(tmp_path / "l.csv", None)
    assert [(each.start_s, each.end_s, each.label) for each in again] == [(1.0, 2.5, "wave"), (0.0, 1.0, "")]


@pytest.mark.parametrize(
    ("rows", "out", "message"),
    [
        ([], "l.csv", r"l\.csv: would be empty, as no interval was found; check what was exported"),
        (
            [("a", 0.0, 1.0, "x"), ("a", 0.0, 1.0, "y")],
            "l.csv",
            "a has the labels 'x' and 'y' from 0 to 1 s; a clip shows",
        ),
        ([("a", 0.0, 1.0, "x")], "l.txt", r"--out .*l\.txt: becomes a list of intervals; give it a name that ends in"),
    ],
)
def test_lists_that_cannot_be(tmp_path, rows, out, message):
    with pytest.raises(KgclipError, match=message):
        write_list([(tmp_path / "f", Interval(*row)) for row in rows], tmp_path / out, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.0, 1.0004, "row 3 lies from 1 to 1 s; expected an end after the start"),
        (-1.0, 1.0, "row 3 lies from -1.0 to 1.0 s; expected seconds from 0"),
        (float("nan"), 1.0, "expected seconds from 0"),
    ],
)
def test_times_that_cannot_be(start, end, message):
    with pytest.raises(KgclipError, match=message):
        interval("row 3", "a", start, end, "x")


def test_spans_of_watch(tmp_path):
    file = tmp_path / "spans.jsonl"
    file.write_text(
        '{"start_s": 0.5, "end_s": 2.0, "action": "push up", "probability": 0.9, "movements": []}\n\n'
        '{"start_s": 3.0, "end_s": 4.25, "action": "lunge", "probability": 0.8}\n'
    )
    film = tmp_path / "film.mp4"
    assert read_intervals(file, film) == [
        Interval(str(film), 0.5, 2.0, "push up"),
        Interval(str(film), 3.0, 4.25, "lunge"),
    ]
    with pytest.raises(KgclipError, match=r"spans\.jsonl: does not name its film; give the film .* with --video"):
        read_intervals(file, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", '{"start_s": 1}\n', r"s\.jsonl: line 1 is no span; expected start_s, end_s and action"),
        ("s.jsonl", "\n[]\n", "line 2 is no span"),
        ("s.jsonl", "\n", "holds no interval; nothing to export"),
        ("s.txt", "", "is neither a list"),
        ("s.csv", "video,label,start,end\na.mp4,x,1,2\n", "--video .*: .* names its films itself"),
    ],
)
def test_spans_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(KgclipError, match=message):
        read_intervals(tmp_path / name, tmp_path / "film.mp4")


def test_whole_films_have_no_interval(tmp_path):
    (tmp_path / "l.csv").write_text("video,label,start,end\na.mp4,x,,\n")
    with pytest.raises(KgclipError, match="row 2 has no start and end; fill them in, or leave whole films out"):
        read_intervals(tmp_path / "l.csv", None)
