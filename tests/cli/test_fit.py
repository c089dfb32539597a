"""`kgclip fit` as a user calls it: an estimate, a model, a page, a summary in words, and refusals in one sentence."""

import json
import re
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.engine.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def clips(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "clips"
    for source in sorted((figures / "train_videos").iterdir())[:3]:
        (folder / source.name).mkdir(parents=True)
        for video in source.iterdir():
            (folder / source.name / video.name).symlink_to(video)
    return folder


@pytest.fixture(scope="module")
def options(clips: Path, figures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("fit") / "out"
    pose = str(figures / "keypoints.parquet")
    return ["fit", str(clips), "--out", str(out), "--pose", pose, "--backbone", "synthetic", "--frames", "4"]


def out_of(options: list[str]) -> Path:
    return Path(options[options.index("--out") + 1])


def test_a_dry_run_says_what_it_will_take_and_makes_nothing(options: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*options, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"this will take about .* \(poses .* s, features .* s, the rest 15 s\) and .* GiB of memory", said)
    assert not out_of(options).exists()


def test_a_model_a_page_and_a_summary_in_words(options: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(options) == 0
    said, out = capsys.readouterr().out, out_of(options)
    assert "Clips of recordings it never saw are recognized in" in said
    assert f"recognize with: kgclip predict {out / 'model'} VIDEO" in said
    checkpoint = Checkpoint.load(out / "model")
    assert checkpoint.model.pose is not None
    page = (out / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert len(data["clips"]) == len([clip for clip in checkpoint.left_out if clip.judged])
    assert data["notes"][0] in said
    assert data["headline"][0]["value"] == pytest.approx(checkpoint.summary["left_out_top1"], abs=1e-3)


def test_again_with_json(options: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*options, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["model"] == str(out_of(options) / "model")
    assert values["judged"] >= values["right"] > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--frames", "0"], "--frames 0: needs at least one frame"),
        (["--detector", "rtdetr"], "--detector rtdetr: is of a ViTPose model; give its name with --pose"),
        (["--definitions", "gone.yaml"], "gone.yaml"),
        (["--annotations", "gone"], "gone: is no folder of annotations"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    words: list[str], sentence: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert run(["fit", str(clips), "--out", str(out), "--backbone", "synthetic", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not out.exists()


def test_an_estimator_that_is_not_there_is_named(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert run(["fit", str(clips), "--out", str(out), "--backbone", "synthetic", "--pose", "gone.tflite"]) == 2
    assert "gone.tflite" in capsys.readouterr().err
    assert not out.exists()
