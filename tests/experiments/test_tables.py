"""Tables and pictures say what the summary says."""

import os
from pathlib import Path

import polars as pl
import pytest

from experiments.plots import save_plot
from experiments.protocol import Experiment, Point
from experiments.runner import Outcome
from experiments.summary import summarize
from experiments.tables import difference_of, duration, experiment_tables, page, provenance, provenance_block, short

VALUES = {"base": [0.50, 0.60, 0.40, 0.50], "KG-CLIP": [0.60, 0.71, 0.49, 0.60], "noisy": [0.90, 0.20, 0.60, 0.30]}


@pytest.fixture
def results() -> pl.DataFrame:
    """Two points; the second is tested with two numbers of frames, and has no figures of the noisy arm."""
    rows = []
    for point, x, frames, arms in (
        ("few", 5.0, 8, ("base", "KG-CLIP", "noisy")),
        ("all", 100.0, 1, ("base", "KG-CLIP")),
        ("all", 100.0, 8, ("base", "KG-CLIP")),
    ):
        for arm in arms:
            for seed, value in enumerate(VALUES[arm]):
                shared = {"experiment": "tiny", "data": "synthetic", "point": point, "x": x, "arm": arm, "seed": seed}
                shared |= {"fold": 0, "frames": frames, "num_test": 10, "wall_s": 2.0}
                shared |= {"commit": seed * "a" + 40 * "b" + "-dirty", "torch": "2.13.0", "gpu": None}
                rows += [shared | {"metric": "top1", "value": value}, shared | {"metric": "latency_ms", "value": 0.25}]
    return pl.DataFrame(rows)


@pytest.fixture
def outcome(results: pl.DataFrame) -> Outcome:
    points = (Point("few", x=5.0), Point("all", x=100.0, test_frames=(1, 8)))
    experiment = Experiment("tiny", "Does it help?", ("base", "KG-CLIP", "noisy"), points, "base", axis="labels, %")
    return Outcome(results, experiment, ("abc", "def"), 61.0)


def test_means_and_differences(outcome: Outcome):
    parts = experiment_tables(summarize(outcome.results, "base"), outcome.experiment)
    means, differences, heading, latency = parts
    assert means.splitlines() == [
        "| top-1, % | few | all, T = 1 | all, T = 8 |",
        "| --- | ---: | ---: | ---: |",
        "| base | 50.0 ± 13.0 | 50.0 ± 13.0 | 50.0 ± 13.0 |",
        "| KG-CLIP | 60.0 ± 14.3 | 60.0 ± 14.3 | 60.0 ± 14.3 |",
        "| noisy | 50.0 ± 50.3 | – | – |",
    ]
    # Marked where they are clear of zero.
    assert differences.splitlines() == [
        "| top-1 minus base, points | few | all, T = 1 | all, T = 8 |",
        "| --- | ---: | ---: | ---: |",
        "| KG-CLIP | **+10.0 ± 1.3**\\* | **+10.0 ± 1.3**\\* | **+10.0 ± 1.3**\\* |",
        "| noisy | +0.0 ± 58.1 | – | – |",
    ]
    assert heading == "### Other figures"
    assert latency.splitlines()[2] == "| base | 0.25 ± 0.00 | 0.25 ± 0.00 | 0.25 ± 0.00 |"


def test_one_seed_has_no_intervals(outcome: Outcome):
    means, differences, *_ = experiment_tables(summarize(outcome.results.filter(seed=0), "base"), outcome.experiment)
    assert "| base | 50.0 | 50.0 | 50.0 |" in means
    assert "| KG-CLIP | +10.0 | +10.0 | +10.0 |" in differences


def test_a_difference_can_be_turned():
    row = {"metric": "top1", "difference": -0.1, "difference_interval": 0.02, "p_holm": 0.2}
    row |= {"untouched": -0.05, "untouched_interval": 0.06}
    assert difference_of(row) == "**-10.0 ± 2.0**"
    assert difference_of(row, turned=True) == "**+10.0 ± 2.0**"
    assert difference_of(row, turned=True, of="untouched") == "+5.0 ± 6.0"
    assert difference_of(row | {"untouched": None}, of="untouched") == difference_of(None) == "–"


def test_provenance(outcome: Outcome):
    source = provenance("python -m experiments tiny", outcome)
    assert source["cells"] == 3 * 4 + 2 * 4
    assert source["cells_s"] == 2 * source["cells"]
    assert (source["wall_s"], source["cpus"]) == (61, os.cpu_count())
    assert source["commits"] == [f"{'a' * seed}{'b' * (7 - seed)} with changes" for seed in (3, 2, 1, 0)]
    words = provenance_block(source | {"commits": ["1234567 with changes"], "data_hash": ["abc", "def"]})
    assert words.startswith(
        "4 seeds. `python -m experiments tiny`, cells of commit 1234567 with changes, data abc and 1 more: 20 cells of"
    )
    assert words.endswith("torch 2.13.0.")
    words = provenance_block(source | {"commits": ["1234567", "unknown"], "data_hash": ["abc"], "gpus": ["H100"]})
    assert "cells of commit 1234567, unknown, data abc:" in words
    assert " and an H100, Python" in words


def test_commits_in_short():
    a = 40 * "a"
    assert [short(commit) for commit in (None, a, f"{a}-dirty")] == ["unknown", "aaaaaaa", "aaaaaaa with changes"]


def test_a_page_holds_everything(outcome: Outcome):
    summary = summarize(outcome.results, "base")
    source = provenance("python -m experiments tiny", outcome)
    text = page(outcome, summary, source)
    assert text.startswith("## Does it help?: synthetic\n")
    assert text.count("| base | 50.0 ± 13.0") == 1
    assert text.index("top-1 minus base") < text.index("### Other figures") < text.index("latency, ms a clip")
    assert text.endswith(provenance_block(source) + "\n")


def test_durations():
    assert [duration(s) for s in (3.2, 119.0, 121.0, 3600.0)] == ["3 s", "119 s", "3 min", "60 min"]


def test_pictures_are_the_same_bytes_every_time(results: pl.DataFrame, tmp_path: Path):
    along_x, along_frames = results.filter(frames=8), results.filter(point="all").with_columns(x=None)
    for name, rows in (("x", along_x), ("frames", along_frames)):
        summary = summarize(rows, "base")
        for folder in ("one", "two"):
            assert save_plot(summary, "top1", "labels, %", tmp_path / folder / f"{name}.png")
        one, two = (tmp_path / folder / f"{name}.png" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert (tmp_path / "one" / "x.png").read_bytes() != (tmp_path / "one" / "frames.png").read_bytes()


def test_one_point_is_no_picture(results: pl.DataFrame, tmp_path: Path):
    alone = summarize(results.filter(point="few"), "base")
    assert not save_plot(alone, "top1", "labels, %", tmp_path / "none.png")
    assert not save_plot(summarize(results, "base"), "absent", "labels, %", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
