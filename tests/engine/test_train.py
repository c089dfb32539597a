"""Whole runs: on features and on pixels, with every tuning."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.splits import SplitOptions
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.loop import Best, Trainer, learning_rate_factor
from kgclip.engine.prepare import prepare
from kgclip.engine.step import TrainingStep
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
    # The tower has learned from all others.
    judged = sum(clip.judged for clip in loaded.left_out)
    assert judged == (loaded.summary["val_clips"] if head == "closed_form" else 0)


def test_an_action_whose_clips_are_all_in_the_validation_part_is_learned_at_the_end(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    config = pixels_run(tiny_config(tmp_path / "model"), ModelConfig(tuning="partial", partial_layers=1))
    split = prepare(config).split
    dataset = open_dataset(config.data)
    (rare,) = {dataset.by_id[clip].action for clip in split.train[:1]}
    moved = tuple(clip for clip in split.train if dataset.by_id[clip].action == rare)
    file = tmp_path / "split.json"
    left = tuple(clip for clip in split.train if clip not in moved)
    replace(split, train=left, labelled=left, val=(*split.val, *moved)).save(file)
    made = train(replace(config, split=SplitOptions(file=file)), show_progress=False)
    assert rare in made.actions
    # Beside the start and every epoch they were no measure: none of these could have known the action.
    assert made.summary["val_clips"] == sum(dataset.by_id[clip].action != rare for clip in split.val)
    assert {clip.action for clip in made.left_out if clip.clip in moved} == {rare}


@pytest.mark.parametrize("top1", [0.0, 0.4, 1.0])
def test_an_epoch_as_good_as_the_start_does_not_take_its_place(top1: float):
    best = Best()
    best.start_at(top1, 10)
    assert not (top1, -0.0) > tuple(best.key)


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
    with pytest.raises(KgclipError, match="takes features of frames, not pixels"):
        train(config, show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_learning_rate_rises_then_falls_to_zero():
    values = [learning_rate_factor(step / 10, 0.2) for step in range(11)]
    assert values[:3] == pytest.approx([0, 0.5, 1])
    assert values[2:] == sorted(values[2:], reverse=True)
    assert values[-1] == pytest.approx(0)


def spoiled(monkeypatch: pytest.MonkeyPatch, at_step: int, spoil: Callable[..., dict[str, Tensor]]) -> None:
    """Have one step of training go through a function."""
    forward, calls = TrainingStep.forward, [0]

    def step(self: TrainingStep, index: Tensor, frames: Tensor, *rest: Any) -> dict[str, Tensor]:
        calls[0] += 1
        return (
            spoil(forward, self, index, frames, *rest) if calls[0] == at_step else forward(self, index, frames, *rest)
        )

    monkeypatch.setattr(TrainingStep, "forward", step)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_a_number_names_its_clips_and_keeps_the_last_good_state(
    what: str, tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = ModelConfig(head="gradient", pooling="projected")
    config = tiny_config(tmp_path / "run", save_every_s=0.0, model=model)
    names: list[str] = []

    def spoil(forward: Any, step: TrainingStep, index: Tensor, frames: Tensor, *rest: Any) -> dict[str, Tensor]:
        names.append(step.targets.names["video"][int(index[1])])
        if what == "loss":
            frames[1] = torch.nan
            return forward(step, index, frames, *rest)
        terms = forward(step, index, frames, *rest)
        # The root of nought: the loss is as it was, its gradient is not.
        return terms | {"odd": (0 * next(iter(terms.values()))).sqrt()}

    steps_an_epoch = 3
    spoiled(monkeypatch, 2 * steps_an_epoch, spoil)  # the last one of the second epoch: its weights would be saved
    with pytest.raises(KgclipError) as error:
        train(config, show_progress=False)
    monkeypatch.undo()
    said = str(error.value)
    state = tmp_path / "run.training"
    assert said.startswith(f"epoch 2: the {what} is nan on ")
    assert (f" on {names[0]};" in said) is (what == "loss")
    assert names[0] in said
    assert f"the state before is kept in {state / 'epoch-000001'} for --resume; look at these clips" in said
    assert [path.name for path in state.glob("epoch-*")] == ["epoch-000001"]
    assert train(config, resume=True, show_progress=False).summary["epochs"] == 3


def test_a_process_that_decodes_and_is_killed_is_a_sentence(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def deadly(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("kgclip.data.loader.load_clip", deadly)  # of the validation clips, by forked processes
    model = ModelConfig(tuning="partial", partial_layers=1)
    config = replace(pixels_run(tiny_config(tmp_path / "model"), model), workers=1)
    with pytest.raises(KgclipError, match=r"a process that decodes videos ended early, .* with fewer --workers"):
        train(config, show_progress=False)
    assert list(tmp_path.iterdir()) == []
