"""One process at a time on one output, and what killed runs left is gone for the next one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgclip import locks
from kgclip.cli.main import run
from kgclip.errors import KgclipError
from kgclip.locks import claim_output, claims, free_output, lock


def test_outputs_that_are_there_are_refused(tmp_path: Path):
    free_output(tmp_path / "new")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for name in (".", "dangling"):
        with pytest.raises(KgclipError, match="exists already; choose another --to or remove it"):
            free_output(tmp_path / name, "--to")


LOCK = """
import sys, pathlib
from kgclip.locks import lock
with lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_write_one_output(tmp_path: Path):
    out = tmp_path / "model"
    command = [sys.executable, "-c", LOCK, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        busy = pytest.raises(KgclipError, match=rf"model: process {other.pid} is writing it; wait until that ends, or")
        with busy, lock(out):
            pass
        other.kill()
    # What a killed process left does not block the next, and nothing is left in the end.
    with lock(out):
        assert [path.name for path in tmp_path.iterdir()] == [".model.kgclip-lock"]
    assert list(tmp_path.iterdir()) == []


FORKING = """
import os, sys, time, pathlib
from kgclip.locks import lock
with lock(pathlib.Path(sys.argv[1])):
    if os.fork() == 0:
        os.close(1)
        time.sleep(float(sys.argv[2]))
        os._exit(0)
    print("held", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_has_forked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Workers that decode hold the lock of their trainer until they notice that it has gone."""
    out = tmp_path / "model"
    subprocess.run([sys.executable, "-c", FORKING, str(out), "1"], stdout=subprocess.PIPE, check=False)
    started = time.monotonic()
    with lock(out):
        pass
    assert time.monotonic() - started > 0.3
    monkeypatch.setattr(locks, "ORPHANS_S", 0.3)
    subprocess.run([sys.executable, "-c", FORKING, str(out), "5"], stdout=subprocess.PIPE, check=False)
    with pytest.raises(KgclipError, match="is writing it"), lock(out):
        pass


def test_a_lock_takes_away_what_killed_runs_left(tmp_path: Path, ended_process: int):
    out = tmp_path / "model"
    out.mkdir()
    left = [f"{folder}.{name}.kgclip-{ended_process}-abcd1234" for folder, name in (("", "model"), ("model/", "x"))]
    others = [f".model.kgclip-{os.getpid()}-abcd1234", f".other.kgclip-{ended_process}-abcd1234", ".model.kgclip-part"]
    for name in left + others:
        (tmp_path / name).mkdir()
    with lock(out):
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "model", ".model.kgclip-lock"])
        assert list(out.iterdir()) == []


def test_an_output_that_cannot_be_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(KgclipError, match=r"file/model: cannot be written \(.*\); name another place, or make"),
        lock(tmp_path / "file" / "model"),
    ):
        pass
    with pytest.raises(KgclipError, match="is no name of an output"), lock(Path()):
        pass


def test_a_command_keeps_others_off_what_it_will_write(tmp_path: Path):
    out = tmp_path / "graph.parquet"
    with claims():
        claim_output(out)
        with pytest.raises(KgclipError, match=f"graph.parquet: process {os.getpid()} is writing it"), claims():
            claim_output(out)
    assert list(tmp_path.iterdir()) == []
    out.touch()
    with pytest.raises(KgclipError, match="exists already"), claims():
        claim_output(out)
    assert list(tmp_path.iterdir()) == [out]


def test_two_builds_of_one_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "graph.parquet"
    with lock(out):
        assert run(["kg", "build", "--definitions", "shipped", "--out", str(out)]) == 2
    assert "is writing it, and that is this one; give each output a name of its own" in capsys.readouterr().err
