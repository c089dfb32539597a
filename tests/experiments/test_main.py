"""`python -m experiments`: what it prints, writes and refuses."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from experiments import __main__ as command
from experiments.__main__ import main
from experiments.arms import ARMS
from experiments.protocol import Experiment, Point
from experiments.setting import Setting


@dataclass(frozen=True)
class Constant:
    """Answers every clip with the same action."""

    setting: Setting
    answer: int

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        row = torch.zeros(len(self.setting.actions))
        row[self.answer] = 1
        return row.expand(len(clips), -1)

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        return None


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The only preset is "tiny", with two arms that cost nothing; gives the arms that were fitted."""
    calls: list[str] = []

    def arm(name: str, answer: int):
        def fit(setting: Setting) -> Constant:
            calls.append(name)
            return Constant(setting, answer)

        return fit

    for name, answer in (("first", 0), ("second", 1)):
        monkeypatch.setitem(ARMS, name, arm(name, answer))
    points = tuple(Point(f"{x} %", x=x, label_fraction=x / 100, frames=4, test_frames=(4,)) for x in (50, 100))
    tiny = Experiment("tiny", "Does it run?", ("first", "second"), points, against="first", axis="labels, %")
    # Entries that are deleted come back in another order, in which pages of later tests would differ.
    monkeypatch.setattr(command, "PRESETS", {"tiny": tiny})
    return calls


@pytest.fixture
def words(figures: Path, synthetic_features: Path, tmp_path: Path) -> list[str]:
    """A small run in this process."""
    data = ["--data", str(figures), "--features", str(synthetic_features)]
    return ["tiny", "--out", str(tmp_path / "out"), *data, "--seeds", "2", "--jobs", "1"]


def test_a_run(fitted: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("## Does it run?: synthetic\n")
    assert "| first | 4.2 ± 0.0 | 4.2 ± 0.0 |" in text
    out = tmp_path / "out" / "tiny"
    assert (out / "tables.md").read_text() + "\n" == text
    assert {"results.parquet", "summary.json", "top1.png"} <= {file.name for file in out.iterdir()}
    assert len(fitted) == 8
    assert main([*words, "--name", "Named"]) == 0
    assert capsys.readouterr().out.startswith("## Does it run?: Named\n")
    assert len(fitted) == 8
    value = json.loads((out / "summary.json").read_text())
    assert value["experiment"] == "tiny"
    assert value["provenance"]["cells"] == 8
    assert value["provenance"]["command"].startswith("python -m experiments tiny --out ")
    row = next(r for r in value["summary"] if r["arm"] == "second" and r["metric"] == "top1")
    assert row["mean"] == pytest.approx(1 / 24)
    assert (row["difference"], row["p"]) == (0.0, 1.0)


def test_all_of_them(fitted: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words[0] = "all"
    assert main([*words, "--quick", "--arms", "second"]) == 0
    assert capsys.readouterr().out.count("## Does it run?") == 1
    assert (tmp_path / "out" / "tiny" / "tables.md").exists()
    assert (tmp_path / "out" / "cells").exists()
    assert sorted(set(fitted)) == ["first", "second"]
    assert len(fitted) == 4


def test_an_unknown_preset_lists_them(fitted: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["huge", "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "experiments: huge: there is no such experiment; choose all or tiny\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--arms", "best"], "--arms 'best': there is no such arm"),
        (["--arms", "pipeline on pose"], "tiny: 'pipeline on pose' reads pose, and this experiment does not"),
        (["--seeds", "0"], "--seeds 0"),
        (["--jobs", "0"], "--jobs 0"),
        (["--folds", "1"], "--folds 1"),
        (["--folds", "900"], "cannot be cut into 900 folds"),
        (["--data", "gone"], "--data gone: not found"),
        (["--data", "synthetic"], "--features: is for a data set on disk"),
        (["--part-noise", "0.3"], "--part-noise: is for generated figures"),
        (["--features", "gone"], "gone: not found"),
        (["--backbone", "features:7"], "not those of --backbone features:7"),
    ],
)
def test_what_is_refused(
    changes: list[str],
    message: str,
    fitted: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert main([*words, *changes]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("experiments: ")
    assert message in line
    assert fitted == []
    assert not (tmp_path / "out").exists()


def test_nothing_is_generated_for_a_model_that_is_not_there(
    fitted: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gone, out = tmp_path / "gone", tmp_path / "out"
    (tmp_path / "gone").mkdir()
    assert main(["tiny", "--out", str(out), "--backbone", str(gone)]) == 2
    assert f"{gone / 'config.json'}: no such file" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("point", "words", "message"),
    [
        (Point("half novel", novel_fraction=0.5), ["--text", "gone"], "gone: no such folder"),
        (Point("split 20", published=20), ["--splits", "gone"], "gone/split_20_train.txt: cannot be read"),
    ],
)
def test_what_a_cell_would_miss_is_told_before(
    point: Point,
    words: list[str],
    message: str,
    fitted: list[str],
    figures: Path,
    synthetic_features: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(command.PRESETS, "tiny", dataclasses.replace(command.PRESETS["tiny"], points=(point,)))
    data = ["--data", str(figures), "--features", str(synthetic_features)]
    assert main(["tiny", "--out", str(tmp_path / "out"), *data, *words]) == 2
    assert message in capsys.readouterr().err
    assert fitted == []
    assert not (tmp_path / "out").exists()
