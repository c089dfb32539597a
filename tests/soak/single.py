"""Faults of single commands: a loss that is not a number, damaged states, and processes of theirs that are killed."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.soak.commands import COMMANDS, Command
from tests.soak.faults import Trial, Tried

BY_NAME = {command.name: command for command in COMMANDS}
GRADIENT, EXPORT = BY_NAME["train, by gradient"], BY_NAME["export"]
BY_WORKERS = {
    "": Command(
        "train, a process that decodes",
        "train --data {given}/figures --out {out}/run --frames 4 --workers 2 --device cpu --save-every-s 0 "
        "--model.tuning partial --model.partial-layers 1 --optim.epochs 3 --optim.batch-size 4",
        again="--resume",
        state="run.training",
    ),
    "popen_loky": replace(
        BY_NAME["annotate"],
        name="annotate, a process that looks at clips",
        words="annotate {given}/clips --out {out}/parts --pose {given}/poses --workers 2",
    ),
    "apart": Command(
        "data features --untrusted, the process apart",
        "data features {given}/figures --out {out}/features.safetensors --frames 8 --untrusted --workers 1",
    ),
}
"""Commands of which a process is killed, by what that was started with; one that was forked is as its parent."""


def dead_worker(tried: Tried) -> Trial:
    """A process that works for the run is killed, as the system does where memory ends."""
    place = tried.place
    words = next(words for words, command in BY_WORKERS.items() if command == tried.command)
    place.fresh()

    def kill(process: int) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            workers = [each for each in children(process) if words in command_line(each)]
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(workers[0], signal.SIGKILL)
                return
            time.sleep(0.002)

    return tried.ended("worker killed", place.run(tried.command, meanwhile=kill))


def not_a_number(tried: Tried) -> Trial:
    """The numbers of one clip are NaN in the third epoch."""
    place, names = tried.place, list[str]()
    place.fresh()
    name_file = place.folder / "nan"

    def spoil() -> None:
        from kgclip.engine.step import TrainingStep

        forward, steps = TrainingStep.forward, [0]

        def spoiled(self: TrainingStep, index, frames, *rest):
            steps[0] += 1
            if steps[0] == 2 * 2 + 1:
                frames[1] = float("nan")
                name_file.write_text(self.targets.names["video"][int(index[1])])
            return forward(self, index, frames, *rest)

        TrainingStep.forward = spoiled  # pyright: ignore[reportAttributeAccessIssue]

    ended = place.run(tried.command, before=spoil)
    names = name_file.read_text()
    states = sorted(path.name for path in place.out.glob("run.training/epoch-*"))
    trial = tried.ended("loss not a number", ended)
    named = f"nan on {names};" in ended.err and states == ["epoch-000001", "epoch-000002"]
    return replace(trial, problem=trial.problem or (None if named else f"{ended.err}; kept {states}"))


def damaged_state(tried: Tried) -> Trial:
    """A byte of the newest state has changed: it is named, and removing it goes on from the one before."""
    place = tried.place
    place.fresh()
    place.run(tried.command, meanwhile=until(lambda: len(list(place.out.glob("run.training/epoch-*"))) == 2))
    newest = max(place.out.glob("run.training/epoch-*"))
    flip(newest / "weights.safetensors")
    ended = place.run(tried.command)
    offered = f"remove {newest} to go on from epoch-" in ended.err and "weights.safetensors changed" in ended.err
    if offered:
        shutil.rmtree(newest)
    trial = tried.ended("damaged state", ended)
    return replace(trial, problem=trial.problem or (None if offered else ended.err))


def damaged_model(tried: Tried) -> Trial:
    """A byte of a model's weights has changed."""
    place = tried.place
    place.fresh()
    weights = place.given / "model" / "model.safetensors"
    flip(weights)
    ended = place.run(tried.command)
    flip(weights)
    trial = tried.ended("damaged model", ended)
    return replace(trial, problem=trial.problem or (None if "model.safetensors changed" in ended.err else ended.err))


SINGLE: tuple[tuple[Command, Callable[[Tried], Trial]], ...] = (
    *((command, dead_worker) for command in BY_WORKERS.values()),
    (GRADIENT, not_a_number),
    (GRADIENT, damaged_state),
    (EXPORT, damaged_model),
)


def until(condition: Callable[[], bool]) -> Callable[[int], None]:
    """Kill a run once a condition holds."""

    def wait(process: int) -> None:
        end = time.monotonic() + 60
        while not condition() and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(process, signal.SIGKILL)

    return wait


def flip(file: Path) -> None:
    """Change the bits of a byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def children(process: int) -> list[int]:
    """The processes below one, at any depth."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, level = [], [process]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found


def command_line(process: int) -> str:
    """What a process was started with, empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text()
    return ""
