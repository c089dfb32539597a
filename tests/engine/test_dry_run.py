"""The prediction of a run: what it counts is exact, what it times is plausible, and nothing is left behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from kgclip.engine.estimate import Estimate, Step, estimate, measure_passes
from kgclip.engine.rehearsal import Pace, Rehearsal, pace

from kgclip.cli.main import run
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine import estimate as estimating
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.options import Tuning


def check(expected: Estimate, summary: dict, config: TrainConfig) -> None:
    """Counts against those of the run itself."""
    assert (expected.train_clips, expected.val_clips) == (summary["train_clips"], summary["val_clips"])
    assert expected.trained_parameters == summary["trained_parameters"] <= expected.parameters
    assert expected.steps == config.epochs * -(-summary["train_clips"] // config.optim.batch_size)
    assert expected.wall_s == pytest.approx(sum(expected.seconds.values()))
    assert all(seconds >= 0 for seconds in expected.seconds.values())
    # Torch alone takes a hundred megabytes.
    assert 1e8 < expected.memory_bytes < 2e10


def test_of_features(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    config = tiny_config(tmp_path / "m")
    expected = estimate(config)
    assert list(tmp_path.iterdir()) == []
    assert expected.seconds["features"] == 0
    check(expected, train(config, show_progress=False).summary, config)


@pytest.mark.parametrize("tuning", ["frozen", "full", "lora"])
def test_of_pixels(tuning: Tuning, tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    model = ModelConfig(tuning=tuning, lora_rank=2)
    split = replace(tiny_config(tmp_path).split, shots=1)
    optim = OptimConfig(epochs=1, batch_size=8)
    config = tiny_config(tmp_path / "m", features=None, frames=2, model=model, optim=optim, split=split)
    expected = estimate(config)
    assert (expected.seconds["features"] > 0) == (tuning == "frozen")
    assert list(tmp_path.iterdir()) == []
    check(expected, train(config, show_progress=False).summary, config)


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(16, Step(16, 33.0, 62, 2, 5.0)), (2, Step(2, 5.0, 20, 2, 5.0)), (1, Step(1, 3.0, 17, 1, 3.0))],
)
def test_a_long_step_is_scaled_from_one_of_fewer_clips(
    batch_size: int, expected: Step, monkeypatch: pytest.MonkeyPatch
):
    rehearsal = object.__new__(Rehearsal)
    rehearsal.num_clips, rehearsal.on_pixels = 100, False
    rehearsal.trainer = SimpleNamespace(fabric=SimpleNamespace(device=torch.device("cpu")))  # pyright: ignore
    sizes = [0]

    def steps_s(num_clips: int, batch_size: int) -> float:
        assert num_clips == batch_size <= 2
        sizes.append(batch_size)
        return 1.0 + 2.0 * batch_size

    monkeypatch.setattr(rehearsal, "steps_s", steps_s)
    monkeypatch.setattr(estimating, "peak_memory", lambda device: 14 + 3 * sizes[-1])
    assert estimating.measure_step(rehearsal, batch_size) == expected


def test_a_pace_is_the_difference_of_two_passes():
    assert pace(lambda clips: 1.5 + 0.25 * clips, 8) == Pace(1.5, 0.25)
    assert Pace(1.5, 0.25).seconds(100) == 26.5
    # A pass over few clips that was disturbed makes no negative time.
    assert pace(lambda clips: 10.0 - clips, 2) == Pace(8.0, 0.0)


def test_decoding_slows_long_steps_as_it_slows_those_that_were_timed(monkeypatch: pytest.MonkeyPatch):
    rehearsal = object.__new__(Rehearsal)
    rehearsal.on_pixels, rehearsal.num_clips = True, 100
    monkeypatch.setattr(rehearsal, "embedding_pace", lambda clips, few: Pace(float(clips), float(few)))
    monkeypatch.setattr(rehearsal, "training_pace", lambda clips, few: Pace(float(clips), 3.0))
    # 16 clips in 32 s, of which 2 clips in 5 s were timed; with decoding these took 3 s a clip in place of 2.5.
    training, embedding = measure_passes(rehearsal, Step(16, 32.0, 0, 2, 5.0))
    assert (training.begin_s, training.clip_s) == (2.0, pytest.approx(3.0 * 2.0 / 2.5))
    assert embedding == Pace(2.0, 2.0)
    rehearsal.on_pixels = False
    assert measure_passes(rehearsal, Step(16, 1.6, 0, 16, 1.6))[0] == Pace(0.0, 0.1)


def test_bad_input_is_found(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    with pytest.raises(KgclipError, match="features are of a frozen encoder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(tuning="full")))
    with pytest.raises(KgclipError, match="absent: no such folder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(backbone="./absent")))


def test_the_command(figures: Path, synthetic_features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["train", "--data", str(figures), "--out", str(tmp_path / "m"), "--features", str(synthetic_features)]
    words += ["--frames", "4", "--device", "cpu", "--workers", "0", "--dry-run"]
    assert run(words) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("trained parameters", "time", "memory", "steps", "s a step"))
    assert run([*words, "--json", "--batch", "auto", "--optim.epochs", "1"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["batch_size"] == 8
    assert {"wall_s", "memory_bytes", "steps", "trained_parameters", "seconds"} <= values.keys()
    assert list(tmp_path.iterdir()) == []
