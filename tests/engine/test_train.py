"""Whole runs: on features and on pixels, with every tuning."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kgclip.engine.scoring import Scorer

from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.loop import learning_rate_factor
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.options import Tuning


def pixels_run(config: TrainConfig, tuning: Tuning) -> TrainConfig:
    model = ModelConfig(tuning=tuning, lora_rank=2, partial_layers=1)
    optim = OptimConfig(epochs=1, batch_size=12, lr_backbone=1e-3, warmup_epochs=0.0)
    split = replace(config.split, shots=1)
    return replace(config, features=None, frames=2, model=model, optim=optim, split=split)


@pytest.mark.parametrize("tuning", ["lora", "partial", "full", "text", "frozen"])
def test_every_tuning_trains_on_pixels_and_comes_back(
    tuning: Tuning, tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    trained = train(pixels_run(tiny_config(tmp_path / "model"), tuning), show_progress=False)
    loaded = Checkpoint.load(tmp_path / "model")
    assert not any("lora" in name for name in loaded.model.state_dict())
    frames = torch.randn(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    scores = [scorer.score(scorer.embed(frames)).fused for scorer in (Scorer(trained), Scorer(loaded))]
    torch.testing.assert_close(*scores)
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    tiny_config: Callable[..., TrainConfig], kg_checkpoint: Checkpoint, tmp_path: Path
):
    again = train(tiny_config(tmp_path / "again"), show_progress=False).model.state_dict()
    other = train(tiny_config(tmp_path / "other", seed=1), show_progress=False).model.state_dict()
    reference = kg_checkpoint.model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in reference.items())
    assert set(other) == set(reference)


def test_features_are_of_a_frozen_encoder(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    with pytest.raises(KgclipError, match="features are of a frozen encoder"):
        train(tiny_config(tmp_path / "m", model=ModelConfig(tuning="full")), show_progress=False)
    config = tiny_config(tmp_path / "m", model=ModelConfig(backbone="features:256"), features=None)
    with pytest.raises(KgclipError, match="takes features, not pixels"):
        train(config, show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_learning_rate_rises_then_falls_to_zero():
    values = [learning_rate_factor(step / 10, 0.2) for step in range(11)]
    assert values[:3] == pytest.approx([0, 0.5, 1])
    assert values[2:] == sorted(values[2:], reverse=True)
    assert values[-1] == pytest.approx(0)
