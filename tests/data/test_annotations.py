import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.data.annotation_files import clip_folders, fingerprint, frame_number
from kgclip.data.annotations import read_observations, without_movements
from kgclip.data.dataset import open_dataset
from kgclip.data.frame_annotations import AllowedWords, read_folders
from kgclip.errors import KgclipError

HAND = {"number": 1, "name": "left_hand", "box": [1, 2, 3, 4], "verb": "hold", "obj_class": "little_ball"}


def read(path: Path, **options):
    return read_observations(open_dataset(path), cache=False, progress=False, **options)


def human(*parts: dict) -> dict:
    return {"number": 1, "box": [0, 0, 9, 9], "parts": {part["name"]: part for part in parts}}


def part(name: str, verb: object, **more: object) -> dict:
    return {"number": 1, "name": name, "box": [0, 0, 9, 9], "verb": verb, **more}


def test_rows_of_parts_and_frames(tps, annotate):
    annotate(tps, "push_up/a/a/img_00011.json", [human(HAND), human(part("head", "step_on"))])
    annotate(tps, "push_up/a/a/img_00001.json", [])
    annotate(tps, "lunge/-c/-c/img_00003.json", [{"number": 1, "parts": {}}, human(part("hip", "none"))])
    observations = read(tps)
    assert observations.frames.rows() == [("-c", 3), ("a", 1), ("a", 11)]
    assert observations.parts.rows() == [
        ("-c", 3, 1, "hip", "none", None),
        ("a", 11, 0, "left hand", "hold", "little ball"),
        ("a", 11, 1, "head", "step on", None),
    ]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ({"humans": [human(HAND)], "image": {"id": 3}}, [("left hand", "hold", "little ball")]),
        (
            [{"parts": [HAND, part("hip", "bend")], "id": 1}],
            [("left hand", "hold", "little ball"), ("hip", "bend", None)],
        ),
        ([human(part("hip", ["bend"], box=[[1, 2, 3, 4]]))], [("hip", "bend", None)]),
        ([human(part("hip", ["bend", "hold", "bend"]))], [("hip", "bend", None), ("hip", "hold", None)]),
        (
            [human(part("hip", ["bend", "hold"], obj_class=["none", "barbell"]))],
            [("hip", "bend", None), ("hip", "hold", "barbell")],
        ),
        (
            [human(part("hip", ["bend", "hold"], obj_class="barbell"))],
            [("hip", "bend", "barbell"), ("hip", "hold", "barbell")],
        ),
        ([human(part("hip", "hold", obj_class=[]))], [("hip", "hold", None)]),
        ([human(part("hip", "hold", obj_class=None, obj_bbox=[1, 2, 3, 4]))], [("hip", "hold", None)]),
        ([human(part("hip", "hold", obj_class="none"))], [("hip", "hold", None)]),
        ([human({"name": "hip", "verb": "others"})], [("hip", "others", None)]),
        ([{"parts": {"left_arm": {"verb": "bend"}}}], [("left arm", "bend", None)]),
        ([{"parts": None}], []),
        ([{"box": [1, 2, 3, 4]}], []),
        ([], []),
        ({"humans": None}, []),
        ({}, []),
    ],
)
def test_variants_of_a_frame(tps, annotate, content, rows):
    annotate(tps, "push_up/a/a/img_00001.json", content)
    observations = read(tps)
    assert observations.parts.select("part", "state", "object").rows() == rows
    assert observations.frames.rows() == [("a", 1)]


@pytest.mark.parametrize("folder", ["push_up/a/a", "push_up/a", "a", "a/a"])
def test_depth_of_folders(tps, annotate, folder):
    annotate(tps, f"{folder}/img_00001.json", [human(HAND)])
    assert read(tps).frames.rows() == [("a", 1)]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("img_00001.json", 1),
        ("img_00300.json", 300),
        ("00007.json", 7),
        ("7.json", 7),
        ("img_00000.json", 0),
        ("img_1.txt", 0),
        ("img_-1.json", 0),
        ("frame.json", 0),
        ("img_00001.json~", 0),
    ],
)
def test_frame_number(name, number):
    assert frame_number(name) == number


def test_frames_are_in_the_order_of_their_numbers(tps, annotate):
    for number in (2, 10, 1, 100):
        annotate(tps, f"push_up/a/{number}.json", [human(HAND)])
    assert read(tps).frames["frame"].to_list() == [1, 2, 10, 100]


def test_test_annotations_are_read_too(tps, annotate, videos):
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    videos(tps, ["test_videos/push_up/d.mp4"])
    shutil.copytree(tps / "train_annotations/push_up/a/a", tps / "test_annotations/push_up/d/d")
    assert read(tps).frames.rows() == [("a", 1), ("d", 1)]


def test_annotations_beside_class_folders(tmp_path, videos, annotate):
    videos(tmp_path / "mine", ["lunge/a.mp4"])
    annotate(tmp_path, "a/img_00001.json", [human(part("hip", "wiggle", obj_class="hula_hoop"))])
    dataset = open_dataset(tmp_path / "mine", tmp_path / "train_annotations")
    observations = read_observations(dataset, cache=False)
    assert observations.parts.rows() == [("lunge/a", 1, 0, "hip", "wiggle", "hula hoop")]


def test_without_a_vocabulary_the_parts_are_still_known(tmp_path, videos, annotate):
    videos(tmp_path / "mine", ["lunge/a.mp4"])
    annotate(tmp_path, "a/img_00001.json", [human(part("tail", "wag"))])
    dataset = open_dataset(tmp_path / "mine", tmp_path / "train_annotations")
    with pytest.raises(KgclipError, match="1 time unknown part 'tail'"):
        read_observations(dataset, cache=False)


PROBLEMS = [
    ("img_00001.json", [human(part("tail", "bend"))], "unknown part 'tail'"),
    ("img_00001.json", [human(part("hip", "fly_high"))], "unknown state 'fly high'"),
    ("img_00001.json", [human(part("hip", ["bend", "fly"]))], "unknown state 'fly'"),
    ("img_00001.json", [human(part("hip", "hold", obj_class="ufo"))], "unknown object 'ufo'"),
    ("img_00001.json", [human(part("hip", None))], "a part without a verb in words"),
    ("img_00001.json", [human(part("hip", []))], "a part without a verb in words"),
    ("img_00001.json", [human(part("hip", 3))], "a part without a verb in words"),
    ("img_00001.json", [human(part("hip", "hold", obj_class=3))], "a part with an obj_class that is no word"),
    (
        "img_00001.json",
        [human(part("hip", ["bend", "hold"], obj_class=["barbell"] * 3))],
        "a part whose numbers of verbs and objects differ",
    ),
    ("img_00001.json", [{"parts": [3]}], "a part that is no object with a name"),
    ("img_00001.json", [{"parts": [{"verb": "bend"}]}], "a part that is no object with a name"),
    ("img_00001.json", [{"parts": {"hip": "bend"}}], "a part that is no object with a name"),
    ("img_00001.json", [{"parts": 3}], "a human whose parts are neither an object nor a list"),
    ("img_00001.json", [3], "a human whose parts are neither an object nor a list"),
    ("img_00001.json", {"humans": {"1": {}}}, "a file without a list of humans"),
    ("img_00001.json", b"[]", "a file without a list of humans"),
    ("img_00001.json", b'{"humans": [', "malformed JSON"),
    ("img_00001.json", b"", "malformed JSON"),
    ("img_00001.json", b'{"humans": "\xff"}', "malformed JSON"),
    ("img_00001.json", b'{"humans": [], "x": ' + b"[" * 100_000, "malformed JSON"),
    ("frame_00001.json", [], "a file name other than img_<number>.json"),
    ("img_00000.json", [], "a frame number of 0, where frames count from 1 (img_00001.json is the first)"),
    ("img_00001.json", {"images": [], "annotations": [], "categories": []}, "a file in the format of COCO"),
    ("img_00001.json", b'[{"image_id": 1, "category_id": 1, "bbox": []}]', "a file in the format of COCO results"),
    ("img_00001.json", {"version": 0, "tags": [], "shapes": [], "tracks": []}, "a file in the format of CVAT"),
    ("img_00001.json", b'[{"id": 1, "data": {}, "annotations": []}]', "a file in the format of Label Studio"),
    ("img_00001.json", {"version": "5.0.1", "shapes": [], "imagePath": "a.jpg"}, "a file in the format of LabelMe"),
    ("img_00001.json", {"version": 1.3, "people": []}, "a file in the format of OpenPose"),
    ("img_2.json", [], "a second file for one frame"),
]


@pytest.mark.parametrize(("name", "content", "problem"), PROBLEMS)
def test_problems_are_named_and_can_be_left_out(tps, annotate, caplog, name, content, problem):
    annotate(tps, "push_up/b/b/img_00002.json", [human(HAND)])
    annotate(tps, f"push_up/b/b/{name}", content)
    with pytest.raises(KgclipError) as caught:
        read(tps)
    expected = f"1 time {problem} (train_annotations/push_up/b/b/"
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{tps / 'train_annotations'}: ")
    assert str(caught.value).endswith("; correct them, or leave these records out with --keep-going")
    with caplog.at_level(logging.WARNING):
        observations = read(tps, keep_going=True)
    assert expected in caplog.text
    assert ("b", 2, 0, "left hand", "hold", "little ball") in observations.parts.rows()
    assert set(observations.parts["state"]) <= {"hold", "bend"}


def test_problems_are_counted_with_three_examples(tps, annotate):
    for number in range(1, 6):
        annotate(tps, f"push_up/a/a/img_{number:05d}.json", [human(part("hip", "fly")), human(part("head", "fly"))])
    annotate(tps, "push_up/a/a/img_00009.json", b"{")
    with pytest.raises(KgclipError) as caught:
        read(tps)
    message = str(caught.value)
    files = [f"train_annotations/push_up/a/a/img_{number:05d}.json" for number in (1, 2, 3)]
    assert f": 10 times unknown state 'fly' ({', '.join(files)}), 1 time malformed JSON (" in message
    assert "img_00004" not in message


def test_many_kinds_of_problems_are_cut_short(tps, annotate):
    words = [f"fly{number}" for number in range(20)]
    annotate(tps, "push_up/a/a/img_00001.json", [human(part("hip", words))])
    with pytest.raises(KgclipError, match="and 8 more kinds of problem; correct them"):
        read(tps)


def test_a_byte_order_mark_is_passed_over(tps, annotate):
    content = json.dumps({"humans": [human(HAND)]}).encode("utf-8-sig")
    annotate(tps, "push_up/a/a/img_00001.json", content)
    assert read(tps).parts.rows() == [("a", 1, 0, "left hand", "hold", "little ball")]


def test_files_of_macos_are_passed_over(tps, annotate):
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    annotate(tps, "push_up/a/a/._img_00001.json", b"\x00\x05\x16\x07")
    annotate(tps, "__MACOSX/a/img_00002.json", [human(HAND)])
    assert read(tps).frames.rows() == [("a", 1)]


def test_one_file_of_another_tool(tps, annotate):
    annotate(tps, "instances.json", {"images": [], "annotations": [], "categories": []})
    with pytest.raises(KgclipError, match=r"1 time a file in the format of COCO \(train_annotations/instances\.json\)"):
        read(tps)
    with pytest.raises(KgclipError, match=r"instances\.json: is a file in the format of COCO; give the folder"):
        open_dataset(tps, tps / "train_annotations/instances.json")


def test_one_xml_file_of_another_tool(tps):
    (tps / "train_annotations").mkdir()
    (tps / "train_annotations/annotations.xml").write_text('<?xml version="1.0"?>\n<annotations><version>1.1</version>')
    with pytest.raises(KgclipError, match=r"holds no frame annotation, but annotations\.xml in the format of CVAT XML"):
        read(tps)


def test_words_in_another_unicode_form(tps, annotate):
    with (tps / "list/object.txt").open("a", encoding="utf-8") as file:
        file.write("caf\u00e9\n")
    annotate(tps, "push_up/a/a/img_00001.json", [human(part("hip", "hold", obj_class="cafe\u0301"))])
    assert read(tps).parts["object"].to_list() == ["caf\u00e9"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "their 1 annotated frame without any body part"),
        (
            [part("hip", "none", obj_class="barbell"), part("head", "others")],
            "their 2 states all 'none' or 'others', which are no movements",
        ),
    ],
)
def test_why_there_is_no_movement(tps, annotate, parts, reason):
    annotate(tps, "push_up/a/a/img_00001.json", [human(*parts)])
    assert str(without_movements(read(tps))) == reason


@pytest.mark.parametrize("movement", [part("hip", "bend"), part("hip", "others", obj_class="barbell")])
def test_annotations_with_a_movement(tps, annotate, movement):
    annotate(tps, "push_up/a/a/img_00001.json", [human(movement, part("head", "none"))])
    assert without_movements(read(tps)) is None


@pytest.mark.parametrize(
    ("folder", "clip"),
    [("golf/1", "golf/1"), ("golf/1/1", "golf/1"), ("deep/swim/1", "swim/1"), ("swim/2", "swim/2"), ("2", "swim/2")],
)
def test_folders_of_clips_with_equal_file_names(tmp_path, videos, annotate, folder, clip):
    videos(tmp_path / "mine", ["golf/1.mp4", "swim/1.mp4", "swim/2.mp4"])
    annotate(tmp_path, f"{folder}/img_00001.json", [human(HAND)])
    dataset = open_dataset(tmp_path / "mine", tmp_path / "train_annotations")
    assert read_observations(dataset, cache=False).frames.rows() == [(clip, 1)]


def test_a_folder_that_could_be_of_two_clips(tmp_path, videos, annotate):
    videos(tmp_path / "mine", ["golf/1.mp4", "swim/1.mp4"])
    annotate(tmp_path, "1/img_00001.json", [human(HAND)])
    dataset = open_dataset(tmp_path / "mine", tmp_path / "train_annotations")
    with pytest.raises(
        KgclipError, match=r"1 time annotations of a clip that the data set lacks \(train_annotations/1\)"
    ):
        read_observations(dataset, cache=False)


def test_annotations_of_unknown_clips(tps, annotate, caplog):
    for clip in "pqrs":
        annotate(tps, f"push_up/{clip}/{clip}/img_00001.json", [human(HAND)])
    with pytest.raises(KgclipError, match=r"4 times annotations of a clip that the data set lacks \(train_.*/p/p, "):
        read(tps)
    with pytest.raises(KgclipError, match="annotations of a clip that the data set lacks"):
        read(tps, keep_going=True)  # nothing would be left
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    with caplog.at_level(logging.WARNING):
        assert read(tps, keep_going=True).frames.rows() == [("a", 1)]
    assert "4 times annotations of a clip that the data set lacks" in caplog.text


def test_two_folders_for_one_clip(tps, annotate):
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    annotate(tps, "lunge/a/a/img_00002.json", [human(HAND)])
    with pytest.raises(KgclipError, match="1 time a second folder of annotations for one clip"):
        read(tps)
    assert len(read(tps, keep_going=True).frames) == 1


def test_unreadable_file(tps, annotate):
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    (tps / "train_annotations/push_up/a/a/img_00002.json").symlink_to("nowhere")
    with pytest.raises(KgclipError, match=r"1 time a file that cannot be read \(No such file"):
        read(tps)


def test_no_annotations_at_all(tps):
    with pytest.raises(KgclipError, match=r"tps: holds no frame annotation; expected \[<class>/\]<clip>/img_00001"):
        read(tps)
    (tps / "train_annotations/push_up/a/a").mkdir(parents=True)
    with pytest.raises(KgclipError, match="train_annotations: holds no frame annotation"):
        read(tps)


def test_clips_without_any_part(tps, annotate):
    annotate(tps, "push_up/a/a/img_00001.json", [])
    observations = read(tps)
    assert observations.parts.is_empty()
    assert observations.frames.rows() == [("a", 1)]


def many_clips(tps: Path, videos, annotate, num_clips: int) -> None:
    rng = np.random.default_rng(0)
    states = ["bend", "unbend", "hold", "none"]
    for index in range(num_clips):
        videos(tps, [f"train_videos/push_up/v{index:03d}.mp4"])
        parts = [part(name, str(rng.choice(states))) for name in ("hip", "head", "left_arm") if rng.random() < 0.7]
        humans = [human(*parts)] * int(rng.integers(0, 3))
        annotate(tps, f"push_up/v{index:03d}/img_{1 + index % 7:05d}.json", humans)


def test_processes_read_the_same_as_one(tps, videos, annotate):
    many_clips(tps, videos, annotate, 300)
    annotate(tps, "push_up/v007/img_00100.json", [human(part("hip", "fly"))])
    one, two = read(tps, keep_going=True), read(tps, keep_going=True, workers=2)
    assert one.parts.equals(two.parts)
    assert one.frames.equals(two.frames)
    assert len(one.frames) == 301
    with pytest.raises(KgclipError, match="1 time unknown state 'fly'"):
        read(tps, workers=2)


def test_a_process_that_dies(tps, videos, annotate, monkeypatch):
    many_clips(tps, videos, annotate, 300)
    monkeypatch.setattr("kgclip.data.annotations.read_folders", _die)
    with pytest.raises(
        KgclipError, match=f"{tps}: a worker process ended early, perhaps for want of memory; use one worker"
    ):
        read(tps, workers=2)


def _die(*_, **__):
    os._exit(1)


records = st.tuples(
    st.sampled_from(["head", "hip", "left_arm"]),
    st.sampled_from(["bend", "hold", "none"]),
    st.sampled_from([None, "none", "ball"]),
)
frames = st.lists(st.lists(records, max_size=4), max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(frames, max_size=3), max_size=4))
def test_rows_equal_a_plain_reading(tmp_path_factory, clips):
    root = tmp_path_factory.mktemp("clips")
    expected, expected_frames = [], []
    for index, clip in enumerate(clips):
        name = f"clip{index}"
        (root / "videos/lunge").mkdir(parents=True, exist_ok=True)
        (root / f"videos/lunge/{name}.mp4").touch()
        (root / f"annotations/{name}").mkdir(parents=True)
        for number, humans in enumerate(clip, start=1):
            content = {
                "humans": [
                    {"parts": [{"name": p, "verb": v} | ({"obj_class": o} if o else {}) for p, v, o in parts]}
                    for parts in humans
                ]
            }
            (root / f"annotations/{name}/img_{number:05d}.json").write_text(json.dumps(content))
            expected_frames.append((f"lunge/{name}", number))
            expected += [
                (f"lunge/{name}", number, person, p.replace("_", " "), v, None if o == "none" else o)
                for person, parts in enumerate(humans)
                for p, v, o in parts
            ]
    if not expected_frames:
        return
    observations = read_observations(open_dataset(root / "videos", root / "annotations"), cache=False)
    assert observations.parts.rows() == expected
    assert observations.frames.rows() == expected_frames


def test_real_annotations(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = open_dataset(shared_data / "jhmdb-tps")
    observations = read_observations(dataset, progress=False)
    assert len(observations.frames) == 4651
    assert len(observations.parts) == 36537
    assert observations.frames["clip"].n_unique() == 655
    assert observations.parts["state"].n_unique() == 20
    assert observations.parts["object"].null_count() == 36537
    share = observations.parts.filter(pl.col("state") == "none").height / 36537
    assert share == pytest.approx(0.34, abs=0.01)
    assert len(list((tmp_path / "kgclip").glob("observations-*.parquet"))) == 1
    again = read_observations(dataset, progress=False)
    assert again.parts.equals(observations.parts)
    assert again.frames.equals(observations.frames)


def test_fingerprints_of_reading_and_of_looking_agree(tps, annotate):
    for number in (3, 1, 20):
        annotate(tps, f"push_up/a/a/img_{number:05d}.json", [human(HAND)])
    annotate(tps, "push_up/a/a/broken.json", b"{")
    (folder,) = clip_folders(tps / "train_annotations")
    columns = read_folders([folder], str(tps), AllowedWords(frozenset({"left hand"})))
    assert columns.fingerprints == [fingerprint(folder)]


def test_names_of_files_that_are_not_utf8_can_be_printed(tps, annotate):
    annotate(tps, "caf\udce9/img_00001.json", [human(HAND)])
    annotate(tps, "push_up/a/\udce9.json", [human(HAND)])
    with pytest.raises(KgclipError) as caught:
        read(tps)
    assert r"train_annotations/caf\xe9" in str(caught.value)
    assert r"push_up/a/\xe9.json" in str(caught.value)


def test_a_named_pipe_in_place_of_a_file(tps, annotate):
    annotate(tps, "push_up/a/a/img_00001.json", [human(HAND)])
    os.mkfifo(tps / "train_annotations/push_up/a/a/img_00002.json")
    with pytest.raises(KgclipError, match=r"1 time a file that is a pipe .*/img_00002\.json\)"):
        read(tps)
