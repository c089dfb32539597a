"""The load on a service: one short run, and the figures by hand."""

import os
from collections import Counter
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from tools import load as tool
from tools.load import MIB, Options, Tally, main, memory_of, page, report, slope


def test_a_short_run(
    kg_model: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(tool, "PAGE", tmp_path / "load.md")
    monkeypatch.setattr(tool, "EVERY_S", 0.1)
    monkeypatch.setattr(tool, "FIRST", 1.0)
    clips = [str(clip) for clip in sorted(figures.glob("test_videos/*/*.mp4"))[:2]]
    assert main([str(kg_model), *clips, "--clients", "1", "2", "--seconds", "2", "--write"]) == 0
    text = capsys.readouterr().out
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| 1 ", "| 2 "))]
    assert [(row[0], int(row[1]) > 1, row[3]) for row in rows] == [("| 1", True, "0"), ("| 2", True, "0")]
    for name in ("service", "reader 1", "reader 2", "together"):
        assert f"| {name} | " in text
    assert text in (tmp_path / "load.md").read_text()


def test_memory_is_of_this_process_and_its_children():
    held = memory_of(os.getpid())
    assert held["service"] > 20 * MIB


def test_the_slope_is_that_after_the_warm_up():
    samples = [(60.0 * n, {"a": (900 if n < 2 else 1000 + n) * MIB, "b": (10 - 2 * n) * MIB}) for n in range(5)]
    assert slope(samples[1:], "b") == pytest.approx(-2.0)
    assert slope(samples[2:], "a") == pytest.approx(1.0)
    assert slope(samples[2:]) == pytest.approx(-1.0)
    first = [(60.0 * n, {"a": (0 if n < 2 else n) * MIB}) for n in range(9)]
    assert slope(first, "a") == pytest.approx(1.0)


def test_the_report_and_its_page():
    tally = Tally(8, [0.1] * 99 + [1.0], 3, Counter({"TimeoutError": 1}), 10.0)
    samples = [(float(n), {"service": 90 * MIB, "reader 1": 10 * MIB}) for n in range(6)]
    text = report(20.0, [tally], samples)
    assert "| 8 | 100 | 3 | 1 TimeoutError | 0.100 | 0.100 | 0.109 | 10.0 | 0.50 |" in text
    assert "One process that calls `predict` in a loop: 20.0 clips a second." in text
    assert "| service | 90 | +0.00 |\n| reader 1 | 10 | +0.00 |\n| together | 100 | +0.00 |" in text
    assert "asked for 600 s" in page(Options(seconds=600), text, "a model")
    with pytest.raises(KgclipError, match=r"^8 clients: no clip was answered, {}; give more --seconds"):
        report(20.0, [Tally(8)], samples)


@pytest.mark.parametrize("words", [["{}", "clip.mp4"], ["{}"]])
def test_a_model_that_is_none(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([word.format(tmp_path) for word in words]) == 2
    assert capsys.readouterr().err.startswith(f"load: {tmp_path}")
