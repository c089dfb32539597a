import pytest

from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError

NAMES = [f"April_09_brush_hair_u_nm_np1_ba_goo_{number}.avi" for number in range(3)]


@pytest.fixture
def hmdb(tmp_path, videos):
    """Two classes with two splits, the videos in a folder beside the lists."""
    videos(tmp_path / "hmdb51_org", [f"brush_hair/{name}" for name in NAMES])
    videos(tmp_path / "hmdb51_org", ["golf/Mike_Weir_golf_f_cm_np1_le_med_0.avi"])
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    for split, codes in ((1, "102"), (2, "211")):
        lines = [f"{name} {code} \n" for name, code in zip(NAMES, codes, strict=True)]
        (lists / f"brush_hair_test_split{split}.txt").write_text("".join(lines))
        (lists / f"golf_test_split{split}.txt").write_text("Mike_Weir_golf_f_cm_np1_le_med_0.avi 1\n")
    return lists


def test_one_split_over_all_classes(hmdb):
    dataset = open_dataset(hmdb / "golf_test_split1.txt")
    assert [(clip.id, clip.action, clip.part, clip.source) for clip in dataset.clips] == [
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0", "brush hair", "train", "April_09"),
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_2", "brush hair", "test", "April_09"),
        ("golf/Mike_Weir_golf_f_cm_np1_le_med_0", "golf", "train", "Mike_Weir"),
    ]
    assert all(clip.path.is_file() for clip in dataset.clips)
    parts = {clip.id[-1]: clip.part for clip in open_dataset(hmdb / "golf_test_split2.txt").clips if "brush" in clip.id}
    assert parts == {"0": "test", "1": "train", "2": "train"}


def test_a_folder_with_one_split(hmdb):
    for file in hmdb.glob("*_test_split2.txt"):
        file.unlink()
    assert open_dataset(hmdb).clips == open_dataset(hmdb / "golf_test_split1.txt").clips


def test_a_folder_with_several_splits(hmdb):
    with pytest.raises(KgclipError, match=r"holds the splits 1, 2; give one of its files to choose, e\.g\. .*_split1"):
        open_dataset(hmdb)


@pytest.mark.parametrize("line", ["a.avi 3", "a.avi", "1"])
def test_a_broken_line(hmdb, line):
    (hmdb / "golf_test_split1.txt").write_text(f"b.avi 1\n{line}\n")
    with pytest.raises(KgclipError, match=rf"golf_test_split1\.txt: line 2 is '{line}'; expected a file and 0, 1 or 2"):
        open_dataset(hmdb / "golf_test_split1.txt")


def test_another_file_whose_name_only_looks_alike(tmp_path, videos):
    videos(tmp_path, ["golf/a.mp4", "run/a.mp4"])
    (tmp_path / "my_test_split.txt").write_text("a\n")
    assert open_dataset(tmp_path).actions == ["golf", "run"]
