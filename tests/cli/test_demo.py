"""The demonstration in small."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgclip.cli.main import run
from kgclip.compare import clip_frames, scores_of
from kgclip.data.features import FeatureFile
from kgclip.engine.checkpoint import Checkpoint
from kgclip.kg.graph import KnowledgeGraph
from kgclip.report.demo import MARKER, _clear
from kgclip.synthetic.dataset import SyntheticOptions
from kgclip.synthetic.vocabulary import on_disk


@pytest.mark.slow
def test_demo_leaves_a_summary_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    short = partial(SyntheticOptions, frames=(16, 24), size=(64, 64))
    monkeypatch.setattr("kgclip.report.demo.SyntheticOptions", short)
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
    assert page.startswith("<!doctype html>")
    check_unseen(summary["unseen"], out, page)
    kinds = 1 + (0 < summary["unseen"]["top1"] < 1)  # of unseen clips none or all may be recognized
    assert page.count("data:image/png;base64,") == 2
    assert page.count("data:image/webp;base64,") == 2 + kinds  # frames of right and of wrong clips
    assert page.count("wrong: it is ") == 1 + (summary["unseen"]["top1"] < 1)
    # What only the graph can do comes first.
    assert page.index("By their definitions alone") < page.index("Labels on 20 %") < page.index("One right, one wrong")
    assert all(f"{100 * row['top1']:.1f} %" in page for row in summary["few_labels"].values())
    assert "http://" not in page
    assert "https://" not in page
    clips = sorted((out / "figures" / "test_videos").rglob("*.mp4"), key=lambda file: file.stem)
    pose = str(out / "figures" / "keypoints.parquet")
    assert run(["predict", str(out / "kg-clip-pose"), *map(str, clips), "--keypoints", pose, "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    right = [on_disk(result["actions"][0]["action"]) in Path(result["file"]).parts for result in results]
    for result in (results[right.index(True)], results[right.index(False)]):
        assert result["answer"]["action"] in page
        assert all(reason["text"] in page for reason in result["answer"]["reasons"])
    links = set(re.findall(r'href="(pages/[^"]+)"', page))
    assert len(links) == 2 + kinds
    assert all((out / link).is_file() for link in links)
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [MARKER]
    graph, stored = (KnowledgeGraph.load(out / name) for name in ("graph.parquet", "kg-clip/graph.parquet"))
    assert graph.hash == stored.hash


def check_unseen(unseen: dict[str, Any], out: Path, page: str):
    """No clip of an unseen action trained the model, and the model's scores give what is counted."""
    checkpoint = Checkpoint.load(out / "unseen-kg-clip")
    folders = {path.stem: path.parent.name for path in (out / "figures").glob("*_videos/*/*.mp4")}
    names = {on_disk(action): action for action in unseen["actions"]}
    assert len(names) == 6
    assert not {folders[clip] for clip in checkpoint.split.train} & names.keys()
    assert not {edge.tail for edge in checkpoint.graph.edges("performs")} & {*unseen["actions"]}
    written = yaml.safe_load((out / "definitions.yaml").read_text())
    assert written == {action: row["movements"] for action, row in unseen["actions"].items()}
    assert all(movement in page for movements in written.values() for movement in movements)
    clips = tuple(clip for clip in checkpoint.split.test if folders[clip] in names)
    frames = clip_frames(FeatureFile(out / "features.safetensors"), clips, checkpoint.config.frames)
    right = among = 0
    for clip, scores in zip(clips, scores_of(checkpoint, frames)[0].tolist(), strict=True):
        ranked = sorted(zip(scores, checkpoint.actions, strict=True), reverse=True)
        right += ranked[0][1] == names[folders[clip]]
        among += next(action for _, action in ranked if action in unseen["actions"]) == names[folders[clip]]
    assert unseen["num_clips"] == len(clips) == 6
    assert unseen["top1"] == pytest.approx(right / 6)
    assert unseen["top1_among_unseen"] == pytest.approx(among / 6)
    assert sum(row["right"] for row in unseen["actions"].values()) == right
    assert (unseen["chance"], unseen["chance_among_unseen"]) == (pytest.approx(1 / 24), pytest.approx(1 / 6))
    assert f"{100 * unseen['top1']:.1f} %</b> of their 6 test clips among all 24 actions" in page.replace("\n", " ")


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
