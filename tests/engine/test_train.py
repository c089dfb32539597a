"""Whole runs: on features and on pixels, with every tuning."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.loop import Trainer, learning_rate_factor
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.options import HeadKind, Tuning


def pixels_run(config: TrainConfig, model: ModelConfig) -> TrainConfig:
    optim = OptimConfig(epochs=1, batch_size=12, lr_backbone=1e-3, warmup_epochs=0.0)
    split = replace(config.split, shots=2)
    return replace(config, features=None, frames=2, model=model, optim=optim, split=split)


@pytest.mark.parametrize(("tuning", "head"), [("lora", "gradient"), ("partial", "closed_form"), ("frozen", "gradient")])
def test_what_trains_on_pixels_comes_back(
    tuning: Tuning, head: HeadKind, tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    model = ModelConfig(head=head, tuning=tuning, lora_rank=2, partial_layers=1)
    trained = train(pixels_run(tiny_config(tmp_path / "model"), model), show_progress=False)
    loaded = Checkpoint.load(tmp_path / "model")
    assert not any("lora" in name for name in loaded.model.state_dict())
    frames = torch.randn(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(trained.model(frames).total, loaded.model(frames).total)
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_a_tower_that_training_spoils_stays_as_it_was(
    tiny_config: Callable[..., TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    config = pixels_run(tiny_config(tmp_path / "model"), ModelConfig(tuning="partial", partial_layers=1))

    def spoil(trainer: Trainer, epoch: int, *_: object) -> dict[str, Any]:
        with torch.no_grad():
            for parameter in trainer.step.parameters():
                if parameter.requires_grad:
                    parameter.zero_()
        return {"epoch": epoch, "loss": 0.0, "terms": {}}

    monkeypatch.setattr(Trainer, "train_epoch", spoil)
    summary = train(config, show_progress=False).summary
    assert summary["best_epoch"] == 0
    assert summary["val_top1"] == summary["start_val_top1"]
    assert "the start is taken" in caplog.text
    weights, start = Checkpoint.load(config.out).model.backbone.state_dict(), load_backbone("synthetic").state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in start.items())


def test_the_same_seed_gives_the_same_weights(
    tiny_config: Callable[..., TrainConfig], kg_checkpoint: Checkpoint, tmp_path: Path
):
    again = train(tiny_config(tmp_path / "again"), show_progress=False).model.state_dict()
    reference = kg_checkpoint.model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in reference.items())


def test_the_solved_head_is_solved_on_validation_clips_too(kg_checkpoint: Checkpoint, trained_model: Path):
    trained = Checkpoint.load(trained_model)
    assert kg_checkpoint.split.val == ()
    assert set(kg_checkpoint.split.train) == {*trained.split.train, *trained.split.val}


@pytest.mark.parametrize("head", ["closed_form", "gradient"])
def test_too_few_actions_are_refused(
    head: HeadKind, figures: Path, tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    clips = sorted((figures / "train_videos").rglob("*.mp4"))[:3]
    table = tmp_path / "clips.csv"
    table.write_text("video,label\n" + "".join(f"{clip},one\n" for clip in clips))
    model = ModelConfig(head=head, graph=False)
    config = tiny_config(tmp_path / "m", data=table, features=None, model=model)
    with pytest.raises(KgclipError, match=r"too few actions to learn \(1\), at least 2 are needed"):
        train(config, show_progress=False)
    assert sorted(tmp_path.iterdir()) == [table]


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
