"""One reader in a process of its own: damaged files until the time is up, within limits; what is wrong is written."""

import argparse
import mmap
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgclip.errors import KgclipError
from tests.fuzz.readers import READERS, Reader

MOST_BYTES = 2**30
CASE_S, WAIT_S = 10.0, 300.0
"""Of the processor, however busy the machine is; and of waiting for anything at all."""
BYTES_A_SECOND = 2**24
"""A second more of the processor for so many bytes of a file: a decoder goes through each, more than once."""
SOUND, COUNT = "sound", "count"
"""Files of the parent: the sound content of the file that is damaged, and the number of cases that were run."""


def problem_of(reader: Reader, file: Path, content: bytes) -> str | None:
    """What is wrong with how a reader takes this content of its file; None if it is read or refused in one sentence."""
    file.write_bytes(content)
    return problem_with(reader, file)[2]


def problem_with(reader: Reader, file: Path) -> tuple[str, str, str | None]:
    """How a reader ends with a file ("read", "refused", "failed"), what it gives or says, and what is wrong with it."""
    try:
        return "read", repr(reader.read(file)), None
    except KgclipError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError) and _takes_more(reader, file):
                return "refused", str(error), f"took more than {MOST_BYTES:,} bytes: {error}"
            cause = cause.__cause__
        return "refused", str(error), None
    except Exception as error:  # noqa: BLE001 (whatever it is)
        return "failed", str(error), traceback.format_exc()


def _takes_more(reader: Reader, file: Path) -> bool:
    """Whether a file takes more memory than `MOST_BYTES` where it may.

    FFmpeg also asks for room that it never touches, and refuses sizes that no video has as if memory were missing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak_bytes()
    try:
        reader.read(file)
    except Exception:  # noqa: BLE001 (how it ends has been judged)
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return _peak_bytes() - before > MOST_BYTES


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def kind_of(problem: str) -> str:
    """What problems of one origin have in common: the last line of code of a traceback, else the first words."""
    lines = [line for line in problem.splitlines() if line.startswith('  File "')]
    return lines[-1] if lines else problem[:20]


@contextmanager
def limited(file_bytes: int = 0) -> Iterator[None]:
    """Kill this process where the block takes more of the processor than such a file may, or `WAIT_S` altogether."""
    timers = {signal.ITIMER_PROF: CASE_S + file_bytes / BYTES_A_SECOND, signal.ITIMER_REAL: WAIT_S}
    for timer, seconds in timers.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)


class Cases:
    """The cases of one process: counted in a file, so that the count outlives it, each timed by a signal that kills."""

    def __init__(self, reader: Reader, folder: Path, findings: Path):
        self.reader, self.file, self.findings = reader, folder / reader.file, findings
        with (folder / COUNT).open("rb+") as count:
            self._count = mmap.mmap(count.fileno(), 8)
        self._kinds: set[str] = set()

    def run(self, content: bytes) -> None:
        """Run one case."""
        with limited():
            problem = problem_of(self.reader, self.file, content)
        done = struct.unpack("q", self._count[:])[0] + 1
        self._count[:] = struct.pack("q", done)
        if problem is not None and kind_of(problem) not in self._kinds:
            self._kinds.add(kind_of(problem))
            write_finding(self.reader, self.findings, content, problem)


def write_finding(reader: Reader, findings: Path, content: bytes, problem: str) -> None:
    """Write a case and what was wrong into the folder named after the reader."""
    folder = findings / reader.folder_name
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*.txt")))
    (folder / f"{number}-{Path(reader.file).name}").write_bytes(content)
    (folder / f"{number}.txt").write_text(f"{problem}\n", encoding="utf-8", errors="replace")


def limit_memory() -> None:
    """Give this process `MOST_BYTES` more than it has."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def with_seed(cases: Cases, seed: bytes, end: float, rng: random.Random) -> None:
    """Damage the sound file once to three times."""
    while time.monotonic() < end:
        content = seed
        for _ in range(rng.choice((1, 1, 2, 3))):
            content = cases.reader.mutate(content or b"x", rng)
        cases.run(content)


def with_coverage(cases: Cases, seed: bytes, seconds: float, number: int, corpus: Path) -> None:
    """Let atheris damage what led to new code; does not return."""
    import atheris

    def mutate(content: bytes, most: int, mutation: int) -> bytes:
        rng = random.Random(mutation)
        own = rng.random() < 0.5
        return (cases.reader.mutate(content or b"x", rng) if own else atheris.Mutate(content, most))[:most]

    corpus.mkdir(exist_ok=True)
    (corpus / "seed").write_bytes(seed)
    options = [f"-max_total_time={max(1, round(seconds))}", "-timeout=0", "-rss_limit_mb=0", f"-seed={number + 1}"]
    options += [f"-max_len={max(4096, 2 * len(seed))}", "-verbosity=0", f"-artifact_prefix={corpus}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], cases.run, custom_mutator=mutate)
    atheris.Fuzz()


@contextmanager
def importing(coverage: bool) -> Iterator[None]:
    """Have atheris see which code runs of the modules of this project that are imported inside."""
    if coverage:
        import atheris

        with atheris.instrument_imports(include=["kgclip"]):
            yield
    else:
        yield


def main() -> None:
    """Run one reader; the parent starts it again where a case has killed it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("findings", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("--coverage", action="store_true")
    args = parser.parse_args()
    reader = READERS[args.reader]
    file = args.folder / reader.file
    seed = (args.folder / SOUND).read_bytes()
    file.write_bytes(seed)
    with importing(args.coverage):
        reader.read(file)  # what it imports takes no part in the limits
    limit_memory()
    end = time.monotonic() + args.seconds
    cases = Cases(reader, args.folder, args.findings)
    rng = random.Random(f"{reader.name} {args.seed}")
    if args.coverage:
        with_coverage(cases, seed, end - time.monotonic(), args.seed, args.folder / "corpus")
    with_seed(cases, seed, end, rng)


if __name__ == "__main__":
    main()
