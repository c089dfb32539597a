import csv
import hashlib
import re
from pathlib import Path

import av
import orjson
import pytest

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from kgclip.synthetic import dataset
from kgclip.synthetic.actions import actions
from kgclip.synthetic.dataset import SyntheticOptions, generate, plan
from kgclip.synthetic.vocabulary import OBJECTS, STATES, on_disk

CLASSES = {on_disk(action) for action in actions()}
STATE_WORDS, OBJECT_WORDS = {on_disk(s) for s in STATES}, {on_disk(o) for o in OBJECTS}


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _lists(root: Path, part: str) -> dict[str, int]:
    with (root / "list" / f"video_{part}_flist.csv").open() as file:
        return {row["video"]: int(row["frames"]) for row in csv.DictReader(file)}


def test_folders_are_those_of_kinetics_tps(small_set: Path):
    folders = {"train_videos", "test_videos", "train_annotations", "list"}
    assert {path.name for path in small_set.iterdir()} == {*folders, "keypoints.parquet"}
    for folder in ("train_videos", "test_videos", "train_annotations"):
        assert {path.name for path in (small_set / folder).iterdir()} == CLASSES
    for part, count in (("train", 48), ("test", 24)):
        videos = {path.stem for path in small_set.glob(f"{part}_videos/*/*.mp4")}
        assert videos == set(_lists(small_set, part))
        assert len(videos) == count
    clips = {path.stem for path in small_set.glob("train_videos/*/*.mp4")}
    assert {path.name for path in small_set.glob("train_annotations/*/*/*")} == clips
    assert all(path.parent.name == path.name for path in small_set.glob("train_annotations/*/*/*"))


def test_lists_hold_the_vocabulary(small_set: Path):
    lines = {
        name: (small_set / f"list/{name}.txt").read_text().splitlines() for name in ("body_part", "part_stat", "object")
    }
    assert lines["body_part"] == [on_disk(part) for part in PARTS]
    assert set(lines["part_stat"]) == STATE_WORDS
    assert set(lines["object"]) == OBJECT_WORDS


def test_videos_decode_with_the_listed_frames_at_a_usual_rate(small_set: Path):
    rates = set()
    for part in ("train", "test"):
        for video, frames in _lists(small_set, part).items():
            (path,) = small_set.glob(f"{part}_videos/*/{video}.mp4")
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
                assert (stream.width, stream.height) == (64, 48)
                rates.add(stream.average_rate)
                assert sum(1 for _ in container.decode(stream)) == frames
                assert 12 <= frames <= 16
    assert rates == {15, 24, 25, 30}


def test_annotations_follow_the_schema(small_set: Path):
    frames = _lists(small_set, "train")
    files = list(small_set.glob("train_annotations/*/*/*/*.json"))
    assert len(files) > 100
    for path in files:
        match = re.fullmatch(r"img_(\d{5})\.json", path.name)
        assert match
        assert 1 <= int(match[1]) <= frames[path.parent.name]
        content = orjson.loads(path.read_bytes())
        assert set(content) == {"humans"}
        for number, human in enumerate(content["humans"], start=1):
            assert set(human) == {"number", "box", "parts"}
            assert human["number"] == number
            _check_box(human["box"])
            for name, record in human["parts"].items():
                _check_record(name, record)


def _check_box(box: list[int]) -> None:
    left, top, right, bottom = box
    assert all(isinstance(edge, int) for edge in box)
    assert 0 <= left <= right < 64
    assert 0 <= top <= bottom < 48


def _check_record(name: str, record: dict) -> None:
    assert name in {on_disk(part) for part in PARTS}
    assert record["name"] == name
    assert record["verb"] in STATE_WORDS
    assert set(record) - {"obj_class", "obj_bbox"} == {"number", "name", "box", "verb"}
    assert ("obj_class" in record) == ("obj_bbox" in record)
    _check_box(record["box"])
    if "obj_class" in record:
        assert record["obj_class"] in OBJECT_WORDS
        _check_box(record["obj_bbox"])


def test_two_workers_write_the_same_bytes_as_one(small_set: Path, small_options: SyntheticOptions, tmp_path: Path):
    generate(tmp_path / "again", small_options, workers=2, progress=False)
    assert _digests(tmp_path / "again") == _digests(small_set)


def test_another_seed_gives_other_clips(small_options: SyntheticOptions):
    assert {p.id for p in plan(SyntheticOptions(seed=1))}.isdisjoint(p.id for p in plan(SyntheticOptions(seed=2)))
    assert plan(small_options) == plan(small_options)


def test_ids_are_kinetics_ids_and_sources_stay_on_one_side():
    plans = plan(SyntheticOptions(train_per_action=20, test_per_action=10))
    assert len({p.id for p in plans}) == len(plans) == 24 * 30
    assert all(re.fullmatch(r"[\w-]{11}_\d{6}_\d{6}", p.id) for p in plans)
    assert any(p.id.startswith("-") for p in plans)
    places: dict[str, set] = {}
    for p in plans:
        places.setdefault(p.id[:11], set()).add((p.action, p.part))
    assert all(len(place) == 1 for place in places.values())
    assert len(places) < 0.7 * len(plans)
    assert len({p.seed for p in plans}) == len(plans)


def test_a_folder_that_holds_something_is_left_alone(small_options: SyntheticOptions, tmp_path: Path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(KgclipError, match="not an empty folder"):
        generate(tmp_path, small_options, progress=False)
    with pytest.raises(KgclipError, match="not an empty folder"):
        generate(tmp_path / "note.txt", small_options, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(dataset, "write_video", fail)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path / "empty", SyntheticOptions(train_per_action=1, test_per_action=0), progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not list((tmp_path / "empty").iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [("part_noise", 1.5), ("keypoint_noise", -0.1), ("occlusion", -0.1), ("train_per_action", -1), ("frames", (1, 5)),
     ("frames", (9, 5)),
     ("size", (127, 96)), ("size", (16, 16))],
)  # fmt: skip
def test_impossible_options_are_refused(name: str, value: object):
    with pytest.raises(KgclipError, match=name):
        SyntheticOptions(**{name: value})
