"""The load on a service: one short run, and the figures by hand."""

from collections import Counter
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from tools.load import MIB, Options, Tally, load, main, report, slope


def test_a_short_run(kg_model: Path, figures: Path):
    clips = tuple(sorted(figures.glob("test_videos/*/*.mp4"))[:2])
    tally, samples = load(Options(kg_model, clips, clients=2, seconds=2.0))
    assert len(tally.seconds) >= 2
    assert tally.errors == Counter()
    assert min(memory for _, memory in samples) > 50 * MIB


def test_the_slope_is_that_of_the_second_half():
    samples = [(0.0, 0), (1.0, 900 * MIB), (2.0, 1000 * MIB), (3.0, 1001 * MIB), (4.0, 1002 * MIB), (5.0, 1003 * MIB)]
    assert slope(samples) == pytest.approx(60.0)


def test_the_report():
    tally = Tally([0.1] * 99 + [1.0], 3, Counter({"TimeoutError": 1}))
    lines = report(Options(Path("m"), (), 8, 10.0), 20.0, tally, [(float(n), 100 * MIB) for n in range(6)]).splitlines()
    assert lines[0] == "8 clients for 10 s: 100 clips answered, 3 refused (429), errors: {'TimeoutError': 1}"
    assert lines[1].startswith("seconds a clip: p50 0.100, p95 0.100, p99 0.1")
    assert lines[2] == "clips a second: 10.0, one process that predicts: 20.0, ratio 0.50"
    assert lines[3] == "memory: 100 MiB, slope +0.0 MiB a minute"
    with pytest.raises(KgclipError, match=r"^0 clips were answered, errors: none; give more --seconds"):
        report(Options(Path("m"), ()), 20.0, Tally(), [])


def test_a_model_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path), "clip.mp4"]) == 2
    assert capsys.readouterr().err.startswith("load: ")
