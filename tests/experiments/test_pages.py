"""The results page is what the kept results make it; checked on runs with known figures."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from experiments.cells import CHOSEN_ON_TEST
from experiments.summary import summarize

ROOT = Path(__file__).resolve().parents[2]
SOURCE = {
    "commit": "abc1234",
    "dirty": False,
    "data_hash": ["0123456789abcdef", "fedcba9876543210"],
    "cells": 6,
    "cells_s": 30,
    "wall_s": 17,
    "cpus": 2,
    "machine": "x86_64",
    "python": "3.11",
    "torch": "2.13",
}
# One value a seed.
TOP1 = {"ridge": (0.50, 0.54), "pseudo-labels": (0.40, 0.44), "CLIP only": (0.30, 0.34), "KG-CLIP": (0.60, 0.65)}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module; it lies in the repository and not in the package."""
    monkeypatch.syspath_prepend(str(ROOT))
    from reproduce import results

    yield results
    for name in [name for name in sys.modules if name.partition(".")[0] == "reproduce"]:
        sys.modules.pop(name)


def write_run(
    folder: Path, preset: str, point: str, top1: dict[str, tuple[float, float]], options: str = "", **more: Any
) -> None:
    """What `python -m experiments` leaves of two seeds under one condition."""
    values = {("top1", arm, seed): value for arm, pair in top1.items() for seed, value in enumerate(pair)}
    values |= {("ece", arm, seed): 0.125 for _, arm, seed in values} | more.get("extra", {})
    rows = [
        {"experiment": preset, "data": "jhmdb-tps", "point": point, "x": 20.0, "arm": arm, "seed": seed}
        | {"fold": 0, "frames": 8, "metric": metric, "value": value, "num_test": 10}
        for (metric, arm, seed), value in values.items()
    ]
    against = "KG-CLIP" if "KG-CLIP" in top1 else next(iter(top1))
    summary = summarize(pl.DataFrame(rows), against).to_dicts()
    command = f"python -m experiments {preset} --out /tmp/x/out --data /home/me/jhmdb-tps{options}"
    source = SOURCE | {"command": command, "data": "jhmdb-tps"}
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(
        json.dumps({"experiment": preset, "provenance": source, "summary": summary}, indent=1)
    )
    (folder / "top1.png").write_bytes(b"picture")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with both pages, nothing filled in."""
    (tmp_path / "docs").mkdir()
    names = ("questions", "few-labels", "shots", "other-metrics", "chosen-on-test", "runs")
    text = "".join(f"By hand.\n<!-- results: {name} -->\n<!-- end of results -->\n" for name in names)
    (tmp_path / "docs" / "results.md").write_text(text)
    (tmp_path / "README.md").write_text("Above.\n<!-- results: readme -->\n<!-- end of results -->\nBelow.\n")
    return tmp_path


def block(page: Path, name: str) -> str:
    return page.read_text().partition(f"<!-- results: {name} -->\n")[2].partition("\n<!-- end of results -->")[0]


def test_pages_show_means_differences_plots_and_provenance(results: ModuleType, root: Path):
    write_run(root / "runs" / "few-labels", "few-labels", "labels on 20 %", TOP1)
    assert results.main(results.Results((root / "runs",)), root) == 0
    page = root / "docs" / "results.md"
    table = block(page, "few-labels")
    # Intervals of two seeds: t(0.975, 1) = 12.706 times half their difference.
    assert "| ridge | 52.0 ± 25.4 | **-10.5 ± 6.4**\\* |" in table
    assert "| KG-CLIP | 62.5 ± 31.8 | – |" in table
    assert "](generated/jhmdb-tps/few-labels/top1.png)" in table
    assert (page.parent / "generated" / "jhmdb-tps" / "few-labels" / "top1.png").read_bytes() == b"picture"
    assert (
        "`python -m experiments few-labels --out out --data jhmdb-tps`, commit abc1234, data 0123456789abcdef" in table
    )
    assert "\n2 seeds. `kgclip" in table
    assert "17 s in this run" in table
    assert "| ridge | 12.5 ± 0.0 |" in block(page, "other-metrics")
    assert block(page, "shots") == "No results of this are kept."
    assert page.read_text().startswith("By hand.\n<!--")


def test_the_strongest_rival_has_no_graph_and_the_highest_mean(results: ModuleType, root: Path):
    top1 = TOP1 | {"KG-CLIP without path": (0.58, 0.60)}
    write_run(root / "run", "few-labels", "labels on 20 %", top1)
    results.main(results.Results((root / "run",)), root)
    ours = "| 62.5 ± 31.8 | ridge (strongest) | 52.0 ± 25.4 | **+10.5 ± 6.4**"
    assert f"| labels on 20 %, movements on all {ours}" in block(root / "docs" / "results.md", "questions")
    row = "| JHMDB-TPS, labels on 20 % | 52.0 ± 25.4 (ridge) | 32.0 ± 25.4 | 62.5 ± 31.8 | **+10.5 ± 6.4**"
    assert row in (root / "README.md").read_text()


def test_check_finds_what_was_changed_by_hand(results: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]):
    write_run(root / "run", "few-labels", "labels on 20 %", TOP1)
    results.main(results.Results((root / "run",)), root)
    assert results.main(results.Results(check=True), root) == 0
    readme = root / "README.md"
    readme.write_text(readme.read_text().replace("Above.", "Other words above."))
    assert results.main(results.Results(check=True), root) == 0
    readme.write_text(readme.read_text().replace("52.0", "62.0"))
    assert results.main(results.Results(check=True), root) == 1
    assert "README.md: differs from docs/generated" in capsys.readouterr().out


def test_runs_that_chose_on_the_test_clips_are_shown_apart(results: ModuleType, root: Path):
    write_run(root / "honest", "few-labels", "labels on 20 %", TOP1)
    cheating = TOP1 | {f"KG-CLIP{CHOSEN_ON_TEST}": (0.70, 0.75)}
    write_run(root / "legacy", "few-labels", "labels on 20 %", cheating, " --legacy-best-on-test")
    results.main(results.Results((root / "honest", root / "legacy")), root)
    page = root / "docs" / "results.md"
    assert CHOSEN_ON_TEST not in block(page, "few-labels")
    row = "| labels on 20 %: KG-CLIP | 62.5 ± 31.8 | 72.5 ± 31.8 | +10.0 |"
    assert row in block(page, "chosen-on-test")
    assert "jhmdb-tps/few-labels-chosen-on-test" not in block(page, "questions")


def test_two_runs_of_one_experiment_and_empty_folders_are_refused(results: ModuleType, root: Path):
    for name in ("one", "two"):
        write_run(root / name, "few-labels", "labels on 20 %", TOP1)
    with pytest.raises(ValueError, match="give one of them"):
        results.main(results.Results((root / "one", root / "two")), root)
    with pytest.raises(ValueError, match=r"holds no summary\.json"):
        results.main(results.Results((root / "docs",)), root)


def test_the_pages_of_the_project_are_as_the_kept_results_make_them(
    results: ModuleType, capsys: pytest.CaptureFixture[str]
):
    assert results.main(results.Results(check=True)) == 0, capsys.readouterr().out


def test_wrong_markers_are_refused(results: ModuleType):
    with pytest.raises(ValueError, match="there is no such block"):
        results.filled("<!-- results: nothing -->\n<!-- end of results -->", {"runs": ""})
    text = "<!-- results: runs -->\n<!-- results: links -->\n<!-- end of results -->"
    with pytest.raises(ValueError, match="has no <!-- end of results -->"):
        results.filled(text, {"runs": "", "links": ""})
