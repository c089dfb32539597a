"""Options that cannot be, and places that cannot be written, end in one sentence."""

from pathlib import Path

import pytest
import torch

from kgclip.cli.main import run
from kgclip.kg.graph import KnowledgeGraph


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--optim.batch-size", "0"], "--optim.batch-size 0: is too small"),
        (["--optim.epochs", "-1"], "--optim.epochs -1: is too small"),
        (["--prompts.action", "foo {x}"], "--prompts.action 'foo {x}': needs {name} once"),
        (["--prompts.movement", "foo"], "--prompts.movement 'foo': needs {name} once"),
        pytest.param(
            ["--device", "cuda"],
            "--device cuda: torch finds no CUDA device here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device"),
        ),
    ],
)
def test_options_of_training(
    words: list[str], message: str, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["train", "--data", str(figures), "--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kgclip: {message}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert run(["train", "--data", str(figures), "--out", str(tmp_path / "file" / "model")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kgclip: {tmp_path / 'file'}")
    assert "name another place" in error


def test_frames_of_zero_are_not_the_default(kg_model: Path, figures: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["evaluate", str(kg_model), "--data", str(figures), "--frames", "0"]) == 2
    assert capsys.readouterr().err == "kgclip: --frames 0: needs at least one frame; give numbers from 1\n"


def test_outputs_that_are_there_are_refused_before_anything_is_done(
    kg_model: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    graph = str(kg_model / "graph.parquet")
    (tmp_path / "out.parquet").write_text("theirs")
    out = ["--out", str(tmp_path / "out.parquet")]
    for words in (
        ["evaluate", str(kg_model), "--data", str(figures)],
        ["kg", "build", "--graphs", graph],
        ["kg", "export", graph],
        ["train", "--data", str(figures)],
    ):
        assert run([*words, *out]) == 2
        assert capsys.readouterr().err == f"kgclip: {out[1]}: exists already; choose another --out or remove it\n"
    assert (tmp_path / "out.parquet").read_text() == "theirs"


def test_hashes_fit_one_line(kg_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "60")
    file = kg_model / "graph.parquet"
    assert run(["kg", "stats", str(file)]) == 0
    assert f"({KnowledgeGraph.load(file).hash[:12]})" in capsys.readouterr().out.replace("\n", "")


def test_one_finding_is_one_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "d.yaml").write_text("push up: [left arm bend]")
    assert run(["kg", "lint", str(tmp_path / "d.yaml")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 finding"
