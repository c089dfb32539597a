"""Tables and pictures say what the summary says."""

import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from experiments.plots import save_plots
from experiments.protocol import Experiment, Point
from experiments.runner import Outcome
from experiments.summary import summarize
from experiments.tables import difference_table, mean_table, page, provenance, provenance_block

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
                rows += [shared | {"metric": "top1", "value": value}, shared | {"metric": "latency_ms", "value": 0.25}]
    return pl.DataFrame(rows)


@pytest.fixture
def outcome(results: pl.DataFrame) -> Outcome:
    points = (Point("few", x=5.0), Point("all", x=100.0, test_frames=(1, 8)))
    experiment = Experiment("tiny", "Does it help?", ("base", "KG-CLIP", "noisy"), points, "base", axis="labels, %")
    return Outcome(results, experiment, ("abc", "def"), 61.0)


def test_means(results: pl.DataFrame):
    table = mean_table(summarize(results, "base"), "top1")
    assert table.splitlines() == [
        "| top-1, % | few | all, T = 1 | all, T = 8 |",
        "|---|---:|---:|---:|",
        "| base | 50.0 ± 13.0 | 50.0 ± 13.0 | 50.0 ± 13.0 |",
        "| KG-CLIP | 60.0 ± 14.3 | 60.0 ± 14.3 | 60.0 ± 14.3 |",
        "| noisy | 50.0 ± 50.3 | – | – |",
    ]
    latency = mean_table(summarize(results, "base"), "latency_ms").splitlines()
    assert latency[0].startswith("| latency, ms a clip |")
    assert latency[2] == "| base | 0.25 ± 0.00 | 0.25 ± 0.00 | 0.25 ± 0.00 |"


def test_differences_are_marked_where_they_are_clear_of_zero(results: pl.DataFrame):
    summary = summarize(results, "base")
    assert difference_table(summary, "top1", "base").splitlines() == [
        "| top-1 against base, points | few | all, T = 1 | all, T = 8 |",
        "|---|---:|---:|---:|",
        "| KG-CLIP | **+10.0 ± 1.3**\\* | **+10.0 ± 1.3**\\* | **+10.0 ± 1.3**\\* |",
        "| noisy | +0.0 ± 58.1 | – | – |",
    ]


def test_one_seed_has_no_intervals(results: pl.DataFrame):
    summary = summarize(results.filter(seed=0), "base")
    assert "| base | 50.0 | 50.0 | 50.0 |" in mean_table(summary, "top1")
    assert "| KG-CLIP | +10.0 | +10.0 | +10.0 |" in difference_table(summary, "top1", "base")


def test_provenance(outcome: Outcome):
    source = provenance("python -m experiments tiny", outcome)
    assert source["cells"] == 3 * 4 + 2 * 4
    assert source["cells_s"] == 2 * source["cells"]
    assert (source["wall_s"], source["cpus"]) == (61, os.cpu_count())
    words = provenance_block(source | {"commit": "1234567", "dirty": True, "data_hash": ["abc", "def"]})
    assert words.startswith(
        "`python -m experiments tiny`, commit 1234567 with changes, data abc and 1 more: 20 cells of"
    )
    assert "commit unknown, data abc:" in provenance_block(
        source | {"commit": "", "dirty": False, "data_hash": ["abc"]}
    )


def test_a_page_holds_everything(outcome: Outcome):
    summary = summarize(outcome.results, "base")
    source = provenance("python -m experiments tiny", outcome)
    text = page(outcome, summary, source)
    assert text.startswith("## Does it help?: synthetic\n")
    assert text.count("| base | 50.0 ± 13.0") == 1
    assert text.index("top-1 against base") < text.index("### Other figures") < text.index("latency, ms a clip")
    assert text.endswith(provenance_block(source) + "\n")
    assert "cheat" not in text
    cheating = outcome.results.with_columns(pl.col("arm").replace("noisy", "base, epoch chosen on test"))
    assert "“epoch chosen on test” cheat" in page(
        replace(outcome, results=cheating), summarize(cheating, "base"), source
    )


def test_pictures_are_the_same_bytes_every_time(results: pl.DataFrame, tmp_path: Path):
    summary = summarize(results, "base")
    for folder in ("one", "two"):
        files = save_plots(summary, ("top1",), "labels, %", tmp_path / folder)
        assert [file.name for file in files] == ["frames-all-top1.png"]
    along_x = summarize(results.filter(frames=8), "base")
    for folder in ("one", "two"):
        files = save_plots(along_x, ("top1", "absent"), "labels, %", tmp_path / folder)
        assert [file.name for file in files] == ["top1.png"]
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == ["frames-all-top1.png", "frames-all-top1.svg", "top1.png", "top1.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert b"<svg" in (tmp_path / "one" / "top1.svg").read_bytes()


def test_training_and_testing_alike_shows_latency_too(results: pl.DataFrame, tmp_path: Path):
    alike = results.filter(point="all").with_columns(
        pl.format("{} frames", "frames").alias("point"), pl.col("frames").cast(pl.Float64).alias("x")
    )
    (file,) = save_plots(summarize(alike, "base"), ("top1",), "frames", tmp_path)
    narrow = summarize(results.filter(frames=8), "base")
    (alone,) = save_plots(narrow, ("top1",), "frames", tmp_path / "narrow")
    # Words are drawn as outlines and stand in comments.
    assert ["latency, ms a clip" in f.with_suffix(".svg").read_text() for f in (file, alone)] == [True, False]
