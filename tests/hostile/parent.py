"""All hostile files, in processes that are started again where a file has killed one, and the table of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.child import BYTES_A_SECOND, CASE_S, MOST_BYTES
from tests.fuzz.parent import ended
from tests.hostile.case import READ, REFUSED
from tests.hostile.catalog import CASES

ROOT = Path(__file__).resolve().parents[2]
MOST_S = 3600.0


@dataclass(frozen=True)
class Ending:
    """How one case ended.

    Attributes:
        number: of the case.
        end: "refused" in one sentence, "read", or how it was killed.
        said: the sentence, or what was read.
        problem: what was wrong with that; empty where nothing was.
        seconds: that the reader took.
    """

    number: int
    end: str
    said: str
    problem: str
    seconds: float


def run(seeds: Path, numbers: Sequence[int] = range(len(CASES))) -> list[Ending]:
    """Run these cases on a copy of a folder of sound files."""
    endings: list[Ending] = []
    shared_memory = Path("/dev/shm")
    place = shared_memory if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kgclip-hostile-", dir=place) as temporary:
        left = list(numbers)
        while left:
            folder = Path(temporary, "run")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(seeds, folder)
            endings += _run(seeds, folder, Path(temporary, "noise"), left)
            left = left[len(endings) - (len(numbers) - len(left)) :]
    return endings


def _run(seeds: Path, folder: Path, noise: Path, numbers: Sequence[int]) -> list[Ending]:
    """Run cases until they are done or one has ended the process, whose end is then that case's."""
    noise.touch()
    command = [sys.executable, "-m", "tests.hostile.child", *map(str, (seeds, folder, noise, *numbers))]
    # The system's own memory, so that a limit is of what is used and not of what is set aside.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, timeout=MOST_S)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    endings = [Ending(**answer) for answer in answers if "end" in answer]
    if done.returncode:
        said = noise.read_text(errors="replace")[-2000:]
        if not answers or "end" in answers[-1]:
            raise RuntimeError(f"a reader does not read its sound file: {said}")
        endings.append(
            Ending(answers[-1]["number"], ended(done.returncode), "", f"{ended(done.returncode)}: {said}", 0)
        )
    return endings


def page(endings: Sequence[Ending]) -> str:
    """docs/generated/hostile.md."""
    files = Counter(CASES[each.number].reader for each in endings)
    fine = [each for each in endings if not each.problem]
    ends = Counter((CASES[each.number].reader, each.end) for each in fine)
    columns = {reader: (files[reader], ends[reader, REFUSED], ends[reader, READ]) for reader in files}
    totals = tuple(map(sum, zip(*columns.values(), strict=True)))
    rows = "\n".join(
        f"| {reader} | {count} | {refused} | {read} | {count - refused - read} |"
        for reader, (count, refused, read) in (*columns.items(), ("all", totals))
    )
    return (
        "Made by `make hostile`: files that are made to harm, each read by its reader.\n"
        "A file is fine where it is refused in one sentence that names it, or read, "
        f"within {CASE_S:g} s of the processor, a second more for every {BYTES_A_SECOND // 2**20} MiB of the file, and "
        f"{MOST_BYTES // 2**20:,} MiB of memory, with nothing left behind and nothing else said.\n\n"
        f"| reader | files | refused | read | otherwise |\n|---|---:|---:|---:|---:|\n{rows}\n"
    )
