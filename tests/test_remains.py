"""What killed runs left is known by its name, and nothing else goes."""

import os
from pathlib import Path

import pytest

from kgclip.remains import clear_remains, final_path, is_ours, is_running, remove_folder, scratch_folder


def test_only_what_ended_processes_left_goes(tmp_path: Path, ended_process: int):
    assert not is_running(ended_process)
    assert is_running(os.getpid())
    gone = [f".a.kgclip-{ended_process}-abcd_123", f".b.c.kgclip-{ended_process}-00000000"]
    stay = [
        f".a.kgclip-{os.getpid()}-abcd_123",
        f"a.kgclip-{ended_process}-abcd_123",
        f".a.kgclip-{ended_process}-notes",
        ".a.kgclip-part",
        ".a.kgclip-lock",
        "a",
    ]
    for name in stay:
        (tmp_path / name).touch()
    (tmp_path / gone[0]).touch()
    (tmp_path / gone[1] / "inside").mkdir(parents=True)
    clear_remains(tmp_path, "b.c")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, gone[0]])
    clear_remains(tmp_path)
    clear_remains(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)
    assert [is_ours(name) for name in (*gone, *stay)] == [True, True, True, False, False, False, True, False]


def test_names_of_temporary_folders_are_not_shown():
    assert final_path(Path("/x/.run.kgclip-12-abcd1234/model.safetensors")) == Path("/x/run/model.safetensors")


def test_a_folder_goes_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    remove_folder(tmp_path / "gone")
    folder = tmp_path / "state"
    (folder / "epoch").mkdir(parents=True)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # as if it was killed before it
    remove_folder(folder)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".state.kgclip-{os.getpid()}-")


def test_scratch_folders_of_ended_processes_go(tmp_path: Path, ended_process: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"kgclip-compare-{ended_process}-abcd1234"
    other = tmp_path / f"kgclip-serve-{ended_process}-abcd1234"
    for folder in (left, other):
        folder.mkdir()
    with scratch_folder("compare") as folder:
        assert folder.is_dir()
        assert set(tmp_path.iterdir()) == {folder, other}
        with scratch_folder("compare") as second:
            assert set(tmp_path.iterdir()) == {folder, second, other}
    assert list(tmp_path.iterdir()) == [other]


def test_a_scratch_folder_that_is_held_elsewhere_stays(
    tmp_path: Path, ended_process: int, monkeypatch: pytest.MonkeyPatch
):
    """By a process of another container: it is not seen here, its lock is."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder("compare") as folder:
        held = tmp_path / f"kgclip-compare-{ended_process}-abcd1234"
        folder.rename(held)
        with scratch_folder("compare"):
            assert held.is_dir()
        held.rename(folder)
