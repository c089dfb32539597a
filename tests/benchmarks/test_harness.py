"""Timing in turns, the ratio, the table and the check against a committed one."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmarks.__main__
from benchmarks import harness
from benchmarks.__main__ import Options, in_its_own_process, main, write
from benchmarks.harness import Row, cells, compare, fallen, limit, markdown, read_table, seconds, to_json
from kgclip.errors import KgclipError


def test_ours_and_the_reference_run_in_turns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness, "LEAST_S", 0.0)
    calls = []
    row = compare("work", lambda: calls.append("ours"), lambda: calls.append("theirs"), "them", repeats=3)
    assert calls == ["ours", "theirs"] * 4
    assert row.low is not None
    assert row.high is not None
    assert row.ratio is not None
    assert row.low <= row.ratio <= row.high


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that nothing but sleep moves: how busy the machine is changes nothing."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(harness, "time", clock)
    return clock


def test_the_ratio_is_that_of_the_times(clock: SimpleNamespace):
    row = compare("wait", lambda: clock.sleep(0.01), lambda: clock.sleep(0.04), "waiting longer", goal=2.0, repeats=3)
    assert row.ratio == pytest.approx(4)
    assert row.ours == pytest.approx(0.01)
    assert row.reached


def test_short_work_is_repeated_until_it_can_be_timed(clock: SimpleNamespace):
    calls = []

    def work() -> None:
        calls.append(1)
        clock.sleep(1e-5)

    row = limit("little", work, 1.0, repeats=1)
    assert len(calls) == pytest.approx(harness.LEAST_S / 1e-5, abs=3)
    assert row.ours == pytest.approx(1e-5)
    assert row.reached


ROW = Row("work", "them", 0.001, 0.004, 4.0, 3.0, 5.0, 5.0)
ALONE = Row("alone", None, 3.0, goal=2.0)


def test_goals_are_ratios_or_seconds():
    assert ROW.reached is False
    assert replace(ROW, goal=4.0).reached is True
    assert ALONE.reached is False
    assert replace(ALONE, goal=None).reached is None


def test_the_table_shows_every_row():
    assert cells(ROW) == ("work", "them", "1 ms", "4 ms", "4× (3–5)", "≥ 5×", "no")
    assert cells(ALONE) == ("alone", "", "3 s", "", "", "≤ 2 s", "no")
    assert cells(replace(ALONE, unit="GiB"))[2:] == ("3 GiB", "", "", "≤ 2 GiB", "no")
    lines = markdown([ROW, ALONE]).splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)


@pytest.mark.parametrize(("value", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.2e-5, "42 µs")])
def test_durations(value: float, text: str):
    assert seconds(value) == text


def test_the_check_speaks_of_what_has_fallen_by_a_fifth():
    committed = json.loads(json.dumps(to_json([ROW, ALONE])))
    assert {"processor", "cores", "torch", "commit", "date"} <= committed["machine"].keys()
    assert fallen([replace(ROW, ratio=3.3), replace(ALONE, ours=99.0)], committed) == []
    assert fallen([replace(ROW, name="new", ratio=0.1)], committed) == []
    (sentence,) = fallen([replace(ROW, ratio=3.1)], committed)
    assert sentence == "work against them: 3.1×, the committed table says 4×"


def test_the_check_keeps_two_references_of_one_work_apart():
    committed = json.loads(json.dumps(to_json([ROW, replace(ROW, against="another", ratio=40.0)])))
    assert fallen([ROW, replace(ROW, against="another", ratio=39.0)], committed) == []
    (sentence,) = fallen([ROW, replace(ROW, against="another", ratio=30.0)], committed)
    assert sentence.startswith("work against another: 30×")


def test_everything_is_written(tmp_path: Path):
    page = tmp_path / "performance.md"
    page.write_text("Before.\n<!-- table -->\nold\n<!-- end of table -->\nAfter.\n")
    write([ROW, ALONE], tmp_path)
    text = page.read_text()
    assert text.startswith("Before.\n<!-- table -->\n")
    assert text.endswith("\n<!-- end of table -->\nAfter.\n")
    assert "old" not in text
    assert "| work | them | 1 ms | 4 ms |" in text
    assert [row["ratio"] for row in read_table(tmp_path / "performance.json")["rows"]] == [4.0, None]
    page.write_text("<!-- table -->\n")
    with pytest.raises(SystemExit, match="end of table"):
        write([ROW], tmp_path)


def test_the_check_compares_with_the_committed_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    found = [ROW]
    monkeypatch.setattr(benchmarks.__main__, "in_its_own_process", lambda name: found if name == "fit" else [])
    monkeypatch.setattr(benchmarks.__main__, "TABLE", tmp_path / "performance.json")
    with pytest.raises(KgclipError, match="cannot be read as JSON"):
        main(Options(check=True))
    (tmp_path / "performance.json").write_text(json.dumps(to_json([ROW])))
    assert main(Options(check=True)) == 0
    found[0] = replace(ROW, ratio=1.0)
    assert main(Options(check=True)) == 1
    assert "work against them: 1×, the committed table says 4×" in capsys.readouterr().err
    assert main(Options(only="fit")) == 0


def test_a_benchmark_runs_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match=r"benchmarks\.harness: ended with an error"):
        in_its_own_process("harness")
