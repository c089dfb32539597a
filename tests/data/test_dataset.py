from pathlib import Path

import pytest

from kgclip.data.dataset import Vocabulary, open_dataset, source_of
from kgclip.errors import KgclipError


def test_kinetics_tps_root(tps, videos):
    videos(tps, ["test_videos/push_up/d.mp4"])
    (tps / "train_annotations").mkdir()
    (tps / "test_annotations").mkdir()
    dataset = open_dataset(tps)
    assert [(clip.id, clip.action, clip.part) for clip in dataset.clips] == [
        ("-c", "lunge", "train"),
        ("a", "push up", "train"),
        ("b", "push up", "train"),
        ("d", "push up", "test"),
    ]
    assert dataset.actions == ["lunge", "push up"]
    assert dataset.by_id["a"].path == tps / "train_videos/push_up/a.mp4"
    assert dataset.annotations == tps / "train_annotations"
    assert dataset.annotation_folders == (tps / "train_annotations", tps / "test_annotations")
    assert dataset.vocabulary is not None
    assert dataset.vocabulary.states == ("bend", "unbend", "hold", "step on", "none", "others")
    assert dataset.vocabulary.objects == ("barbell", "little ball", "none")


def test_test_videos_may_lack_class_folders(tps, videos):
    videos(tps, ["test_videos/unknown.mp4"])
    clip = open_dataset(tps).by_id["unknown"]
    assert (clip.action, clip.part) == (None, "test")


def test_class_folders_with_any_container(tmp_path, videos):
    videos(tmp_path, ["a_b/x.AVI", "a_b/y.webm", "c/z.mkv", "c/notes.txt", "c/.z.mp4", ".cache/q.mp4"])
    dataset = open_dataset(tmp_path)
    assert [(clip.id, clip.action, clip.part) for clip in dataset.clips] == [
        ("x", "a b", None),
        ("y", "a b", None),
        ("z", "c", None),
    ]
    assert dataset.annotations is None
    assert dataset.annotation_folders == ()
    assert dataset.vocabulary is None


def test_train_val_test_folders(tmp_path, videos):
    videos(tmp_path, ["train/a/1.mp4", "val/a/2.mp4", "test/a/3.mp4"])
    (tmp_path / "test/b").mkdir()
    videos(tmp_path, ["train/b/4.mp4"])
    assert {clip.id: clip.part for clip in open_dataset(tmp_path).clips} == {
        "1": "train",
        "2": "val",
        "3": "test",
        "4": "train",
    }


def test_an_action_may_be_called_train(tmp_path, videos):
    videos(tmp_path, ["train/a.mp4", "swim/b.mp4"])
    assert open_dataset(tmp_path).actions == ["swim", "train"]


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
        ("a", "push up", "train", "film"),
        ("abcdefghi-k_000001_000011", "clean, jerk", "test", "abcdefghi-k"),
        ("c", None, None, "c"),
    ]
    assert dataset.root == tmp_path
    assert dataset.by_id["a"].path == tmp_path / "v/a.mp4"
    assert dataset.by_id["c"].path == Path("/elsewhere/c.mov")
    assert dataset.actions == ["clean, jerk", "push up"]


def test_csv_needs_two_columns_only(tmp_path):
    (tmp_path / "clips.csv").write_text("label,video\nlunge,a.mp4\n")
    (clip,) = open_dataset(tmp_path / "clips.csv").clips
    assert (clip.action, clip.part, clip.source) == ("lunge", None, "a")


@pytest.mark.parametrize(
    ("clip", "source"),
    [
        ("Y0-KQvJjKAw_000057_000067", "Y0-KQvJjKAw"),
        ("-0-KQvJ_KAw_000057_000067", "-0-KQvJ_KAw"),
        ("Y0-KQvJjKAw_57_67", "Y0-KQvJjKAw_57_67"),
        ("longer_than_eleven_000057_000067", "longer_than_eleven_000057_000067"),
        ("holiday_3", "holiday_3"),
    ],
)
def test_source_of(clip, source):
    assert source_of(clip) == source


def test_labels_file_names_sources(tps):
    (tps / "train_labels.csv").write_text("video,class,source\na,push_up,film\nb,push_up,\n")
    assert {clip.id: clip.source for clip in open_dataset(tps).clips} == {"a": "film", "b": "b", "-c": "-c"}


def test_labels_file_without_sources_changes_nothing(tps):
    (tps / "train_labels.csv").write_text("video,class\na,push_up\n")
    assert open_dataset(tps).by_id["a"].source == "a"


def test_annotations_of_ones_own(tmp_path, videos):
    videos(tmp_path, ["lunge/a.mp4"])
    annotations = tmp_path / "annotations"
    (annotations / "list").mkdir(parents=True)
    for name in ("body_part", "part_stat", "object"):
        (annotations / "list" / f"{name}.txt").write_text("left_hand\n\n left_hand\n")
    dataset = open_dataset(tmp_path, annotations)
    assert dataset.actions == ["lunge"]
    assert dataset.annotation_folders == (annotations,)
    assert dataset.vocabulary == Vocabulary(("left hand",), ("left hand",), ("left hand",))


def test_real_data(shared_data):
    dataset = open_dataset(shared_data / "jhmdb-tps")
    assert len(dataset.clips) == 655
    assert len(dataset.actions) == 21
    assert "brush hair" in dataset.actions
    assert dataset.by_id["April_09_brush_hair_u_nm_np1_ba_goo_0"].source == "April_09"
    assert {clip.part for clip in dataset.clips} == {"train"}
    assert dataset.vocabulary is not None
    assert len(dataset.vocabulary.states) == 22


def test_nothing_there(tmp_path):
    with pytest.raises(KgclipError, match=r"nowhere: not found; expected a folder of videos or a CSV"):
        open_dataset(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    with pytest.raises(KgclipError, match="holds no clip; expected train_videos"):
        open_dataset(tmp_path)


def test_a_single_video_is_no_data_set(tmp_path, videos):
    videos(tmp_path, ["a.mp4"])
    with pytest.raises(KgclipError, match=r"a\.mp4: is a \.mp4 file; expected a folder of videos or a \.csv"):
        open_dataset(tmp_path / "a.mp4")


def test_video_outside_of_any_class(tmp_path, videos):
    videos(tmp_path, ["a.mp4", "lunge/b.mp4"])
    with pytest.raises(KgclipError, match=r"a\.mp4: lies outside of any class folder; expected .*<class>/a\.mp4"):
        open_dataset(tmp_path)


def test_class_without_clips(tps):
    (tps / "train_videos/hopscotch").mkdir()
    with pytest.raises(KgclipError, match="hopscotch: is a class folder without a clip"):
        open_dataset(tps)


def test_unknown_folder_beside_train(tmp_path, videos):
    videos(tmp_path, ["train/a/1.mp4", "validation/a/2.mp4"])
    with pytest.raises(KgclipError, match="validation: lies beside train/, so that it is no class"):
        open_dataset(tmp_path)


def test_same_name_twice(tmp_path, videos):
    videos(tmp_path, ["lunge/a.mp4", "push_up/a.avi"])
    with pytest.raises(KgclipError, match=r"push_up/a\.avi: has the same name as .*lunge/a\.mp4.*rename one"):
        open_dataset(tmp_path)


def test_annotations_must_be_a_folder(tmp_path, videos):
    videos(tmp_path, ["lunge/a.mp4"])
    with pytest.raises(KgclipError, match="nowhere: is no folder of annotations"):
        open_dataset(tmp_path, tmp_path / "nowhere")


def test_list_file_missing(tps):
    (tps / "list/object.txt").unlink()
    with pytest.raises(KgclipError, match=r"object\.txt: not found; expected body_part\.txt, part_stat\.txt"):
        open_dataset(tps)


def test_list_file_that_is_no_text(tps):
    (tps / "list/object.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KgclipError, match=r"object\.txt: is no UTF-8 text"):
        open_dataset(tps)


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
        ("video,label\na.mp4,x\nb/a.mov,x\n", r"b/a\.mov: has the same name as"),
        (b"\xff\xfev\x00", "is no CSV file in UTF-8"),
    ],
)
def test_bad_csv(tmp_path, content, message):
    path = tmp_path / "clips.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KgclipError, match=message):
        open_dataset(path)
