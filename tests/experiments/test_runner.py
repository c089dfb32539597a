"""All cells are run, each once, whatever happens in between."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from experiments.baselines import PIPELINE
from experiments.cells import Cell
from experiments.protocol import DataSpec, Experiment, Point
from experiments.runner import RunOptions, run
from kgclip.errors import KgclipError
from kgclip.files import read_table

HERE = RunOptions(jobs=1, show_progress=False)
COLUMNS = [
    *("experiment", "data", "point", "x", "arm", "seed"),
    *("fold", "frames", "metric", "value", "num_test", "wall_s", "commit", "torch", "gpu"),
]


def test_results_are_tidy(tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path):
    outcome = run(tiny_experiment, tiny_spec, tmp_path, HERE)
    assert outcome.results.columns == COLUMNS
    top1 = outcome.results.filter(metric="top1")
    assert len(top1) == 2 * 2 * 3
    assert dict(top1.group_by("arm").agg(pl.col("value").unique()).iter_rows()) == {"good": [0.75], "bad": [0.25]}
    assert set(top1["x"]) == {50, 100}
    assert set(top1["num_test"]) == {24}
    table, header = read_table(tmp_path / "results.parquet", "experiment results", 1)
    assert header["experiment"] == "tiny"
    assert pl.DataFrame(table).equals(outcome.results)
    assert len(outcome.data_hashes) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), KgclipError("no"), ZeroDivisionError()])
def test_a_killed_run_goes_on(
    error: BaseException, tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path, caplog
):
    fake_arms.fail[6] = error
    with pytest.raises(type(error)) as caught:
        run(tiny_experiment, tiny_spec, tmp_path, HERE)
    if not isinstance(error, KeyboardInterrupt):
        words = f"{caught.value} {getattr(caught.value, '__notes__', '')}"
        assert "tiny, labels on 50 %, bad, seed 1, fold 0" in words
    assert len(list((tmp_path / "cells").rglob("*.json"))) == 5
    assert not (tmp_path / "results.parquet").exists()
    with caplog.at_level(logging.INFO):
        run(tiny_experiment, tiny_spec, tmp_path, HERE)
    assert "12 cells, 5 of them finished before" in caplog.text
    assert len(fake_arms.settings) == 6 + 7
    run(tiny_experiment, tiny_spec, tmp_path, HERE)
    assert len(fake_arms.settings) == 13
    more = run(tiny_experiment, tiny_spec, tmp_path, replace(HERE, seeds=4))
    assert len(fake_arms.settings) == 13 + 4
    assert set(more.results["seed"]) == {0, 1, 2, 3}


def test_experiments_share_cells(tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path):
    one = replace(tiny_experiment, seeds=1)
    run(one, tiny_spec, tmp_path / "one", HERE, store=tmp_path)
    other = replace(one, name="other", points=(replace(one.points[0], name="half of the labels", x=None),))
    outcome = run(other, tiny_spec, tmp_path / "other", HERE, store=tmp_path)
    assert len(fake_arms.settings) == 4
    assert set(outcome.results["point"]) == {"half of the labels"}
    assert (tmp_path / "other" / "results.parquet").exists()


def test_quick_takes_less(tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path):
    outcome = run(tiny_experiment, replace(tiny_spec, folds=2), tmp_path, replace(HERE, quick=True))
    assert len(fake_arms.settings) == 2 * 2
    results = outcome.results
    assert (set(results["seed"]), set(results["fold"]), set(results["point"])) == ({0, 1}, {0}, {"labels on 50 %"})
    assert [point.name for point in outcome.experiment.points] == ["labels on 50 %"]


def test_the_arm_to_compare_with_is_always_there(
    tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path
):
    outcome = run(replace(tiny_experiment, arms=("good",), seeds=1), tiny_spec, tmp_path, HERE)
    assert set(outcome.results["arm"]) == {"good", "bad"}


@pytest.mark.parametrize(
    ("options", "folds", "arms", "message"),
    [
        (replace(HERE, seeds=0), 0, ("good",), "--seeds 0"),
        (replace(HERE, jobs=0), 0, ("good",), "--jobs 0"),
        (HERE, 1, ("good",), "--folds 1"),
        (HERE, 0, ("best",), "--arms 'best': there is no such arm"),
    ],
)
def test_what_cannot_be(
    options: RunOptions,
    folds: int,
    arms: tuple[str, ...],
    message: str,
    tiny_experiment: Experiment,
    tiny_spec: DataSpec,
    fake_arms,
    tmp_path: Path,
):
    with pytest.raises(KgclipError, match=message):
        run(replace(tiny_experiment, arms=arms), replace(tiny_spec, folds=folds), tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose": True}, "its arms read pose; give --keypoints"),
        ({"points": (Point("n", novel_fraction=0.5),)}, "--text"),
    ],
)
def test_data_that_are_not_for_it(
    changes: dict[str, Any], message: str, tiny_experiment: Experiment, tiny_spec: DataSpec, tmp_path: Path
):
    with pytest.raises(KgclipError, match=f"^{tiny_experiment.name}: .*{message}"):
        run(replace(tiny_experiment, **changes), tiny_spec, tmp_path / "out", HERE)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_get_what_one_gets(tiny_experiment: Experiment, tiny_spec: DataSpec, tmp_path: Path):
    experiment = replace(tiny_experiment, arms=(PIPELINE,), against=PIPELINE, seeds=2)
    one, two = (
        run(experiment, tiny_spec, tmp_path / str(jobs), replace(HERE, jobs=jobs)).results.filter(
            ~pl.col("metric").eq("latency_ms")
        )
        for jobs in (1, 2)
    )
    assert one.drop("wall_s").equals(two.drop("wall_s"))
    assert not any(math.isnan(value) for value in one["value"])


def test_quick_trains_the_image_tower_twice(tiny_experiment: Experiment, fake_arms, tmp_path: Path):
    three = replace(tiny_experiment, arms=("good", "bad", PIPELINE), pixels=True)
    figures = DataSpec("figures", clips_per_action=2, test_per_action=1)
    outcome = run(three, figures, tmp_path, RunOptions(jobs=1, quick=True, show_progress=False))
    assert outcome.results["seed"].unique().to_list() == [0]
    assert set(outcome.results["arm"]) == {"good", "bad"}


def test_results_that_vanish_meanwhile_are_said(
    tiny_experiment: Experiment, tiny_spec: DataSpec, fake_arms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Cell, "result", lambda *_: None)
    with pytest.raises(KgclipError, match=r"\.json: was removed while this ran; run it again"):
        run(tiny_experiment, tiny_spec, tmp_path, HERE)
