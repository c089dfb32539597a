"""Timing in turns, the ratio, the table and the check against a committed one."""

import json
import time
from dataclasses import replace

import pytest

from benchmarks import harness
from benchmarks.harness import Row, cells, compare, fallen, limit, markdown, seconds, to_json


def test_ours_and_the_reference_run_in_turns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness, "LEAST_S", 0.0)
    calls = []
    row = compare("work", lambda: calls.append("ours"), lambda: calls.append("theirs"), "them", repeats=3)
    assert calls == ["ours", "theirs"] * 4
    assert row.low is not None
    assert row.high is not None
    assert row.ratio is not None
    assert row.low <= row.ratio <= row.high


def test_the_ratio_is_that_of_the_times():
    row = compare("wait", lambda: time.sleep(0.01), lambda: time.sleep(0.04), "waiting longer", goal=2.0, repeats=3)
    assert row.ratio == pytest.approx(4, rel=0.5)
    assert row.ours == pytest.approx(0.01, rel=0.5)
    assert row.reached


def test_short_work_is_repeated_until_it_can_be_timed():
    calls = []
    row = limit("nothing", lambda: calls.append(1), 1.0, repeats=1)
    assert len(calls) > 1000
    assert row.ours < 1e-3
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
