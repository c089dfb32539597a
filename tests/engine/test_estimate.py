"""The prediction of a run: what it counts is exact, what it times is plausible, and nothing is left behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kgclip.cli.main import run
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine import estimate as estimating
from kgclip.engine.estimate import Estimate, estimate, with_loading
from kgclip.engine.rehearsal import Rehearsal
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.tuning import Tuning


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


@pytest.mark.parametrize(("batch_size", "expected"), [(16, (33.0, 62)), (2, (5.0, 20)), (1, (3.0, 17))])
def test_a_long_step_is_scaled_from_one_of_fewer_clips(
    batch_size: int, expected: tuple[float, int], monkeypatch: pytest.MonkeyPatch
):
    rehearsal = object.__new__(Rehearsal)
    rehearsal.num_clips = 100
    rehearsal.trainer = SimpleNamespace(fabric=SimpleNamespace(device=torch.device("cpu")))  # pyright: ignore
    sizes = [0]

    def steps_s(num_clips: int, batch_size: int) -> float:
        assert num_clips == batch_size <= 2
        sizes.append(batch_size)
        return 1.0 + 2.0 * batch_size

    monkeypatch.setattr(rehearsal, "steps_s", steps_s)
    monkeypatch.setattr(estimating, "peak_memory", lambda device: 14 + 3 * sizes[-1])
    assert estimating.measure_step(rehearsal, batch_size) == expected


@pytest.mark.parametrize(("workers", "expected"), [(0, 5.0), (1, 3.0), (2, 2.5)])
def test_decoding_overlaps_as_far_as_there_are_cores(
    workers: int, expected: float, tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(estimating.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    config = tiny_config(tmp_path, workers=workers)
    # One thread of two cores computes for two seconds while three seconds of decoding are to be done.
    assert with_loading(2.0, 3.0, config) == pytest.approx(expected)


def test_bad_input_is_found(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    with pytest.raises(KgclipError, match="features are of a frozen encoder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(tuning="full")))
    with pytest.raises(KgclipError, match="absent: no such folder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(backbone="./absent")))


def test_the_command(puppets: Path, puppet_features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["train", "--data", str(puppets), "--out", str(tmp_path / "m"), "--features", str(puppet_features)]
    words += ["--frames", "4", "--device", "cpu", "--workers", "0", "--dry-run"]
    assert run(words) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("trained parameters", "time", "memory", "steps", "s a step"))
    assert run([*words, "--json", "--batch", "auto", "--optim.epochs", "1"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["batch_size"] == 8
    assert {"wall_s", "memory_bytes", "steps", "trained_parameters", "seconds"} <= values.keys()
    assert list(tmp_path.iterdir()) == []
