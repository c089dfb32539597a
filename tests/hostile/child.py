"""Hostile files in a process of its own, within limits: what each ends in, as a line of JSON on the standard output."""

import json
import logging
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz.child import MOST_BYTES, limited, problem_with
from tests.fuzz.readers import READERS
from tests.hostile.case import REFUSED, Case
from tests.hostile.catalog import CASES

LONGEST_SENTENCE = 1500
"""Characters, besides the path."""
_OVERRIDE = 0b110
"""Capabilities of an administrator to read and to write what is closed (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""


def as_anybody() -> None:
    """Let closed files be closed also where an administrator runs the tests."""
    import ctypes

    libc, version = ctypes.CDLL(None, use_errno=True), 0x20080522
    header, sets = (ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~_OVERRIDE
    libc.capset(header, sets)


def limit_memory() -> None:
    """Give this process `MOST_BYTES` more than it has now."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, resource.RLIM_INFINITY))


def tree(folder: Path) -> set[str]:
    """Everything in a folder, by name."""
    return {str(Path(place, name)) for place, *inner in os.walk(folder) for names in inner for name in names}


def file_bytes(path: Path) -> int:
    """The size of a file; 0 where there is none, or something else."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def ending(case: Case, seeds: Path, folder: Path, noise: Path) -> dict[str, Any]:
    """Run one case: how it ended, what was said, and what was wrong with that, if anything was."""
    reader = READERS[case.reader]
    file = folder / reader.file
    given = case.make(file) or file
    before, silent = tree(folder), noise.stat().st_size
    limit_memory()
    started = time.process_time()
    with limited(file_bytes(given)):
        end, said, problem = problem_with(reader, given)
    taken = time.process_time() - started
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    problems = [problem] if problem else []
    if end == REFUSED and str(folder) not in said:
        problems.append("names no file")
    if end == REFUSED and len(said.replace(str(folder), "")) > LONGEST_SENTENCE:
        problems.append(f"a sentence of {len(said)} characters")
    if case.end and end != case.end:
        problems.append(f"{end}, expected {case.end}")
    if case.says not in said:
        problems.append(f"says nothing of {case.says!r}")
    if left := tree(folder) ^ before:
        problems.append(f"left or took {sorted(left)[:3]}")
    if noise.stat().st_size > silent:
        problems.append(f"said more: {noise.read_bytes()[silent:][:300]!r}")
    return {"end": end, "said": said[:600], "problem": "; ".join(problems), "seconds": round(taken, 2)}


def restore(seeds: Path, folder: Path, file: Path) -> None:
    """Put back what a case may have changed: the reader's file and what lies beside it."""
    place = file.parent if file.parent != folder else None
    if place is None:
        for entry in folder.iterdir():
            if not (seeds / entry.name).exists() or entry.name == file.name:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        shutil.copy(seeds / file.name, file)
    else:
        shutil.rmtree(place)
        shutil.copytree(seeds / place.relative_to(folder), place)


def main() -> None:
    """Run the cases from a number on, with a step: ``SEEDS FOLDER NOISE NUMBER…``."""
    seeds, folder, noise, *numbers = sys.argv[1:]
    logging.disable()
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w")
    with Path(noise).open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    as_anybody()
    warm: set[str] = set()
    for number in map(int, numbers):
        case = CASES[number]
        reader = READERS[case.reader]
        if case.reader not in warm:
            warm.add(case.reader)
            reader.read(Path(folder, reader.file))  # what it imports takes no part in the limits
        print(json.dumps({"number": number}), file=answers, flush=True)
        answer = ending(case, Path(seeds), Path(folder), Path(noise))
        print(json.dumps({"number": number} | answer), file=answers, flush=True)
        restore(Path(seeds), Path(folder), Path(folder, reader.file))


if __name__ == "__main__":
    main()
