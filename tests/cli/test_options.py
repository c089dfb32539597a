"""Options that cannot be, and places that cannot be written, end in one sentence."""

from pathlib import Path

import pytest
import torch

from kgclip.cli.main import run


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
    assert "check the path" in error
