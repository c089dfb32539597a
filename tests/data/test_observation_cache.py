import json
from pathlib import Path

import pytest

from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset
from kgclip.data.frame_annotations import read_folders
from kgclip.data.observation_cache import user_cache
from kgclip.errors import KgclipError
from kgclip.kg.observations import Observations

HOLD = [{"parts": {"hip": {"verb": "hold"}}}]
BEND = [{"parts": {"hip": {"verb": "bend"}}}]
FLY = [{"parts": {"hip": {"verb": "fly"}}}]


@pytest.fixture
def counted(monkeypatch):
    """Counts the readings of annotation files."""
    calls = []

    def read_and_count(folders, **options):
        calls.append(folders)
        return read_folders(folders, **options)

    monkeypatch.setattr("kgclip.data.annotations.read_folders", read_and_count)
    return calls


def cache_of(tps: Path) -> Path:
    """The cache folder that the fixture tps sets."""
    return tps.parent / "cache/kgclip"


def cached(path: Path, **options) -> Observations:
    return read_observations(open_dataset(path), progress=False, **options)


def test_a_second_reading_comes_from_the_cache(tps, annotate, counted):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    first = cached(tps)
    assert len(list(cache_of(tps).glob("observations-*.parquet"))) == 1
    assert cached(tps).parts.equals(first.parts)
    assert len(counted) == 1
    assert cached(tps, cache=False).parts.equals(first.parts)
    assert len(counted) == 2


@pytest.mark.parametrize("change", ["add", "remove", "edit", "rename", "add clip", "vocabulary"])
def test_the_cache_notices_a_change(tps, annotate, counted, change):
    path = annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    annotate(tps, "push_up/a/a/img_00002.json", HOLD)
    before = cached(tps)
    match change:
        case "add":
            annotate(tps, "push_up/a/a/img_00003.json", HOLD)
        case "remove":
            path.unlink()
        case "edit":
            annotate(tps, "push_up/a/a/img_00001.json", BEND)
            assert path.stat().st_size == len(json.dumps({"humans": HOLD}))
        case "rename":
            path.rename(path.with_name("img_00004.json"))
        case "add clip":
            annotate(tps, "push_up/b/b/img_00001.json", [])
        case "vocabulary":
            with (tps / "list/object.txt").open("a") as file:
                file.write("ufo\n")
    after = cached(tps)
    assert len(counted) == 2
    assert (change == "vocabulary") == (after.parts.equals(before.parts) and after.frames.equals(before.frames))
    assert len(list(cache_of(tps).iterdir())) == 1


def test_problems_are_not_cached(tps, annotate, counted):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD + FLY)
    cached(tps, keep_going=True)
    cached(tps, keep_going=True)
    assert len(counted) == 2
    assert not cache_of(tps).exists()


def test_clips_that_are_gone_do_not_spoil_the_cache(tps, annotate, counted, caplog):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    annotate(tps, "push_up/gone/gone/img_00001.json", HOLD)
    cached(tps, keep_going=True)
    caplog.clear()
    cached(tps, keep_going=True)
    assert len(counted) == 1
    assert "a clip that the data set lacks" in caplog.text


def test_a_damaged_cache_is_read_again(tps, annotate, counted, caplog):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    first = cached(tps)
    (path,) = cache_of(tps).iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert cached(tps).parts.equals(first.parts)
    assert "the annotations are read again" in caplog.text
    assert len(counted) == 2
    cached(tps)
    assert len(counted) == 2


def test_nothing_is_written_into_the_data_set(tps, annotate, counted):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    before = sorted(tps.rglob("*"))
    cached(tps)
    assert sorted(tps.rglob("*")) == before
    assert len(counted) == 1


def test_nowhere_to_write(tps, annotate, counted, tmp_path, monkeypatch):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cached(tps)
    cached(tps)
    assert len(counted) == 2


def test_cache_home_defaults_to_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache/kgclip"


def test_a_full_disk_stops_nothing(tps, annotate, counted, monkeypatch):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)

    def full(*_):
        raise KgclipError("observations.parquet: cannot be written (No space left on device)")

    monkeypatch.setattr(Observations, "save", full)
    cached(tps)
    assert len(counted) == 1


def test_what_killed_runs_left_goes(tps, annotate, counted, ended_process):
    annotate(tps, "push_up/a/a/img_00001.json", HOLD)
    cache_of(tps).mkdir(parents=True)
    (cache_of(tps) / f".observations-1-2.parquet.kgclip-{ended_process}-abcd1234").touch()
    cached(tps)
    assert len(list(cache_of(tps).iterdir())) == 1
