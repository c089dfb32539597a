"""`kgclip data features`: goes on, leaves out, reports; options without effect are refused."""

import json
import shutil
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.data.features import FeatureFile


@pytest.fixture
def clips(figures: Path, tmp_path: Path) -> Path:
    """A class folder with a sound and a broken clip."""
    folder = tmp_path / "clips" / "wave"
    folder.mkdir(parents=True)
    shutil.copy(next(figures.glob("test_videos/*/*.mp4")), folder / "a.mp4")
    (folder / "b.mp4").write_bytes(b"no video")
    return folder.parent


def test_a_broken_clip_ends_it_or_is_left_out(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "f.safetensors"
    command = ["data", "features", str(clips), "--out", str(out), "--frames", "2"]
    assert run(command) == 2
    assert "1 of 2 clips are encoded; correct or remove it and run again, or" in capsys.readouterr().err
    assert run([*command, "--keep-going", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["clips"], report["encoded"], report["encoder"]["name"]) == (1, 0, "synthetic")
    assert len(report["skipped"]) == 1
    assert all("b.mp4" in reason for reason in report["skipped"].values())
    assert FeatureFile(out).skipped == report["skipped"]
    assert run(command) == 0
    assert "skipped  " in capsys.readouterr().out
    assert run([*command[:-1], "3"]) == 2
    assert "features of 2 frames a clip, not 3; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder-weights", "w.bin"], "--encoder-weights: are for an encoder of your own"),
        (["--encoder", "e.py:load", "--backbone", "synthetic"], "leave out --encoder or --backbone"),
        (["--encoder", "e.py:load", "--device", "cuda"], "--device: is where a backbone runs"),
        (["--backbone", "features:7"], "features:7: takes features of frames, not pixels"),
    ],
)
def test_options_without_effect_are_refused(
    options: list[str], message: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["data", "features", str(clips), "--out", str(tmp_path / "f.safetensors"), *options]) == 2
    assert message in capsys.readouterr().err


def test_predict_refuses_weights_without_an_encoder(kg_model: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["predict", str(kg_model), "clip.mp4", "--encoder-weights", "w.bin"]) == 2
    assert "--encoder-weights: are for an encoder of your own" in capsys.readouterr().err
