import csv

import pytest

from kgclip.data.dataset import open_dataset
from kgclip.data.sources import source_of
from kgclip.errors import KgclipError


@pytest.mark.parametrize(
    ("clip", "label", "source"),
    [
        ("Y0-KQvJjKAw_000057_000067", None, "Y0-KQvJjKAw"),
        ("golf/-0-KQvJ_KAw_000057_000067", None, "-0-KQvJ_KAw"),
        ("Y0-KQvJjKAw_57_67", None, None),
        ("longer_than_eleven_000057_000067", None, None),
        ("holiday_3", "holiday", None),
        ("v_ApplyEyeMakeup_g01_c01", "ApplyEyeMakeup", "v_ApplyEyeMakeup_g01"),
        ("Basketball/v_Basketball_g25_c07", "Basketball", "v_Basketball_g25"),
        ("v_shooting_01_01", None, None),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", "brush hair", "April_09"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", None, "April_09_brush_hair"),
        ("Golf_Swing__6Iron_golf_f_cm_np1_fr_med_12", "Golf", "Golf_Swing__6Iron"),
        ("Faith_Rewarded_catch_f_cm_np2_le_bad_8", "catch", "Faith_Rewarded"),
        ("golf_f_cm_np1_fr_med_0", "golf", "golf"),
    ],
)
def test_source_of(clip, label, source):
    assert source_of(clip, label) == source


def test_sources_of_real_names(shared_data):
    clips = {clip.id: clip for clip in open_dataset(shared_data / "jhmdb-tps").clips}
    with (shared_data / "jhmdb-tps/train_labels.csv").open(encoding="utf-8") as file:
        rows = {row["video"]: row["source"] for row in csv.DictReader(file)}
    assert {name: source_of(name, clips[name].action) for name in rows} == rows


def test_source_pattern(tmp_path, videos):
    videos(tmp_path, ["golf/anna-1.mp4", "golf/anna-2.mp4", "golf/other.mp4", "swim/v_Swim_g01_c02.mp4"])
    dataset = open_dataset(tmp_path, source_pattern=r"/(?:x)?(?P<source>\w+)-\d$")
    assert {clip.id: clip.source for clip in dataset.clips} == {
        "golf/anna-1": "anna",
        "golf/anna-2": "anna",
        "golf/other": "golf/other",
        "swim/v_Swim_g01_c02": "v_Swim_g01",
    }
    (finding,) = dataset.findings
    assert finding.message == "--source-pattern does not match 2 of 4 clips: golf/other, swim/v_Swim_g01_c02"
    assert {clip.source for clip in open_dataset(tmp_path, source_pattern="^(golf|swim)/").clips} == {"golf", "swim"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"--source-pattern '\(': is no regular expression \(missing \)"),
        ("[a-z]+", r"--source-pattern '\[a-z\]\+': has no group; put what names the source in parentheses"),
    ],
)
def test_bad_source_patterns(tmp_path, videos, pattern, message):
    videos(tmp_path, ["golf/a.mp4"])
    with pytest.raises(KgclipError, match=message):
        open_dataset(tmp_path, source_pattern=pattern)


def test_labels_file_names_sources_of_paths_too(tmp_path, videos):
    videos(tmp_path, ["golf/1.mp4", "swim/1.mp4", "swim/2.mp4"])
    (tmp_path / "train_labels.csv").write_text("video,source\ngolf/1,film\n1,series\n2,series\n")
    sources = {clip.id: clip.source for clip in open_dataset(tmp_path).clips}
    assert sources == {"golf/1": "film", "swim/1": "series", "swim/2": "series"}


def test_labels_file_may_name_files(tmp_path, videos):
    videos(tmp_path, ["golf/1.mp4", "swim/2.MOV"])
    (tmp_path / "train_labels.csv").write_text("video,source\ngolf/1.mp4,film\n2.MOV,series\n")
    assert {clip.id: clip.source for clip in open_dataset(tmp_path).clips} == {"golf/1": "film", "swim/2": "series"}


def test_labels_file_names_sources(tps):
    (tps / "train_labels.csv").write_text("video,class,source\na,push_up,film\nb,push_up,\n")
    assert {clip.id: clip.source for clip in open_dataset(tps).clips} == {"a": "film", "b": "b", "-c": "-c"}


def test_labels_file_without_sources_changes_nothing(tps):
    (tps / "train_labels.csv").write_text("video,class\na,push_up\n")
    assert open_dataset(tps).by_id["a"].source == "a"
