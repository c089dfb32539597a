"""Faults other than a kill: what a run says of each, and whether the next run ends as an unbroken one."""

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.soak.commands import Command
from tests.soak.place import CACHE, SCRATCH, Place, Unbroken, ended_well
from tests.soak.process import Ended, Kill

ROOM = (0.3, 0.7)
"""Of what a command writes, that a disk has room for."""
PAGE = 4096
MOST_TRIES = 5
"""Of moments, on a machine that is busy."""


@dataclass(frozen=True)
class Trial:
    """One fault that met one command.

    Attributes:
        problem: what was wrong with what came of it; None if nothing was.
        said: the sentence, without folders; empty where the run ended well.
    """

    fault: str
    command: str
    said: str
    problem: str | None

    def __str__(self) -> str:
        wrong = "" if self.problem is None else f"\n  WRONG: {self.problem}"
        return f"{self.fault}, {self.command}: {self.said or 'ends well'}{wrong}"


@dataclass(frozen=True)
class Tried:
    """A command with what its unbroken run gave, on which faults are tried."""

    place: Place
    command: Command
    whole: Unbroken
    rng: random.Random

    def ended(self, fault: str, ended: Ended, *, may_end_well: bool = False) -> Trial:
        """Judge a run that met a fault; the fault is over, and the command is started again."""
        place, command = self.place, self.command
        problem = place.half_written(command, self.whole)
        if ended.code == 0 and not problem:
            problem = self.whole.differs(place, command, ended)
        if "Traceback" in ended.err or ended.code not in (0, 2) or (ended.code == 0 and not may_end_well):
            problem = f"exit code {ended.code}: {ended.err[-2000:]}"
        if ended.code == 2 and (not ended.sentence.startswith(("kgclip: ", "experiments: "))):
            problem = f"says {ended.sentence}"
        again = place.run(command)
        if problem is None and not ended_well(again):
            problem = f"started again: exit code {again.code}: {again.err[-2000:]}"
        problem = problem or self.whole.differs(place, command, again)
        return Trial(fault, command.name, self.said(ended) if ended.code else "", problem)

    def said(self, ended: Ended) -> str:
        """The sentence without what is another in every trial."""
        sentence = ended.sentence.replace(f"{self.place.out}/", "").replace(f"{self.place.given}/", "")
        sentence = re.sub(r"\.kgclip-\d+-\w{8}", "", sentence)
        return re.sub(r"process \d+", "process N", re.sub(r"(kgclip-[a-z]+)-\d+-\w{8}(/\d+)?", r"\1-…", sentence))


def full_disk(tried: Tried) -> Trial:
    """A disk that has no room left, by a small tmpfs; without the right to mount one, a limit on the size of files."""
    place, share = tried.place, tried.rng.uniform(*ROOM)
    if not may_mount():
        place.fresh()
        return tried.ended("full disk", place.run(tried.command, most_bytes=round(share * max(tried.whole.sizes))))
    room = sum(-(-size // PAGE) * PAGE for size in tried.whole.sizes)
    with mounted(place.out, f"size={round(share * room)}") as remount:
        place.fresh()
        ended = place.run(tried.command)
        remount("size=1g")
        return tried.ended("full disk", ended)


def read_only(tried: Tried) -> Trial | None:
    """Outputs where nothing can be written; not tried without the right to mount such a file system."""
    if not may_mount():
        return None
    place = tried.place
    place.fresh()
    with mounted(place.out, "size=1g") as remount:
        place.fresh()
        remount("ro")
        ended = place.run(tried.command, scratch=place.folder)
        remount("rw")
        return tried.ended("read-only output", ended)


def vanished(tried: Tried) -> Trial:
    """The folder that a run writes is removed under it at a random moment, before it has written all of it."""
    place = tried.place

    def remove(process: int) -> None:
        end = time.monotonic() + tried.whole.ended.wall_s
        time.sleep(tried.rng.uniform(0.2, 0.9) * tried.whole.ended.wall_s)
        while time.monotonic() < end:
            mine = [path for path in place.out.iterdir() if path.name not in (SCRATCH, CACHE)]
            if mine:
                for path in mine:
                    shutil.rmtree(path, ignore_errors=True)
                return
            time.sleep(0.01)

    tries = 0
    while True:
        tries += 1
        place.fresh()
        ended = place.run(tried.command, meanwhile=remove)
        if ended.code or tries == MOST_TRIES or {path.name for path in place.out.iterdir()} - {SCRATCH, CACHE}:
            break
    return tried.ended("folder vanished", ended, may_end_well=True)


def two_runs(tried: Tried) -> Trial:
    """A second run of the same command while the first one works: it is refused, and the first one ends as ever."""
    place, said = tried.place, list[Ended]()

    def second(process: int) -> None:
        end = time.monotonic() + 60
        while not list(place.out.glob(".*.kgclip-lock")) and time.monotonic() < end:
            time.sleep(0.005)
        os.kill(process, signal.SIGSTOP)
        said.append(place.run(tried.command, logs="second"))
        os.kill(process, signal.SIGCONT)

    tries = 0
    while True:
        tries += 1
        place.fresh()
        first = place.run(tried.command, meanwhile=second)
        if tries == MOST_TRIES or "exists already" not in said[-1].err:  # the first one had not yet ended
            break
    refused = said[-1].code == 2 and "is writing it" in said[-1].err
    trial = tried.ended("two runs on one output", first, may_end_well=True)
    problem = trial.problem or (None if refused and first.code == 0 else f"{said[-1].err}{first.err}")
    return Trial(trial.fault, trial.command, tried.said(said[-1]), problem)


def clock(tried: Tried) -> Trial:
    """A run is killed half-way, its files are dated two days ahead, and the next one starts with the clock set back."""
    place = tried.place
    place.fresh()
    place.run(tried.command, Kill(after_s=0.7 * tried.whole.ended.wall_s))
    ahead = time.time() + 2 * 86400
    for path in place.out.rglob("*"):
        os.utime(path, (ahead, ahead), follow_symlinks=False)
    ended = place.run(tried.command, before=set_back)
    trial = tried.ended("clock set back", ended, may_end_well=True)
    return Trial(trial.fault, trial.command, "", trial.problem or (None if ended_well(ended) else ended.err))


def set_back() -> None:
    """Have the clock of this process go back an hour whenever it is read."""
    now = [time.time()]

    def earlier() -> float:
        now[0] -= 3600
        return now[0]

    time.time, time.time_ns = earlier, lambda: int(earlier() * 1e9)


FAULTS: tuple[Callable[[Tried], Trial | None], ...] = (full_disk, read_only, vanished, two_runs, clock)
"""That are tried on every command."""


@cache
def may_mount() -> bool:
    """Whether this process may mount file systems, which needs root and, in a container, its leave."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder, suppress(subprocess.CalledProcessError), mounted(Path(folder), "ro"):
        return True
    return False


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A file system in memory at a folder; gives a function that changes its options."""

    def mount(words: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", words, "kgclip-soak", str(folder)], check=True, capture_output=True
        )

    mount(options)
    try:
        yield lambda words: mount(f"remount,{words}")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
