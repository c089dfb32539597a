"""The pages are what the kept results make them; checked on runs with known figures."""

import json
from pathlib import Path

import polars as pl
import pytest

from experiments.kept import slug
from experiments.pages import Results, filled, main
from experiments.summary import summarize

SOURCE = {
    "commits": ["abc1234"],
    "gpus": [],
    "data_hash": ["0123456789abcdef", "fedcba9876543210"],
    "seeds": 2,
    "cells": 6,
    "cells_s": 30,
    "wall_s": 17,
    "cpus": 2,
    "machine": "x86_64",
    "python": "3.11",
    "torch": ["2.13"],
}
# One value a seed.
TOP1 = {
    "scikit-learn pipeline": (0.50, 0.54),
    "pseudo-labels": (0.51, 0.55),
    "CLIP only": (0.30, 0.34),
    "KG-CLIP without path": (0.70, 0.70),
    "KG-CLIP": (0.60, 0.65),
}


def write_run(folder: Path, preset: str, point: str, top1: dict, data: str = "JHMDB-TPS, SqueezeNet") -> None:
    """What `python -m experiments` leaves of two seeds under one condition."""
    rows = [
        {"experiment": preset, "data": data, "point": point, "x": 20.0, "arm": arm, "seed": seed + 5}
        | {"fold": 0, "frames": 8, "metric": metric, "value": value, "num_test": 10}
        for arm, pair in top1.items()
        for seed, value in enumerate(pair)
        for metric in ("top1", "ece")
    ]
    against = "KG-CLIP" if "KG-CLIP" in top1 else next(iter(top1))
    command = f"python -m experiments {preset} --out /somewhere/out --data /home/me/jhmdb-tps"
    source = SOURCE | {"command": command, "data": data}
    summary = summarize(pl.DataFrame(rows), against).to_dicts()
    folder.mkdir(parents=True)
    value = {"experiment": preset, "provenance": source, "summary": summary}
    (folder / "summary.json").write_text(json.dumps(value, indent=1))
    (folder / "tables.md").write_text(f"All tables.\n\n`{command}`\n")
    (folder / "top1.png").write_bytes(b"picture")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with both pages, nothing filled in."""
    (tmp_path / "docs").mkdir()
    text = "".join(
        f"By hand.\n<!-- results: {name} -->\n<!-- end of results -->\n"
        for name in ("overview", "few-labels", "ablation", "controls", "runs")
    )
    (tmp_path / "docs" / "results.md").write_text(text)
    (tmp_path / "README.md").write_text("Above.\n<!-- results: readme -->\n<!-- end of results -->\nBelow.\n")
    return tmp_path


def block(page: Path, name: str) -> str:
    return page.read_text().partition(f"<!-- results: {name} -->\n")[2].partition("\n<!-- end of results -->")[0]


def test_the_overview_has_the_pipeline_and_the_strongest_arm_without_graph(root: Path):
    write_run(root / "runs" / "few-labels", "few-labels", "labels on 20 %", TOP1)
    assert main(Results((root / "runs",)), root) == 0
    page = root / "docs" / "results.md"
    # Intervals of two seeds: t(0.975, 1) = 12.706 times half their difference. Both seeds are untouched ones.
    row = "| labels on 20 % | 52.0 ± 25.4 | 32.0 ± 25.4 | 53.0 ± 25.4 (pseudo-labels) | 62.5 ± 31.8 "
    row += "| **+10.5 ± 6.4** | **+9.5 ± 6.4** | **+9.5 ± 6.4** |"
    assert row in block(page, "overview")
    assert block(page, "overview").startswith("### JHMDB-TPS, SqueezeNet\n")
    assert "| KG-CLIP without path | – | – | 70.0 ± 0.0 | – |" in block(page, "few-labels")
    assert block(page, "ablation") == "No results of this are kept."
    link = "[JHMDB-TPS, SqueezeNet, few-labels](generated/jhmdb-tps-squeezenet/few-labels/tables.md) | 2 | 6 | 30 s"
    assert link in block(page, "runs")
    row = "| JHMDB-TPS, SqueezeNet, labels on 20 % | 52.0 ± 25.4 | 53.0 ± 25.4 (pseudo-labels) | 62.5 ± 31.8 | **+9.5"
    assert row in (root / "README.md").read_text()
    assert page.read_text().startswith("By hand.\n<!--")


def test_what_is_kept_says_nothing_of_folders(root: Path):
    write_run(root / "run", "few-labels", "labels on 20 %", TOP1)
    main(Results((root / "run",)), root)
    kept = root / "docs" / "generated" / "jhmdb-tps-squeezenet" / "few-labels"
    assert "`python -m experiments few-labels --out out --data jhmdb-tps`" in (kept / "tables.md").read_text()
    assert "/home" not in (kept / "summary.json").read_text()
    assert (kept / "top1.png").read_bytes() == b"picture"
    assert {row["metric"] for row in json.loads((kept / "summary.json").read_text())["summary"]} == {"top1"}


def test_two_encoders_stand_side_by_side(root: Path):
    top1 = {"paper's design": (0.4, 0.4), "KG-CLIP": (0.6, 0.6)}
    for name in ("SqueezeNet", "EfficientNet-lite0"):
        data = f"JHMDB-TPS, {name}"
        write_run(root / name, "ablation", "labels on 20 %", top1, data)
        write_run(root / f"{name}-few", "few-labels", "labels on 10 %", TOP1, data)
    main(Results(tuple(root / n for n in ("SqueezeNet", "EfficientNet-lite0", "EfficientNet-lite0-few"))), root)
    page = root / "docs" / "results.md"
    text = block(page, "ablation")
    first = "JHMDB-TPS, EfficientNet-lite0: labels on 20 % | difference | JHMDB-TPS, SqueezeNet: labels on 20 %"
    assert first in text.splitlines()[2]
    assert text.startswith("Differences: minus paper's design.")
    # A difference without any spread has no interval but zero.
    assert "| KG-CLIP | 60.0 ± 0.0 | – | 60.0 ± 0.0 | – |" in text
    assert block(page, "overview").count("### ") == 1


def test_check_finds_what_was_changed_by_hand(root: Path, capsys: pytest.CaptureFixture[str]):
    write_run(root / "run", "few-labels", "labels on 20 %", TOP1)
    main(Results((root / "run",)), root)
    assert main(Results(check=True), root) == 0
    page = root / "README.md"
    page.write_text(page.read_text().replace("Above.", "Other words above."))
    assert main(Results(check=True), root) == 0
    page.write_text(page.read_text().replace("52.0", "62.0"))
    assert main(Results(check=True), root) == 1
    assert "README.md: differs from docs/generated" in capsys.readouterr().out


def test_two_runs_of_one_experiment_and_empty_folders_are_refused(root: Path):
    for name in ("one", "two"):
        write_run(root / name, "few-labels", "labels on 20 %", TOP1)
    with pytest.raises(ValueError, match="give one of them"):
        main(Results((root / "one", root / "two")), root)
    with pytest.raises(ValueError, match=r"holds no summary\.json"):
        main(Results((root / "docs",)), root)


def test_the_pages_of_the_project_are_as_the_kept_results_make_them(capsys: pytest.CaptureFixture[str]):
    assert main(Results(check=True)) == 0, capsys.readouterr().out


def test_wrong_markers_are_refused():
    with pytest.raises(ValueError, match="there is no such block"):
        filled("<!-- results: nothing -->\n<!-- end of results -->", {"runs": ""})
    text = "<!-- results: runs -->\n<!-- results: readme -->\n<!-- end of results -->"
    with pytest.raises(ValueError, match="has no <!-- end of results -->"):
        filled(text, {"runs": "", "readme": ""})


def test_names_of_data_sets_are_names_of_folders():
    assert slug("JHMDB-TPS, EfficientNet-lite0") == "jhmdb-tps-efficientnet-lite0"
    assert slug("synthetic, part noise 0.3") == "synthetic-part-noise-0.3"
