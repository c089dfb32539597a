"""Numbers that cannot be are refused before anything is done."""

from pathlib import Path

import pytest

from kgclip.cli.main import run


@pytest.mark.parametrize("command", ["train --out m", "fit --out m", "kg build --out g.parquet", "data check"])
def test_workers_are_none_or_more(
    command: str, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    place = [str(figures)] if command.startswith(("fit", "data")) else ["--data", str(figures)]
    assert run([*command.split(), *place, "--workers", "-2"]) == 2
    assert capsys.readouterr().err == "kgclip: --workers -2: is too small; give 0 or more\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--path-weight", "nan", "--path-weight nan: is no weight; give a number from 0"),
        ("--path-weight", "inf", "--path-weight inf: is no weight; give a number from 0"),
        ("--path-weight", "-3", "--path-weight -3: is no weight; give a number from 0"),
        ("--frames", "-3", "--frames -3: cannot be; give a number from 1 to 1,024"),
        ("--frames", "1000000000", "--frames 1000000000: cannot be; give a number from 1 to 1,024"),
    ],
)
def test_numbers_of_a_training(
    option: str,
    value: str,
    said: str,
    figures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--data", str(figures), "--out", "m", f"{option}={value}"]) == 2
    assert capsys.readouterr().err == f"kgclip: {said}\n"
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_no_empty_list_of_spans(
    kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("bad.mp4").write_bytes(b"no film")
    assert run(["watch", str(kg_model), "bad.mp4", "--jsonl", "spans.jsonl"]) == 2
    assert "bad.mp4" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]
