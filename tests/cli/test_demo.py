"""The demonstration in small."""

import json
from pathlib import Path

import pytest

from kgclip.cli.main import run


@pytest.mark.slow
def test_demo_leaves_a_summary_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "demo"
    words = ["--train-per-action", "4", "--test-per-action", "1", "--json"]
    assert run(["demo", "--out", str(out), *words]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((out / "summary.json").read_text())
    arms = [summary, summary["few_labels"]]
    assert all(0 <= arm[name]["top1"] <= 1 for arm in arms for name in ("clip_only", "kg_clip"))
    assert summary["num_test_clips"] == 24
    assert summary["wall_s"] > 0
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http://" not in page
    assert "https://" not in page
    test_clip = min((out / "synthetic" / "test_videos").rglob("*.mp4"), key=lambda file: file.stem)
    assert run(["predict", str(out / "kg-clip"), str(test_clip), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["triplets"]
    assert all(row["movement"] in page for row in result["triplets"])


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(["demo", "--out", str(tmp_path)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
