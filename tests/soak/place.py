"""Where trials run: the inputs of all commands, and a folder for outputs that is made anew for each."""

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kgclip.errors import KgclipError
from tests.soak.commands import Command, make_inputs, tree
from tests.soak.process import Ended, Kill, run

DONE_BEFORE = ("exists already", "nothing is left to --resume")
SCRATCH, CACHE = "tmp", "cache"
"""What commands need for a while, and put aside for later runs, lies among the outputs."""


@dataclass(frozen=True)
class Place:
    """A folder of trials."""

    folder: Path

    @property
    def given(self) -> Path:
        """Inputs."""
        return self.folder / "given"

    @property
    def out(self) -> Path:
        """Outputs."""
        return self.folder / "out"

    def fresh(self) -> None:
        """Empty the folder of outputs."""
        self.out.mkdir(exist_ok=True)
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.out / SCRATCH).mkdir()

    def run(
        self,
        command: Command,
        kill: Kill | None = None,
        *,
        before: Callable[[], None] = lambda: None,
        meanwhile: Callable[[int], None] | None = None,
        scratch: Path | None = None,
        most_bytes: int | None = None,
        logs: str = "logs",
    ) -> Ended:
        """Run a command, or go on with it.

        Args:
            kill, before, meanwhile: see :func:`tests.soak.process.run`.
            scratch: the folder of temporary files, None for that among the outputs.
            most_bytes: of a file that is written.
            logs: folder for what it says.
        """
        words = command.words.format(given=self.given, out=self.out).split()
        if command.again and (self.out / command.state).exists():
            words.append(command.again)

        def prepare() -> None:
            for name in command.every_clip:
                module, variable = name.rsplit(".", 1)
                setattr(import_module(module), variable, 0.0)
            if scratch is not None:
                tempfile.tempdir = str(scratch)
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            before()

        (self.folder / logs).mkdir(exist_ok=True)
        return run(words, self.folder / logs, watched=self.out, kill=kill, before=prepare, meanwhile=meanwhile)

    def unbroken(self, command: Command) -> "Unbroken":
        """Run a command to its end."""
        self.fresh()
        ended = self.run(command)
        if ended.code:
            raise RuntimeError(f"{command.name} ended with {ended.code}: {ended.err}")
        sizes = tuple(path.stat().st_size for path in self.out.rglob("*") if path.is_file())
        return Unbroken(ended, tree(self.out), sizes)

    def half_written(self, command: Command, whole: "Unbroken") -> str | None:
        """What is there under its own name and not as the unbroken run writes it."""
        for name, value in tree(self.out).items():
            first = Path(name).parts[0]
            hidden = any(part.startswith(".") for part in Path(name).parts)
            state = any(part.endswith(".training") for part in Path(name).parts)
            if hidden or state or first == SCRATCH:
                continue
            read = command.partial.get(Path(name).name)
            if read is not None:
                try:
                    read(self.out / name)
                except KgclipError as error:
                    return str(error)
            elif whole.files.get(name) != value:
                return f"{name} is half-written or stray"
        return None


@dataclass(frozen=True)
class Unbroken:
    """What a run gives that nothing happened to.

    Attributes:
        ended: how it ended.
        files: what it wrote (see :func:`tests.soak.commands.tree`).
        sizes: of these files, bytes.
    """

    ended: Ended
    files: dict[str, str]
    sizes: tuple[int, ...]

    def differs(self, place: Place, command: Command, ended: Ended) -> str | None:
        """What is different after another run that went on from a fault."""
        found = tree(place.out)
        names = sorted(name for name in {*self.files, *found} if self.files.get(name) != found.get(name))
        if names:
            how = {
                name: "missing" if name not in found else "differs" if name in self.files else "left" for name in names
            }
            return ", ".join(f"{name} ({how[name]})" for name in names[:8])
        return f"says {ended.out}" if command.says and ended.out != self.ended.out else None


def ended_well(ended: Ended) -> bool:
    """Whether a run did its work, or found it done by one that was killed at the very end."""
    return ended.code == 0 or (ended.code == 2 and any(words in ended.err for words in DONE_BEFORE))


@contextmanager
def open_place() -> Iterator[Place]:
    """A folder with the inputs of all commands."""
    shared_memory = Path("/dev/shm")
    home = str(shared_memory) if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kgclip-soak-", dir=home) as name, _environment(Path(name)):
        place = Place(Path(name))
        place.given.mkdir()
        place.fresh()
        place.folder.joinpath("logs").mkdir()

        def make(line: str) -> None:
            ended = run(line.split(), place.folder / "logs")
            if ended.code:
                raise RuntimeError(f"{line}: {ended.err}")

        make_inputs(place.given, make)
        yield place


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    changed: dict[str, Any] = {"XDG_CACHE_HOME": folder / "out" / CACHE, "TMPDIR": folder / "out" / SCRATCH}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update({name: str(path) for name, path in changed.items()})
    tempfile.tempdir = str(changed["TMPDIR"])
    try:
        yield
    finally:
        tempfile.tempdir = None
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
