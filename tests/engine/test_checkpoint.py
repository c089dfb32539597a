"""A model folder: complete or absent, and one sentence for everything that is wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from kgclip.config import OptimConfig, TrainConfig
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.errors import KgclipError

FILES = ["config.json", "hashes.json", "graph.parquet", "left_out.json", "model.safetensors", "split.json"]


def test_saving_and_loading_changes_nothing(kg_model: Path, kg_checkpoint: Checkpoint, tmp_path: Path):
    assert sorted(p.name for p in kg_model.iterdir()) == sorted(FILES)
    kg_checkpoint.save(tmp_path / "deep" / "copy")
    copy = Checkpoint.load(tmp_path / "deep" / "copy")
    for name, tensor in kg_checkpoint.model.state_dict().items():
        assert torch.equal(copy.model.state_dict()[name], tensor), name
    assert (copy.config, copy.actions, copy.split) == (
        kg_checkpoint.config,
        kg_checkpoint.actions,
        kg_checkpoint.split,
    )
    assert copy.graph.hash == kg_checkpoint.graph.hash
    assert not copy.model.training
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "copy"]


def test_training_a_loaded_model_on_leaves_its_file_alone(kg_model: Path):
    content = (kg_model / "model.safetensors").read_bytes()
    model = Checkpoint.load(kg_model).model
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert not any(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert (kg_model / "model.safetensors").read_bytes() == content


def test_halved_weights_are_used_in_full_precision(kg_model: Path, kg_checkpoint: Checkpoint, tmp_path: Path):
    shutil.copytree(kg_model, tmp_path / "half")
    file = tmp_path / "half" / "model.safetensors"
    (tmp_path / "half" / "hashes.json").unlink()
    save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(file).items()}, file)
    loaded = Checkpoint.load(tmp_path / "half").model.state_dict()
    for name, tensor in kg_checkpoint.model.state_dict().items():
        assert loaded[name].dtype == tensor.dtype, name
        torch.testing.assert_close(loaded[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("changed", ["graph", "split"])
def test_a_changed_graph_or_split_is_refused(changed: str, kg_model: Path, tmp_path: Path):
    shutil.copytree(kg_model, tmp_path / "model")
    stored = json.loads((tmp_path / "model" / "config.json").read_text())
    stored[f"{changed}_hash"] = "0" * 16
    (tmp_path / "model" / "config.json").write_text(json.dumps(stored))
    with pytest.raises(KgclipError, match=f"its {changed} is not the one this model was trained on"):
        Checkpoint.load(tmp_path / "model")


def test_a_trained_head_comes_back_with_its_log(trained_model: Path):
    assert sorted(p.name for p in trained_model.iterdir()) == sorted([*FILES, "log.jsonl"])
    checkpoint = Checkpoint.load(trained_model)
    assert checkpoint.model.gradient is not None
    assert checkpoint.model.action_embeddings.norm(dim=1).tolist() == pytest.approx([1] * 24, abs=1e-5)
    assert checkpoint.summary["epochs"] == 3
    assert checkpoint.summary["val_clips"] == len(checkpoint.split.val) > 0


def test_a_model_without_graph_has_no_movements(clip_only_model: Path):
    checkpoint = Checkpoint.load(clip_only_model)
    assert checkpoint.movements == ()
    assert not checkpoint.model.path.readable


def drop(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def write(file: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_text(content)


def without_key(folder: Path) -> None:
    stored = json.loads((folder / "config.json").read_text())
    del stored["actions"]
    (folder / "config.json").write_text(json.dumps(stored))


def foreign_field(folder: Path) -> None:
    stored = json.loads((folder / "config.json").read_text())
    stored["config"]["colour"] = "red"
    (folder / "config.json").write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop("config.json"), "not a model folder, it has no config.json"),
        (write("config.json", "{"), "cannot be read as JSON"),
        (write("config.json", "{}"), "not the configuration of a kgclip model of format 4"),
        (without_key, "lacks actions"),
        (foreign_field, "TrainConfig has no field 'colour'"),
        (drop("model.safetensors"), "model.safetensors: cannot be read"),
        (write("model.safetensors", "short"), "model.safetensors: is damaged"),
        (drop("graph.parquet"), "graph.parquet"),
        (write("graph.parquet", "no parquet"), "graph.parquet"),
        (drop("split.json"), "split.json: not found"),
    ],
)
def test_damage_gives_one_sentence(damage: Callable[[Path], object], message: str, kg_model: Path, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(kg_model, folder)
    damage(folder)
    with pytest.raises(KgclipError, match=message) as caught:
        Checkpoint.load(folder)
    assert "\n" not in str(caught.value)


def test_the_parts_of_two_models_do_not_mix(kg_model: Path, clip_only_model: Path, tmp_path: Path):
    shutil.copytree(kg_model, tmp_path / "a")
    shutil.copy(clip_only_model / "model.safetensors", tmp_path / "a")
    with pytest.raises(KgclipError, match="holds the weights of another model"):
        Checkpoint.load(tmp_path / "a")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_model_is_used_in_the_precision_of_its_training(
    precision: Literal["32-true", "bf16-mixed"], tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    optim = OptimConfig(precision=precision)
    train(tiny_config(tmp_path / "m", features=None, frames=2, optim=optim), show_progress=False)
    model = Recognizer.from_pretrained(tmp_path / "m").checkpoint.model
    assert model.backbone.in_bf16 == (precision == "bf16-mixed")


def test_the_configuration_says_how_the_model_was_made(
    kg_model: Path, kg_checkpoint: Checkpoint, tiny_config: Callable[..., TrainConfig]
):
    assert kg_checkpoint.config == tiny_config(kg_model)
    assert kg_checkpoint.summary["epochs"] == 0
    assert kg_checkpoint.summary["train_clips"] == len(kg_checkpoint.split.train)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("left_out.json", None, [1]),
        ("left_out.json", None, [{"clip": "a"}]),
        ("config.json", "unknown", {"x": 1}),
        ("config.json", "pose", {"landmarks": 3}),
    ],
)
def test_what_training_did_not_write_is_refused(
    file: str, key: str | None, value: object, kg_model: Path, tmp_path: Path
):
    shutil.copytree(kg_model, tmp_path / "model")
    path = tmp_path / "model" / file
    path.write_text(json.dumps(value if key is None else json.loads(path.read_text()) | {key: value}))
    with pytest.raises(KgclipError, match=r"not as training wrote it|holds the weights of another model"):
        Checkpoint.load(tmp_path / "model")
