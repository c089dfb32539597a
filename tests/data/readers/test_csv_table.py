from pathlib import Path

import pytest

from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.video.cut import Cut


def test_csv(tmp_path, videos):
    videos(tmp_path, ["v/a.mp4"])
    table = tmp_path / "clips.csv"
    table.write_text(
        "\ufeffvideo,label,split,source\n"
        "v/a.mp4, push_up ,train,film\n"
        'v/abcdefghi-k_000001_000011.mp4,"clean, jerk",TEST,\n'
        "\n/elsewhere/c.mov,,,\n",
        encoding="utf-8",
    )
    dataset = open_dataset(table)
    assert [(clip.id, clip.action, clip.part, clip.source) for clip in dataset.clips] == [
        ("/elsewhere/c", None, None, "/elsewhere/c"),
        ("v/a", "push up", "train", "film"),
        ("v/abcdefghi-k_000001_000011", "clean, jerk", "test", "abcdefghi-k"),
    ]
    assert dataset.root == tmp_path
    assert dataset.by_id["v/a"].path == tmp_path / "v/a.mp4"
    assert dataset.by_id["/elsewhere/c"].path == Path("/elsewhere/c.mov")
    assert dataset.actions == ["clean, jerk", "push up"]


def test_csv_needs_two_columns_only(tmp_path):
    (tmp_path / "clips.csv").write_text("label,video\nlunge,a.mp4\n")
    (clip,) = open_dataset(tmp_path / "clips.csv").clips
    assert (clip.action, clip.part, clip.source) == ("lunge", None, "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"clips\.csv: is empty; expected a header"),
        ("video,label\n", "holds no clip"),
        ("file,label\na.mp4,x\n", "has no column video, got file,label"),
        ("file,class\na.mp4,x\n", "has no column video and label"),
        ("video,label\na.mp4,x\nb.mp4\n", "row 3 has 1 cells, expected 2 as in the header"),
        ("video,label\n,x\n", "row 2 names no video"),
        ("video,label,split\na.mp4,x,dev\n", "row 2 has split 'dev'; expected train, val, test or nothing"),
        (
            "video,label\nb/a.mp4,x\nb/a.mov,x\n",
            r"b/a\.mov: has the same name as .*known as 'b/a'.*rename one",
        ),
        (b"\xff\xfev\x00", "not UTF-8 text"),
    ],
)
def test_bad_csv(tmp_path, content, message):
    path = tmp_path / "clips.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KgclipError, match=message):
        open_dataset(path)


def test_semicolons_and_tabs_separate_cells_too(tmp_path):
    (tmp_path / "excel.csv").write_text("video;label;split\na.mp4;clean, jerk;validation\n")
    (tmp_path / "clips.tsv").write_text("video\tlabel\na.mp4\tlunge\n")
    (clip,) = open_dataset(tmp_path / "excel.csv").clips
    assert (clip.action, clip.part) == ("clean, jerk", "val")
    assert open_dataset(tmp_path / "clips.tsv").actions == ["lunge"]


def test_equal_file_names_in_two_folders(tmp_path):
    (tmp_path / "clips.csv").write_text("video,label\ngolf/01.mp4,golf\nswim/01.mp4,swim\n")
    assert {clip.id: clip.action for clip in open_dataset(tmp_path / "clips.csv").clips} == {
        "golf/01": "golf",
        "swim/01": "swim",
    }


def test_the_same_file_listed_twice(tmp_path):
    (tmp_path / "clips.csv").write_text("video,label\na.mp4,x\nb.mp4,x\n./a.mp4,x\n")
    with pytest.raises(KgclipError, match=r"clips\.csv: lists 1 file more than once: .*a\.mp4; keep one line"):
        open_dataset(tmp_path / "clips.csv")


def test_windows_separators(tmp_path, videos):
    videos(tmp_path, ["golf/a.mp4"])
    (tmp_path / "clips.csv").write_text("video,label\ngolf\\a.mp4,golf\n")
    (clip,) = open_dataset(tmp_path / "clips.csv").clips
    assert (clip.id, clip.path) == ("golf/a", tmp_path / "golf/a.mp4")


def test_file_name_in_another_unicode_form_and_extension(tmp_path, videos):
    videos(tmp_path, ["cafe\u0301.mp4", "b.mp4"])
    (tmp_path / "clips.csv").write_text("video,label\ncaf\u00e9.mp4,x\nb.avi,x\n", encoding="utf-8")
    dataset = open_dataset(tmp_path / "clips.csv")
    assert dataset.by_id["caf\u00e9"].path == tmp_path / "cafe\u0301.mp4"
    assert dataset.by_id["b"].path == tmp_path / "b.mp4"


def test_labels_that_are_numbers(tmp_path):
    (tmp_path / "clips.csv").write_text("video,label\na.mp4,0\nb.mp4,1\nc.mp4,\n")
    (tmp_path / "labels.csv").write_text('id,name\n0,golf\n1,"clean, jerk"\n')
    assert [clip.action for clip in open_dataset(tmp_path / "clips.csv").clips] == ["golf", "clean, jerk", None]


def test_intervals(tmp_path, videos):
    videos(tmp_path, ["v/film.mp4", "v/other.mp4"])
    table = tmp_path / "clips.csv"
    table.write_text(
        "video,label,start,end,split\n"
        "v/film.mp4,wave,1.5,3,\n"
        "v/film.mp4,clap,00:03,0:01:04.25,\n"
        "v/film.mp4,,64.25,70,test\n"
        "v/other.mp4,wave,,,\n"
    )
    dataset = open_dataset(table)
    film = tmp_path / "v/film.mp4"
    assert [(clip.id, clip.path, clip.action, clip.source, clip.part) for clip in dataset.clips] == [
        ("v/film@1.500-3.000", Cut(film, 1.5, 3.0), "wave", "v/film", None),
        ("v/film@3.000-64.250", Cut(film, 3.0, 64.25), "clap", "v/film", None),
        ("v/film@64.250-70.000", Cut(film, 64.25, 70.0), None, "v/film", "test"),
        ("v/other", tmp_path / "v/other.mp4", "wave", "v/other", None),
    ]
    assert dataset.findings == ()


def test_the_intervals_of_a_recording_have_its_source(tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("video,label,start,end\nv_Golf_g01_c02.avi,golf,0,1\nv_Golf_g01_c02.avi,golf,1,2\n")
    assert {clip.source for clip in open_dataset(table).clips} == {"v_Golf_g01"}
    (tmp_path / "train_labels.csv").write_text("video,source\nv_Golf_g01_c02,course\n")
    assert {clip.source for clip in open_dataset(table).clips} == {"course"}
    assert {clip.source for clip in open_dataset(table, source_pattern="_(g01)_").clips} == {"g01"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video,label,start\na.mp4,x,1\n", "has only one of the columns start and end, got video,label,start"),
        ("video,label,start,end\na.mp4,x,1,\n", "row 2 has start '1' and end ''; expected seconds, such as 12.5"),
        ("video,label,start,end\na.mp4,x,one,2\n", "row 2 has start 'one' and end '2'"),
        ("video,label,start,end\na.mp4,x,-1,2\n", "row 2 has start '-1'"),
        ("video,label,start,end\na.mp4,x,3,2\n", r"row 2: .*a\.mp4: from 3 to 2 s is no interval"),
        ("video,label,start,end\na.mp4,x,1,2\na.mp4,y,1,2\n", r"lists 1 file more than once: .*a\.mp4#t=1,2; keep"),
        (
            "video,label,start,end,source\na.mp4,x,1,2,s\na.mp4,x,2,3,t\n",
            r"a\.mp4: its intervals have the sources 's' and 't'; give all intervals of one recording the same source",
        ),
    ],
)
def test_bad_intervals(tmp_path, content, message):
    path = tmp_path / "clips.csv"
    path.write_text(content)
    with pytest.raises(KgclipError, match=message):
        open_dataset(path)
