"""The card of a model says what is recorded and measured, and nothing else."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgclip.cli.main import run
from kgclip.cli.output import parse
from kgclip.cli.train import TrainCommand
from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.clip import Clip
from kgclip.data.dataset import open_dataset
from kgclip.data.fingerprint import data_hash
from kgclip.data.splits import SplitOptions
from kgclip.engine.card import model_card, train_command
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.code_version import code_version
from kgclip.engine.evaluate import evaluate, open_evaluation


def head_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n\n")[1].split("\n## ")[0]


def test_without_an_evaluation_nothing_is_claimed(kg_checkpoint: Checkpoint):
    text = model_card(kg_checkpoint)
    assert "No evaluation is at hand" in section(text, "How good it is")
    assert "left-out training clips" in section(text, "What it confuses")
    head = head_of(text)
    assert (head["library_name"], head["license"]) == ("kgclip", "unknown")
    assert "model-index" not in head
    bare = model_card(replace(kg_checkpoint, left_out=(), unknown=None, summary={}))
    assert section(bare, "What it confuses") == "Not measured.\n"
    assert "no threshold" in section(bare, "Limits")
    assert "(version not recorded), commit not recorded" in section(bare, "To make it again")


def test_what_is_recorded_is_said(kg_checkpoint: Checkpoint):
    text = model_card(kg_checkpoint)
    graph, split = kg_checkpoint.graph, kg_checkpoint.split
    assert f"Edges: {len(graph.triples)} (" in section(text, "Graph")
    assert graph.hash in section(text, "Graph")
    assert split.hash in section(text, "Data")
    assert f"{len(split.train)} clips, {len(split.labelled)} of them labeled" in section(text, "Data")
    made = code_version()
    assert f"With kgclip {made['kgclip']}, commit {made['commit'] or 'not recorded'}" in section(
        text, "To make it again"
    )
    assert all(action in text for action in kg_checkpoint.actions)


def test_clips_of_an_action_that_was_added_later_did_not_train_the_model(kg_checkpoint: Checkpoint):
    split = kg_checkpoint.split
    more = ("squat/a", "squat/b")
    larger = replace(split, train=(*split.train, *more), labelled=(*split.labelled, *more))
    before, after = (section(model_card(replace(kg_checkpoint, split=s)), "Data") for s in (split, larger))
    added = "- `kgclip add-action` gave it 2 clips more.\n"
    assert added not in before
    assert after.replace(added, "").replace(larger.hash, split.hash) == before


def test_an_evaluation_is_said_with_its_intervals(kg_model: Path, figures: Path, tmp_path: Path):
    out = tmp_path / "card.md"
    words = ["card", str(kg_model), "--data", str(figures), "--license", "mit", "--out", str(out), "--workers", "0"]
    assert run(words) == 0
    text = out.read_text()
    checkpoint = Checkpoint.load(kg_model)
    report, _ = evaluate(checkpoint, open_evaluation(checkpoint, figures), workers=0)
    found = re.search(r"Right first time \| ([0-9.]+) \| ([0-9.]+) to ([0-9.]+) ", text)
    assert found
    value, low, high = map(float, found.groups())
    assert value == pytest.approx(report["top1"], abs=1e-3)
    assert low < value <= high
    head = head_of(text)
    assert head["license"] == "mit"
    figures_of_head = {m["type"]: m["value"] for m in head["model-index"][0]["results"][0]["metrics"]}
    assert figures_of_head["top1"] == pytest.approx(report["top1"], abs=1e-4)
    clips = [clip for clip in open_dataset(figures).clips if clip.part == "test"]
    assert hash_of(clips) in section(text, "Data")
    wrong = [(a, b) for a, given in report["recognized_as"].items() for b in given if a != b]
    said = re.findall(r"- (.+) for (.+): \d+ of \d+ clips", section(text, "What it confuses"))
    assert said
    assert set(said) <= set(wrong)


def hash_of(clips: Sequence[Clip]) -> str:
    return data_hash([c.id for c in clips], [c.action for c in clips], [c.path for c in clips])


def test_clips_have_the_hash_of_what_they_are(figures: Path):
    first, *others = open_dataset(figures).clips[:3]
    relabeled, other_video = replace(first, action=None), replace(first, path=others[0].path)
    hashes = [hash_of([first, *others]), hash_of([*others, first])]
    assert hashes[0] == hashes[1]
    assert len({hashes[0], hash_of([relabeled, *others]), hash_of([other_video, *others])}) == 3


def test_the_command_makes_the_same_configuration(tmp_path: Path):
    config = TrainConfig(
        Path("a b"),
        tmp_path,
        keypoints=Path("k.parquet"),
        frames=4,
        model=ModelConfig("efficientnet-lite0", graph=False, subspace=None),
        split=SplitOptions(shots=3, group_by_source=False),
    )
    default = TrainCommand(TrainConfig(Path("x"), Path("y")))
    words = shlex.split(train_command(config))
    assert words[:2] == ["kgclip", "train"]
    assert parse(TrainCommand, words[2:], "train", default).config == config


def test_a_card_that_is_there_stays(kg_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "card.md").write_text("mine")
    assert run(["card", str(kg_model), "--out", str(tmp_path / "card.md")]) == 2
    assert "exists already; choose another --out" in capsys.readouterr().err
    assert (tmp_path / "card.md").read_text() == "mine"
    assert run(["card", str(kg_model), "--keypoints", "k", "--out", str(tmp_path / "other.md")]) == 2
    assert capsys.readouterr().err == "kgclip: --keypoints k: is of the clips of --data; give that too\n"
