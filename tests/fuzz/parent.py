"""Every reader for its share of a time, each in a process of its own that is started again where a case killed it."""

import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.child import CASE_S, COUNT, MOST_BYTES, SOUND, WAIT_S, write_finding
from tests.fuzz.readers import READERS, Reader

MOST_STARTS = 20
START_S = 600.0
"""For imports, above the time that was asked for."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What came of one reader.

    Attributes:
        executions: cases that were run.
        findings: files in its folder of findings.
    """

    reader: str
    executions: int
    findings: int


def has_atheris() -> bool:
    """Whether atheris is installed (the extra `fuzz`)."""
    return find_spec("atheris") is not None


def fuzz(
    names: Sequence[str],
    seconds: float,
    findings: Path,
    *,
    coverage: bool,
    seed: int = 0,
    model: Path | None = None,
) -> list[Outcome]:
    """Give each of these readers the same share of the time.

    Args:
        findings: folder that gets a folder for each reader that did what it must not.
        coverage: by atheris; else by random damage alone.
        seed: of the damage.
        model: folder of the model whose files are damaged; None trains one.
    """
    from tests.fuzz.seeds import write_encoders, write_model, write_seeds

    outcomes = []
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="kgclip-fuzz-", dir=shared_memory if shared_memory.is_dir() else None
    ) as temporary:
        seeds = Path(temporary) / "seeds"
        seeds.mkdir()
        write_seeds(seeds)
        if any(READERS[name].file.startswith("model/") for name in names):
            write_model(seeds, model)
        if any(READERS[name].file.startswith(("sentences/", "clip/", "older-clip/")) for name in names):
            write_encoders(seeds)
        for name in names:
            folder = Path(temporary) / "run"
            shutil.copytree(seeds, folder)
            outcomes.append(_fuzz_one(READERS[name], folder, seconds / len(names), findings, coverage, seed))
            shutil.rmtree(folder)
    return outcomes


def _fuzz_one(reader: Reader, folder: Path, seconds: float, findings: Path, coverage: bool, seed: int) -> Outcome:
    shutil.copy(folder / reader.file, folder / SOUND)
    (folder / COUNT).write_bytes(bytes(8))
    end = time.monotonic() + seconds
    for start in range(MOST_STARTS):
        left = end - time.monotonic()
        if start and left < 1:
            break
        command = [sys.executable, "-m", "tests.fuzz.child", reader.name, str(folder), str(findings), str(left)]
        command += [str(seed * MOST_STARTS + start), *(["--coverage"] if coverage else [])]
        with (folder / "log").open("wb") as log:
            code = _run(command, left + START_S, log)
        if code:
            content = (folder / reader.file).read_bytes()
            said = (folder / "log").read_text(errors="replace")[-2000:]
            write_finding(reader, findings, content, f"{ended(code)}\n{said}")
            if content == (folder / SOUND).read_bytes():
                break  # it did not get as far as the first case
    done = struct.unpack("q", (folder / COUNT).read_bytes())[0]
    kept = findings / reader.folder_name
    return Outcome(reader.name, done, len(list(kept.glob("*.txt"))) if kept.is_dir() else 0)


def _run(command: Sequence[str], most_s: float, log) -> int:
    with subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT) as process:
        try:
            return process.wait(most_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return -signal.SIGKILL


def ended(code: int) -> str:
    """How a process ended, for the one who looks for the fault."""
    if code == -signal.SIGPROF:
        return f"took longer than {CASE_S:g} s and what its size allows"
    if code == -signal.SIGALRM:
        return f"took longer than {WAIT_S:g} s"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def page(outcomes: Sequence[Outcome], coverage: bool) -> str:
    """docs/generated/fuzz.md."""
    how = "by atheris, which follows new code, and the project's own damage" if coverage else "by random damage"
    rows = "\n".join(f"| {each.reader} | {each.executions:,} | {each.findings} |" for each in outcomes)
    total, found = sum(each.executions for each in outcomes), sum(each.findings for each in outcomes)
    return (
        f"Made by `make fuzz`: files damaged {how}.\n"
        f"A case is fine where the file is read or refused in one sentence, within {CASE_S:g} s and "
        f"{MOST_BYTES // 2**20:,} MiB; findings are cases of another end.\n\n"
        f"| reader | executions | findings |\n|---|---:|---:|\n{rows}\n| all | {total:,} | {found} |\n"
    )
