"""Commands killed at random moments: nothing is half-written, and the next run ends as an unbroken one."""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from kgclip.errors import KgclipError
from tests.soak.commands import COMMANDS, Command, make_inputs, tree
from tests.soak.process import Ended, Kill, run

SLOWEST = 1.5
"""By this factor a run may be slower than the unbroken one and still be hit."""
MOST_TRIES = 4
NEAR = 15
"""Changes of files."""
DONE_BEFORE = ("exists already", "nothing is left to --resume")


@dataclass
class Tally:
    """What came of one command's kills.

    Attributes:
        kills: by SIGKILL, before the run had ended.
        survived: after which the command, started again, ended well.
        identical: after which its files were those of the unbroken run, and nothing else was left.
        findings: what was wrong.
    """

    name: str
    wall_s: float
    kills: int = 0
    survived: int = 0
    identical: int = 0
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where trials run: inputs, and a folder for outputs that is made anew for each."""

    folder: Path

    @property
    def given(self) -> Path:
        """Inputs."""
        return self.folder / "given"

    @property
    def out(self) -> Path:
        """Outputs."""
        return self.folder / "out"

    def clear(self) -> None:
        """Make the folder of outputs anew."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()

    def run(self, command: Command, kill: Kill | None = None, **options) -> Ended:
        """Run a command, or go on with it."""
        words = command.words.format(given=self.given, out=self.out).split()
        if command.again and (self.out / command.state).exists():
            words.append(command.again)
        watched = self.out
        return run(words, self.folder, watched=watched, kill=kill, before=lambda: self._saving(command), **options)

    @staticmethod
    def _saving(command: Command) -> None:
        for name in command.every_clip:
            module, variable = name.rsplit(".", 1)
            setattr(import_module(module), variable, 0.0)


@contextmanager
def open_place() -> Iterator[Place]:
    """A folder with the inputs of all commands."""
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="kgclip-soak-", dir=shared_memory if shared_memory.is_dir() else None
    ) as name:
        place = Place(Path(name))
        place.given.mkdir()
        # What commands put aside for later runs, and what they need for a while, is among the outputs.
        os.environ["XDG_CACHE_HOME"], os.environ["TMPDIR"] = str(place.out / "cache"), str(place.out / "tmp")
        tempfile.tempdir = str(place.out / "tmp")
        place.clear()

        def make(line: str) -> None:
            place.out.joinpath("tmp").mkdir(exist_ok=True)
            ended = run(line.split(), place.folder)
            if ended.code:
                raise RuntimeError(f"{line}: {ended.err}")

        make_inputs(place.given, make)
        yield place
        tempfile.tempdir = None


def soak(commands: Sequence[Command], kills: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """Kill each command that many times in turn."""
    with open_place() as place:
        return [_soak_one(place, command, kills, random.Random(f"{command.name} {seed}"), say) for command in commands]


def _soak_one(place: Place, command: Command, kills: int, rng: random.Random, say: Callable[[str], None]) -> Tally:
    unbroken, expected = _unbroken(place, command)
    repeated, again = _unbroken(place, command)
    tally = Tally(command.name, repeated.wall_s)
    say(f"{command.name}: {repeated.wall_s:.1f} s, {repeated.changes} changes of files, {len(expected)} files")
    if again != expected or (command.says and unbroken.out != repeated.out):
        tally.findings.append(f"two unbroken runs differ: {_differing(expected, again)}")
    while tally.kills < kills and len(tally.findings) < 20:
        _trial(place, command, repeated, expected, rng, min(kills - tally.kills, rng.choice((1, 1, 2))), tally)
    say(f"  {tally.kills} kills, {tally.survived} survived, {tally.identical} identical")
    for finding in tally.findings:
        say(f"  {finding}")
    return tally


def _unbroken(place: Place, command: Command) -> tuple[Ended, dict[str, str]]:
    _fresh(place)
    ended = place.run(command)
    if ended.code:
        raise RuntimeError(f"{command.name} ended with {ended.code}: {ended.err}")
    return ended, tree(place.out)


def _fresh(place: Place) -> None:
    place.clear()
    (place.out / "tmp").mkdir()


def _trial(
    place: Place,
    command: Command,
    unbroken: Ended,
    expected: dict[str, str],
    rng: random.Random,
    kills: int,
    tally: Tally,
) -> None:
    """Kill a run, and the run that goes on from there, so many times; then let one end."""
    _fresh(place)
    killed, moments, wrong = 0, [], None
    for _ in range(MOST_TRIES * kills):
        kill = _moment(unbroken, rng)
        ended = place.run(command, kill)
        if ended.code == -signal.SIGKILL:
            killed += 1
            moments.append(kill)
            wrong = wrong or _half_written(place.out, command, expected)
        elif not _ended_well(ended):
            wrong = wrong or f"started again after a kill: exit code {ended.code}: {ended.err[-3000:]}"
        if killed == kills or wrong or (killed and ended.code != -signal.SIGKILL):
            break
        if not killed:
            _fresh(place)
    if not killed:
        return
    tally.kills += killed
    ended = place.run(command)
    if not _ended_well(ended):
        wrong = wrong or f"exit code {ended.code}: {ended.err[-3000:]}"
    if wrong:
        tally.findings.append(f"{moments}: {wrong}")
        return
    tally.survived += killed
    found = tree(place.out)
    if found != expected:
        tally.findings.append(f"{moments}: {_differing(expected, found)}")
    elif command.says and ended.out != unbroken.out:
        tally.findings.append(f"{moments}: says {ended.out}")
    else:
        tally.identical += killed


def _ended_well(ended: Ended) -> bool:
    """Whether a run did its work, or found it done by one that was killed at the very end."""
    return ended.code == 0 or (ended.code == 2 and any(words in ended.err for words in DONE_BEFORE))


def _moment(unbroken: Ended, rng: random.Random) -> Kill:
    """A moment of the run: of its time, or before one of its changes of files, where little time is spent."""
    group = rng.random() < 0.7
    if rng.random() < 0.5 and unbroken.changes:
        # Where a run begins and ends, what it puts aside changes its name or goes.
        near = rng.choice((0, rng.randint(1, NEAR), unbroken.changes - rng.randint(0, NEAR)))
        within = 1 <= near <= unbroken.changes
        return Kill(at_change=near if within else rng.randint(1, unbroken.changes), group=group)
    return Kill(after_s=rng.uniform(0, unbroken.wall_s), group=group)


def _half_written(out: Path, command: Command, expected: dict[str, str]) -> str | None:
    """What is there under its own name and not as the unbroken run writes it."""
    for name, value in tree(out, without=command.state or "tmp").items():
        hidden = any(part.startswith(".") for part in Path(name).parts) or name.startswith("tmp")
        if hidden or name.endswith(".training") or ".training/" in name:
            continue
        read = command.partial.get(Path(name).name)
        if read is not None:
            try:
                read(out / name)
            except KgclipError as error:
                return str(error)
        elif expected.get(name) != value:
            return f"{name} is half-written or stray"
    return None


def _differing(expected: dict[str, str], found: dict[str, str]) -> str:
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    words = [
        f"{name} ({'missing' if name not in found else 'left' if name not in expected else 'differs'})"
        for name in names
    ]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def by_name(names: Sequence[str]) -> list[Command]:
    """Commands by name."""
    return [command for command in COMMANDS if command.name in names]
