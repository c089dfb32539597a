"""The demonstration in small."""

import json
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.kg.graph import KnowledgeGraph
from kgclip.report.demo import MARKER, _clear
from kgclip.synthetic.vocabulary import on_disk


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
    assert page.count("data:image/png;base64,") == 4  # frames of a right and of a wrong clip, and two figures
    assert page.count(", taken for ") == 1
    assert "http://" not in page
    assert "https://" not in page
    clips = sorted((out / "figures" / "test_videos").rglob("*.mp4"), key=lambda file: file.stem)
    assert run(["predict", str(out / "kg-clip"), *map(str, clips), "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    right = [on_disk(result["actions"][0]["action"]) in Path(result["file"]).parts for result in results]
    for result in (results[right.index(True)], results[right.index(False)]):
        assert result["triplets"]
        assert all(row["movement"] in page for row in result["triplets"])
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [MARKER]
    graph, stored = (KnowledgeGraph.load(out / name) for name in ("graph.parquet", "kg-clip/graph.parquet"))
    assert graph.hash == stored.hash


def test_only_what_a_demonstration_wrote_is_replaced(tmp_path: Path):
    out = tmp_path / "demo"
    _clear(out)
    (out / "figures").mkdir()
    (out / "kg-clip.training").mkdir()
    (out / ".features.safetensors.kgclip-part").mkdir()  # encoded clips of an ended run, which may be of another seed
    (out / "summary.json").touch()
    (out / "notes.txt").write_text("of the user")
    (out / "puppets").mkdir()
    _clear(out)
    assert sorted(path.name for path in out.iterdir()) == [MARKER, "notes.txt", "puppets"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "figures").mkdir()
    assert run(["demo", "--out", str(tmp_path)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
