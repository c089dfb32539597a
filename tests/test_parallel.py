"""Worker processes give the same as none, in order, and end with who started them."""

import signal
import subprocess
import sys
import time
from functools import partial
from operator import add
from pathlib import Path

import pytest

from kgclip.parallel import map_in_workers

# Workers that imported it, as those of multiprocessing do, would stop at its first line.
SCRIPT = """
assert __name__ == "__main__"
import os, sys, time
from functools import partial
from pathlib import Path
from kgclip.parallel import map_in_workers
def work(folder, seconds):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(float(seconds))
    return os.getpid()
print(os.getpid() in map_in_workers(partial(work, sys.argv[1]), [sys.argv[2]] * 2, 2, place="here"))
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """The command that runs it; its workers leave their numbers in ``tmp_path / "seen"``."""
    (tmp_path / "seen").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    return [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "seen")]


@pytest.mark.parametrize("workers", [0, 1, 2, 9])
def test_results_come_in_order(workers: int):
    assert list(map_in_workers(partial(add, 1), range(7), workers, place="here", chunk=2)) == list(range(1, 8))
    assert list(map_in_workers(partial(add, 1), [], workers, place="here")) == []


def test_a_script_needs_no_guard(tmp_path: Path, script: list[str]):
    done = subprocess.run([*script, "0"], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert list((tmp_path / "seen").iterdir())


def running(pid: str) -> bool:
    """Whether there is such a process, other than a dead one that nobody has asked after."""
    command = Path("/proc", pid, "cmdline")
    return command.exists() and command.read_bytes() != b""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, script: list[str]):
    with subprocess.Popen([*script, "60"]) as parent:
        for _ in range(300):
            pids = [file.name for file in (tmp_path / "seen").iterdir()]
            if len(pids) == 2:
                break
            time.sleep(0.1)
        assert len(pids) == 2
        assert all(map(running, pids))
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not any(map(running, pids)):
            break
        time.sleep(0.1)
    assert not any(map(running, pids))
