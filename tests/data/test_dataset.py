import re
from pathlib import Path

import pytest

from kgclip.data.dataset import open_dataset
from kgclip.data.readers import registry
from kgclip.data.vocabulary import Vocabulary
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
        ("a_b/x", "a b", None),
        ("a_b/y", "a b", None),
        ("c/z", "c", None),
    ]
    assert dataset.annotations is None
    assert dataset.annotation_folders == ()
    assert dataset.vocabulary is None


def test_train_val_test_folders(tmp_path, videos):
    videos(tmp_path, ["train/a/1.mp4", "val/a/2.mp4", "test/a/3.mp4"])
    (tmp_path / "test/b").mkdir()
    videos(tmp_path, ["train/b/4.mp4"])
    assert {clip.id: clip.part for clip in open_dataset(tmp_path).clips} == {
        "train/a/1": "train",
        "val/a/2": "val",
        "test/a/3": "test",
        "train/b/4": "train",
    }


def test_an_action_may_be_called_train(tmp_path, videos):
    videos(tmp_path, ["train/a.mp4", "swim/b.mp4"])
    assert open_dataset(tmp_path).actions == ["swim", "train"]


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


@pytest.mark.parametrize(
    "names",
    [["golf/IMG_1.MOV.mp4", "golf/IMG_1.mp4"], ["1/1.mp4", "2/1.mp4", "1/2.mp4"]],
)
def test_annotations_in_folders_of_whole_ids_are_those_of_the_clips(names, tmp_path, videos):
    videos(tmp_path / "clips", names)
    annotations = tmp_path / "annotations"
    ids = [clip.id for clip in open_dataset(tmp_path / "clips").clips]
    for name in ids:
        (annotations / name).mkdir(parents=True)
        (annotations / name / "img_00001.json").write_text('{"humans": []}')
    found = open_dataset(tmp_path / "clips", annotations).annotated()
    assert sorted(str(clip) for clip, _, _ in found) == sorted(ids)


def test_an_id_that_ends_another_is_itself(tmp_path, videos):
    videos(tmp_path, ["a.mp4", "old/a.mp4"])
    (tmp_path / "list.csv").write_text("video,label\na.mp4,golf\nold/a.mp4,lunge\n")
    for name in ("a", "old/a"):
        (tmp_path / "annotations" / name).mkdir(parents=True)
        (tmp_path / "annotations" / name / "img_00001.json").write_text('{"humans": []}')
    found = open_dataset(tmp_path / "list.csv", tmp_path / "annotations").annotated()
    assert sorted(str(clip) for clip, _, _ in found) == ["a", "old/a"]


def test_a_video_in_a_folder_of_a_class_is_no_clip_of_it(tmp_path, videos):
    videos(tmp_path, ["golf/a.mp4", "golf/monday/late/c.mp4", "run/a.mp4"])
    with pytest.raises(
        KgclipError,
        match=r"late.c\.mp4: lies in a folder inside a class folder; move it to .*golf/c.mp4, or take .*late out",
    ):
        open_dataset(tmp_path)


def test_links_and_previews_inside_a_class_are_passed_over(tmp_path, videos):
    videos(tmp_path, ["golf/a.mp4", "golf/@eaDir/a.mp4/preview.mp4", "golf/.cache/b.mp4", "run/a.mp4"])
    (tmp_path / "golf" / "all").symlink_to(tmp_path)
    assert [clip.id for clip in open_dataset(tmp_path).clips] == ["golf/a", "run/a"]


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
    with pytest.raises(KgclipError, match=r"nowhere: not found; expected a Kinetics-TPS root"):
        open_dataset(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    with pytest.raises(KgclipError, match="holds no clip; expected a Kinetics-TPS root"):
        open_dataset(tmp_path)


def test_a_single_video_is_no_data_set(tmp_path, videos):
    videos(tmp_path, ["a.mp4"])
    with pytest.raises(KgclipError, match=r"a\.mp4: is a \.mp4 file; expected a Kinetics-TPS root .*, a text list"):
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
    with pytest.raises(KgclipError, match=r"object\.txt: not UTF-8 text"):
        open_dataset(tps)


def test_equal_file_names_in_two_classes(tmp_path, videos):
    videos(tmp_path, ["golf/clip_01.mp4", "swim/clip_01.mp4"])
    assert {clip.id: clip.action for clip in open_dataset(tmp_path).clips} == {
        "golf/clip_01": "golf",
        "swim/clip_01": "swim",
    }


def test_two_files_that_differ_in_extension_only(tmp_path, videos):
    videos(tmp_path, ["lunge/a.avi", "lunge/a.mp4"])
    with pytest.raises(KgclipError, match=r"a\.mp4: has the same name as .*a\.avi; a clip is known as 'lunge/a'"):
        open_dataset(tmp_path)


def test_equal_file_names_in_kinetics_tps(tps, videos):
    videos(tps, ["train_videos/lunge/a.mp4"])
    with pytest.raises(KgclipError, match=r"push_up/a\.mp4: has the same name as .*lunge/a\.mp4.*rename one"):
        open_dataset(tps)


def test_one_action_in_two_spellings(tmp_path, videos, caplog):
    videos(tmp_path, ["train/Golf/1.mp4", "train/Golf/2.mp4", "test/golf/3.mp4", "train/cafe\u0301/4.mp4"])
    videos(tmp_path, ["test/caf\u00e9/5.mp4"])
    dataset = open_dataset(tmp_path)
    assert dataset.actions == ["Golf", "caf\u00e9"]
    dataset.warn()
    assert "1 action spelled in several ways: 'Golf' = 'golf' (taken as 'Golf')" in caplog.text
    assert open_dataset(tmp_path, actions=["golf"]).actions == ["caf\u00e9", "golf"]


def test_ids_are_composed(tmp_path, videos):
    videos(tmp_path, ["a/cafe\u0301.mp4"])
    assert list(open_dataset(tmp_path).by_id) == ["a/caf\u00e9"]


def test_a_name_that_is_not_utf8(tmp_path, videos):
    videos(tmp_path, ["lunge/a.mp4", "lunge/caf\udce9.mp4"])
    with pytest.raises(
        KgclipError, match=r"lunge/caf\\xe9\.mp4: has a name that is not UTF-8; rename the file"
    ) as caught:
        open_dataset(tmp_path)
    str(caught.value).encode()


def test_a_folder_that_may_not_be_read(tmp_path, videos, monkeypatch):
    videos(tmp_path, ["lunge/a.mp4"])

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(KgclipError, match=r"cannot be read \(Permission denied\); check the path and its permissions"):
        open_dataset(tmp_path)


def test_the_reader_of_the_docs_is_added_from_outside_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_added", [])
    (tmp_path / "clips.json").write_text('{"a": "Push_Up"}')
    with pytest.raises(KgclipError, match=r"clips\.json: is a \.json file; expected a Kinetics-TPS root"):
        open_dataset(tmp_path / "clips.json")
    page = Path(__file__).parents[2] / "docs/data.md"
    (snippet,) = [s for s in re.findall(r"```python\n(.*?)```", page.read_text(), re.S) if "register_reader(" in s]
    exec(snippet, {})
    (clip,) = open_dataset(tmp_path / "clips.json").clips
    assert (clip.id, clip.path, clip.action, clip.source) == ("a", tmp_path / "a.mp4", "Push Up", "a")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(KgclipError, match=r"a\.mp4: is a \.mp4 file; expected a JSON object of labels, a Kinetics-TPS"):
        open_dataset(tmp_path / "a.mp4")
