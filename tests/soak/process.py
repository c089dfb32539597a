"""Commands in processes of their own, forked where everything is imported, killed at a moment or under limits."""

import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_S = 300.0
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod")
IMPORTED = """
    kgclip.cli.data kgclip.cli.train kgclip.cli.kg kgclip.cli.annotate kgclip.cli.search kgclip.cli.export
    kgclip.cli.compare kgclip.cli.fit kgclip.cli.predict kgclip.compare kgclip.engine.export kgclip.engine.fit
    kgclip.pose.annotate kgclip.report.fit_page kgclip.search.indexing kgclip.search.reading kgclip.synthetic.dataset
    kgclip.video.decode experiments.__main__ experiments.runner onnx onnxscript onnxruntime polars lightning_fabric
"""


@dataclass(frozen=True)
class Kill:
    """A moment to end a process by SIGKILL.

    Attributes:
        after_s: seconds after its start; None waits for a change.
        at_change: the number, from 1, of a change of files under ``changed``, before which it comes.
        group: all processes of the run, or the first alone.
    """

    after_s: float | None = None
    at_change: int | None = None
    group: bool = True


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: its exit code; a signal as a negative number.
        out, err: what it said.
        wall_s: seconds that it took.
        changes: of files under the folder that was watched.
    """

    code: int
    out: str
    err: str
    wall_s: float
    changes: int

    @property
    def sentence(self) -> str:
        """The last line on stderr."""
        return (self.err.strip().splitlines() or [""])[-1]


def import_all() -> None:
    """Import what commands need, so that forked processes start at once."""
    import torch

    torch.set_num_threads(1)
    for name in IMPORTED.split():
        importlib.import_module(name)


def run(
    words: Sequence[str],
    folder: Path,
    *,
    watched: Path | None = None,
    kill: Kill | None = None,
    before: Callable[[], None] | None = None,
    meanwhile: Callable[[int], None] | None = None,
) -> Ended:
    """Run a command line in a forked process, at most `MOST_S` long.

    Args:
        words: of the command line.
        folder: for what it says.
        watched: folder of the files whose changes count.
        kill: when it is killed, if at all.
        before: is called in the new process first, to set limits.
        meanwhile: is called here with the process's number while it runs.
    """
    started = time.monotonic()
    files = [folder / name for name in ("stdout", "stderr", "changes")]
    for file in files:
        file.write_text("")
    pid = os.fork()
    if pid == 0:
        _child(words, files, watched, kill, before)
    if meanwhile is not None:
        meanwhile(pid)
    end = started + (MOST_S if kill is None or kill.after_s is None else kill.after_s)
    status = _wait(pid, end)
    if status is None:
        with suppress(ProcessLookupError):  # it has just begun, and has no group yet
            os.killpg(pid, signal.SIGKILL) if kill is None or kill.group else None
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert kill is not None, f"{' '.join(words)} took longer than {MOST_S:g} s"
    out, err, changes = (file.read_text(errors="replace") for file in files)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, out, err, time.monotonic() - started, int(changes or 0))


def _wait(pid: int, end: float) -> int | None:
    """The status of a process that ends before a time, None if it does not."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(left, 0.005))


def _child(
    words: Sequence[str], files: Sequence[Path], watched: Path | None, kill: Kill | None, before: Callable | None
) -> None:
    """Run the command in this process, which ends here."""
    code = 1
    try:
        os.setsid()
        for number, file in ((1, files[0]), (2, files[1])):
            os.dup2(os.open(file, os.O_WRONLY | os.O_TRUNC), number)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        changes = _Changes(watched, kill)
        if before is not None:
            before()
        sys.addaudithook(changes)
        code = _main(list(words))
        changes.watched = None
        files[2].write_text(str(changes.count))
    except BaseException:  # noqa: BLE001 (it is what the trial looks for)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main(words: list[str]) -> int:
    if words[0] == "experiments":
        from experiments.__main__ import main

        return main(words[1:])
    from kgclip.cli.main import run as run_command

    return run_command(words)


class _Changes:
    """An audit hook that counts changes of files in a folder, and kills before one of them."""

    def __init__(self, watched: Path | None, kill: Kill | None):
        self.watched, self.kill, self.count = None if watched is None else str(watched), kill, 0

    def __call__(self, event: str, args: tuple) -> None:
        if self.watched is None or not self._changes(event, args):
            return
        self.count += 1
        if self.kill is not None and self.count == self.kill.at_change:
            (os.killpg if self.kill.group else os.kill)(os.getpid(), signal.SIGKILL)

    def _changes(self, event: str, args: tuple) -> bool:
        if event == "open":
            path, _, flags = args
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and self._inside(path)
        return event in EVENTS and self._inside(args[0])

    def _inside(self, path: object) -> bool:
        # A path in a folder that is open, as shutil.rmtree gives them, counts as well.
        return isinstance(path, str | os.PathLike) and (
            str(path).startswith(str(self.watched)) or not Path(path).is_absolute()
        )
