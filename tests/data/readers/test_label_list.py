import pytest

from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError


def rows(path):
    return [(clip.id, clip.action, clip.part, clip.source) for clip in open_dataset(path).clips]


def test_ucf101(tmp_path, videos):
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    videos(
        tmp_path / "UCF-101",
        [f"ApplyEyeMakeup/v_ApplyEyeMakeup_g{group}_c01.avi" for group in ("01", "08", "09")]
        + ["BabyCrawling/v_BabyCrawling_g08_c02.avi"],
    )
    (lists / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n2 BabyCrawling\r\n")
    (lists / "trainlist01.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nApplyEyeMakeup/v_ApplyEyeMakeup_g09_c01.avi 1\r\n"
        "BabyCrawling/v_BabyCrawling_g08_c02.avi 2\r\n"
    )
    (lists / "testlist01.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\n")
    (lists / "testlist02.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi\r\n")
    expected = [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01", "ApplyEyeMakeup", "test", "v_ApplyEyeMakeup_g01"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", "ApplyEyeMakeup", "train", "v_ApplyEyeMakeup_g08"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g09_c01", "ApplyEyeMakeup", "train", "v_ApplyEyeMakeup_g09"),
        ("BabyCrawling/v_BabyCrawling_g08_c02", "BabyCrawling", "train", "v_BabyCrawling_g08"),
    ]
    assert rows(lists / "trainlist01.txt") == expected
    assert rows(lists / "testlist01.txt") == expected
    dataset = open_dataset(lists / "trainlist01.txt")
    assert all(clip.path.is_file() for clip in dataset.clips)
    assert dataset.findings == ()


def test_lists_with_numbers_beside_their_videos(tmp_path, videos):
    videos(tmp_path, ["videos/a b.mp4", "videos/c.webm"])
    (tmp_path / "train_list.txt").write_text("videos/a b.mp4 0\nvideos/c.webm 1\n\n")
    (tmp_path / "val_list.txt").write_text("videos/gone.mp4 1\n")
    (tmp_path / "classes.txt").write_text("push_up\n3 point shot\n")
    assert rows(tmp_path / "train_list.txt") == [
        ("videos/a b", "push up", "train", "videos/a b"),
        ("videos/c", "3 point shot", "train", "videos/c"),
        ("videos/gone", "3 point shot", "val", "videos/gone"),
    ]


@pytest.mark.parametrize("header", ["", "label,id\n", "name,number\n", "action,class_id\n"])
def test_names_may_come_before_their_numbers(header, tmp_path):
    (tmp_path / "train_list.txt").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "labels.csv").write_text(f"{header}push up,1\nlunge,0\n")
    assert [row[1] for row in rows(tmp_path / "train_list.txt")] == ["lunge", "push up"]


@pytest.mark.parametrize("separator", [" ", "\t", ",", "; ", " \t"])
def test_separators(tmp_path, videos, separator):
    videos(tmp_path, ["golf/a.mp4"])
    (tmp_path / "clips.txt").write_text(f"golf\\a.mp4{separator}push up\n")
    (clip,) = open_dataset(tmp_path / "clips.txt").clips
    assert (clip.id, clip.action, clip.part) == ("golf/a", "push up", None)
    assert clip.path.is_file()


def test_a_word_that_only_begins_like_a_part(tmp_path):
    (tmp_path / "values.txt").write_text("a.mp4 golf\n")
    (tmp_path / "training_set.txt").write_text("b.mp4 golf\n")
    assert rows(tmp_path / "values.txt") == [("a", "golf", None, "a")]
    assert rows(tmp_path / "training_set.txt") == [("b", "golf", "train", "b")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"c.txt": "a.mp4 3\n"},
            r"c\.txt: its labels are numbers, such as 3, and no file names them; put classInd\.txt",
        ),
        (
            {"c.txt": "a.mp4 3\n", "classInd.txt": "1,golf\n2,swim\n"},
            r"classInd\.txt: has no name for label 3 of .*c\.txt; add the line '3,<name>'",
        ),
        ({"c.txt": "a.mp4 golf\nrawframes/b 12 3\n"}, r"c\.txt: line 2 names no video, got 'rawframes/b 12 3'"),
        ({"c.txt": "a.mp4 3 7\n"}, r"c\.txt: line 1 has several labels, 3 7; keep one a clip"),
        ({"c.txt": b"\xff\xfea\x00"}, r"c\.txt: not UTF-8 text \(byte 0\); save it as UTF-8"),
        ({"c.txt": "\n"}, r"c\.txt: holds no clip"),
    ],
)
def test_broken_lists(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KgclipError, match=message):
        open_dataset(tmp_path / "c.txt")


def test_a_number_too_long_to_be_a_label_is_a_name(tmp_path):
    (tmp_path / "c.txt").write_text(f"a.mp4 {'9' * 5000}\n")
    assert open_dataset(tmp_path / "c.txt").actions == ["9" * 5000]
