"""Models in the layout of a hub: saved, found where the hub's client keeps them, and put there; without a network."""

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

import kgclip
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.hub import model_folder
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError

NAME, COMMIT = "me/golf", "0123456789abcdef0123456789abcdef01234567"
MODEL_FILES = {"README.md", "config.json", "graph.parquet", "left_out.json", "model.safetensors", "split.json"}


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the hub's client, which may not use the network."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return cache


def fetched(model: Path, cache: Path) -> Path:
    """A model as the hub's client keeps what it has fetched."""
    repository = cache / f"models--{NAME.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(model, repository / "snapshots" / COMMIT)
    return repository / "snapshots" / COMMIT


def test_what_is_saved_is_the_same_model_with_its_card(kg_model: Path, tmp_path: Path):
    Recognizer.from_pretrained(kg_model).save_pretrained(tmp_path / "saved", license="mit")
    assert {file.name for file in (tmp_path / "saved").iterdir()} == MODEL_FILES
    assert Recognizer.from_pretrained(str(tmp_path / "saved")).checkpoint.hash == Checkpoint.load(kg_model).hash
    assert "license: mit\n" in (tmp_path / "saved" / "README.md").read_text()
    with pytest.raises(KgclipError, match="exists already"):
        Recognizer.from_pretrained(kg_model).save_pretrained(tmp_path / "saved")


def test_a_card_goes_where_its_model_goes(kg_model: Path, tmp_path: Path):
    shutil.copytree(kg_model, tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("measured")
    recognizer = Recognizer.from_pretrained(tmp_path / "model")
    recognizer.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "README.md").read_text() == "measured"


def test_an_estimator_goes_where_its_model_goes(pose_model: Path, tmp_path: Path):
    shutil.copytree(pose_model, tmp_path / "model")
    name = str((Checkpoint.load(pose_model).pose or {})["pose"])
    (tmp_path / "model" / name).write_bytes(b"weights")
    Recognizer.from_pretrained(tmp_path / "model", pose="none").save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / name).read_bytes() == b"weights"


def test_a_name_is_found_where_the_hub_keeps_it(kg_model: Path, offline: Path):
    snapshot = fetched(kg_model, offline)
    recognizer = Recognizer.from_pretrained(NAME)
    assert recognizer.folder == snapshot
    assert recognizer.checkpoint.hash == Checkpoint.load(kg_model).hash
    assert kgclip.load(NAME, revision=COMMIT).hash == recognizer.checkpoint.hash


def test_a_folder_comes_before_a_name(kg_model: Path, offline: Path):
    fetched(kg_model, offline)
    Path(NAME).mkdir(parents=True)
    with pytest.raises(KgclipError, match="not a model folder"):
        Recognizer.from_pretrained(NAME)
    # A path is never looked for on a hub.
    assert model_folder(Path("they/wave")) == Path("they/wave")


def test_a_name_that_nobody_has_is_one_sentence(offline: Path):
    with pytest.raises(KgclipError, match=r"^they/wave: is no local folder and could not be fetched \(.*\); give the"):
        Recognizer.from_pretrained("they/wave")


def test_a_folder_has_no_revision(kg_model: Path):
    with pytest.raises(KgclipError, match=r"is a folder and has no revision v1"):
        Recognizer.from_pretrained(kg_model, revision="v1")


class FakeHub:
    """Takes what the hub would take."""

    calls: list[tuple[str, dict[str, Any]]]
    folder: Path

    def __init__(self, token: str | None = None):
        type(self).calls = [("token", {"token": token})]

    def create_repo(self, name: str, **options: Any) -> str:
        self.calls.append((name, options))
        return f"hub/{name}"

    def upload_folder(self, repo_id: str, folder_path: Path, **options: Any) -> None:
        self.calls.append((repo_id, options))
        shutil.copytree(folder_path, self.folder)


def test_a_model_is_put_on_the_hub(kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FakeHub, "folder", tmp_path / "there", raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub)
    recognizer = Recognizer.from_pretrained(kg_model)
    assert recognizer.push_to_hub(NAME, license="mit", private=True, token="secret") == "hub/me/golf"
    assert FakeHub.calls == [
        ("token", {"token": "secret"}),
        (NAME, {"private": True, "exist_ok": True}),
        (NAME, {"commit_message": "Upload a kgclip model"}),
    ]
    assert {file.name for file in (tmp_path / "there").iterdir()} == MODEL_FILES
    assert Recognizer.from_pretrained(tmp_path / "there").checkpoint.hash == recognizer.checkpoint.hash


@pytest.mark.parametrize("name", [NAME, "no name at all"])
def test_a_hub_that_cannot_be_reached_is_one_sentence(name: str, kg_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(KgclipError, match=rf"^{name}: could not be put on the hub \(.*\); check the name, your token"):
        Recognizer.from_pretrained(kg_model).push_to_hub(name, token="secret")
