"""Fixtures every test folder shares."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from kgclip.config import ModelConfig, OptimConfig, TrainConfig, without_graph
from kgclip.data.dataset import open_dataset
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.export import export
from kgclip.engine.extract import extract_features
from kgclip.engine.train import train
from kgclip.models.backbones.registry import load_backbone
from kgclip.synthetic.dataset import SyntheticOptions, generate

# The tests run in one process a core: more threads, also of the commands they start, would get in each other's way.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# Machines that run tests are noisy: how long an example took says nothing.
settings.register_profile("kgclip", deadline=None)
settings.load_profile("kgclip")

TINY_FRAMES = 4


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; users of the project do not have it."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: the real graph, clips and weights are not part of the project")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave no readings of their annotations in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny synthetic data set: 24 actions, 4 training clips and 1 test clip of each, about a dozen frames long."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    options = SyntheticOptions(train_per_action=4, test_per_action=1, frames=(12, 16), size=(64, 64))
    generate(folder, options, progress=False)
    return folder


@pytest.fixture(scope="session")
def synthetic_features(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of all its clips: as many frames as the tiny runs take, so that both see the same ones."""
    file = tmp_path_factory.mktemp("features") / "features.safetensors"
    paths = {clip.id: clip.path for clip in open_dataset(figures).clips}
    extract_features(backbone_encoder(load_backbone("synthetic")), paths, TINY_FRAMES, file, workers=1, progress=False)
    return file


@pytest.fixture(scope="session")
def tiny_config(figures: Path, synthetic_features: Path) -> Callable[..., TrainConfig]:
    """A configuration of a run of a few seconds, on cached features; fields of it can be replaced."""

    def make(out: Path, **changes: Any) -> TrainConfig:
        optim = OptimConfig(epochs=3, batch_size=32, warmup_epochs=1.0)
        config = TrainConfig(
            data=figures, out=out, features=synthetic_features, frames=TINY_FRAMES, workers=0, device="cpu", optim=optim
        )
        return replace(config, **changes)

    return make


@pytest.fixture(scope="session")
def kg_model(tiny_config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose head is solved."""
    out = tmp_path_factory.mktemp("models") / "kg"
    train(tiny_config(out), show_progress=False)
    return out


@pytest.fixture(scope="session")
def trained_model(tiny_config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose head is trained by gradient."""
    out = tmp_path_factory.mktemp("models") / "trained"
    train(tiny_config(out, model=ModelConfig(head="gradient", pooling="projected")), show_progress=False)
    return out


@pytest.fixture(scope="session")
def clip_only_model(tiny_config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model trained without the graph."""
    out = tmp_path_factory.mktemp("models") / "clip-only"
    train(without_graph(tiny_config(out)), show_progress=False)
    return out


@pytest.fixture(scope="session")
def pose_model(
    tiny_config: Callable[..., TrainConfig], figures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a model that reads pose too, by the figures' true keypoints."""
    out = tmp_path_factory.mktemp("models") / "pose"
    train(tiny_config(out, keypoints=figures / "keypoints.parquet"), show_progress=False)
    return out


@pytest.fixture(scope="session")
def exported_kg(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model as ONNX."""
    return _exported(kg_model, tmp_path_factory)


@pytest.fixture(scope="session")
def exported_pose(pose_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that reads pose as ONNX."""
    return _exported(pose_model, tmp_path_factory)


def _exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / model.name
    export(Checkpoint.load(model), out)
    return out


@pytest.fixture
def ended_process() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def kg_checkpoint(kg_model: Path) -> Checkpoint:
    """The trained model, loaded."""
    return Checkpoint.load(kg_model)
