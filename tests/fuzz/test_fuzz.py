"""A short form of `make fuzz`, and what it found."""

import mmap
import os
import random
import resource
import signal
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.data.bridges.intervals import file_name
from kgclip.errors import KgclipError
from kgclip.reading import read_bytes
from tests.fuzz import child, parent
from tests.fuzz.child import BYTES_A_SECOND, CASE_S, limited, problem_of
from tests.fuzz.parent import Outcome, page
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.seeds import write_encoders, write_model, write_seeds

CASES, CASES_OF_A_MODEL = 25, 6


@pytest.fixture(scope="module")
def seeds(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    write_model(folder, kg_model)
    write_encoders(folder)
    return folder


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, seeds: Path) -> None:
    reader, rng = READERS[name], random.Random(name)
    file = seeds / reader.file
    sound = file.read_bytes()
    reader.read(file)
    try:
        for _ in range(CASES_OF_A_MODEL if name.startswith(("model", "sentence", "backbone")) else CASES):
            content = reader.mutate(sound, rng)
            with limited():
                assert problem_of(reader, file, content) is None, content[:500]
    finally:
        file.write_bytes(sound)


BORIS = b'{"behaviors_conf": {}, "observations": {"a": {"type": "MEDIA", "file": {"1": ["a"]}, "events": %s}}}'
FOUND = [
    ("list, Kinetics", b"label,youtube_id time_start,time_end\nlunge,gym,0\n", "has no column youtube_id"),
    ("list, own columns", b"video,label\nfilms/g\0ym.mp4,lunge\n", "holds a null character"),
    ("list, labels", b"fi\0lms/gym.mp4 0\n", "holds a null character"),
    ("BORIS, older", b'Media file\t"Beh\navior"\nx\ty\n', "has the columns Media file, Beh avior; expected"),
    ("BORIS, aggregated", b'Media file name,Behavior,Time,Time offset (s)\na,b,1,"2\n3"\n', "time offset of"),
    ("BORIS, project", BORIS % b"[[]]", "is no project that BORIS wrote"),
    ("Label Studio", b'[{"annotations": [{"result": 1.5}]}]', "is damaged, expected"),
    ("definitions", b"jump: [left leg\x1f bend]\n", "not valid YAML"),
]


@pytest.mark.parametrize(("name", "content", "message"), FOUND, ids=lambda each: each if isinstance(each, str) else "")
def test_what_was_found_is_one_sentence(name: str, content: bytes, message: str, seeds: Path) -> None:
    reader = READERS[name]
    file = seeds / reader.file
    sound = file.read_bytes()
    file.write_bytes(content)
    try:
        with pytest.raises(KgclipError, match=message) as error:
            reader.read(file)
        assert "\n" not in str(error.value)
    finally:
        file.write_bytes(sound)


def test_an_address_that_is_none_has_a_file_name() -> None:
    assert file_name("http://[/a/gym.mp4") == "gym.mp4"


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """Found under a limit of memory: as much as the largest file may have was asked for at once."""
    file = tmp_path / "small.json"
    file.write_text("{}")
    tracemalloc.start()
    assert read_bytes(file, 2**30) == b"{}"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20


def test_a_file_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "grows.json"
    file.write_text("{}")
    monkeypatch.setattr(os, "fstat", lambda number, stat=os.fstat: os.stat_result((*stat(number)[:6], 1, 0, 0, 0)))
    with pytest.raises(KgclipError, match=r"grows\.json: grew while it was read; wait until it is written"):
        read_bytes(file)


def raising(error: BaseException) -> Reader:
    def read(file: Path) -> None:
        raise error

    return replace(READERS["definitions"], read=read)


def test_a_problem_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert problem_of(raising(KgclipError("file: is broken")), file, b"") is None
    assert "KeyError: 'odd'" in str(problem_of(raising(KeyError("odd")), file, b""))


@pytest.mark.parametrize(("touched", "problem"), [(0, None), (2**22, "took more than 2,097,152")])
def test_memory_counts_where_it_is_touched(
    touched: int, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg asks for room that it never touches, and refuses sizes that no video has as if memory were missing."""
    monkeypatch.setattr(child, "MOST_BYTES", 2**21)
    before = resource.getrlimit(resource.RLIMIT_AS)
    limits = []

    def read(_: Path) -> None:
        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
        with mmap.mmap(-1, 2**30) as room:
            room[:touched] = b"x" * touched
        raise KgclipError("file: takes more memory") from MemoryError()

    resource.setrlimit(resource.RLIMIT_AS, (2**45, before[1]))
    try:
        found = problem_of(replace(READERS["definitions"], read=read), tmp_path / "file", b"")
        assert limits == [2**45, before[1]]
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == 2**45
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert found is None if problem is None else str(found).startswith(problem)


def test_a_case_that_kills_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter((-signal.SIGPROF, 0))
    left: list[float] = []

    def run(command: list[str], most_s: float, log: object) -> int:
        folder, code = Path(command[4]), next(ends)
        if code:
            (folder / "definitions.yaml").write_bytes(b"slow")
            (folder / "count").write_bytes((7).to_bytes(8, "little"))
        left.append(most_s)
        return code

    monkeypatch.setattr(parent, "_run", run)
    monkeypatch.setattr(parent, "MOST_STARTS", 2)
    findings = tmp_path / "findings"
    outcomes = parent.fuzz(["definitions"], 5, findings, coverage=False)
    assert outcomes == [Outcome("definitions", 7, 1)]
    assert len(left) == 2
    assert (findings / "definitions" / "0-definitions.yaml").read_bytes() == b"slow"
    assert "took longer than 10 s" in (findings / "definitions" / "0.txt").read_text()
    assert "| definitions | 7 | 1 |" in page(outcomes, coverage=False)


def test_a_reader_in_a_process_of_its_own(tmp_path: Path) -> None:
    (outcome,) = parent.fuzz(["CVAT"], 0.5, tmp_path / "findings", coverage=False)
    assert outcome.executions > 0
    assert outcome.findings == 0


@pytest.mark.parametrize(("file_bytes", "more_s"), [(0, 0), (2 * BYTES_A_SECOND, 2)])
def test_a_larger_file_may_take_longer_and_is_limited_too(file_bytes: int, more_s: float) -> None:
    with limited(file_bytes):
        assert signal.getitimer(signal.ITIMER_PROF)[0] == pytest.approx(CASE_S + more_s, abs=0.5)
    assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_REAL) == (0, 0)
