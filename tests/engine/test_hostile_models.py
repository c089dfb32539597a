"""Models from strangers: one sentence, little memory, and nothing replaced unnoticed."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.folder_hash import stored_hash
from kgclip.errors import KgclipError
from tests.mutations import damaged_bytes, damaged_json, outcomes


@pytest.fixture
def folder(kg_model: Path, tmp_path: Path) -> Path:
    """A copy of a model."""
    shutil.copytree(kg_model, tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_replaced_actions_are_noticed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = Checkpoint.load(folder)
    assert loaded.folder_hash == stored_hash(folder)
    change(folder, actions=list(reversed(loaded.actions)))
    with pytest.raises(KgclipError, match=r"model: config\.json changed since the model was written; restore what"):
        Checkpoint.load(folder)
    hashes = json.loads((folder / "hashes.json").read_text())
    del hashes["config.json"]  # a file that is left out counts all the same
    (folder / "hashes.json").write_text(json.dumps(hashes))
    with pytest.raises(KgclipError, match=r"config\.json changed"):
        Checkpoint.load(folder)
    (folder / "hashes.json").unlink()
    changed = Checkpoint.load(folder)
    assert changed.folder_hash != loaded.folder_hash
    assert "has no hashes.json, so that a change of its files is not noticed" in caplog.text


@pytest.mark.parametrize("name", ["left_out.json", "split.json", "model.safetensors"])
def test_every_file_counts(name: str, folder: Path) -> None:
    file = folder / name
    content = bytearray(file.read_bytes())
    if name == "model.safetensors":
        content[-1] ^= 1
    else:
        content += b"\n"
    file.write_bytes(content)
    with pytest.raises(KgclipError, match=f"model: {name} changed since the model was written"):
        Checkpoint.load(folder)


def test_a_hash_names_files_of_the_folder_only(folder: Path) -> None:
    (folder / "hashes.json").write_text(json.dumps({"../secret": "0" * 64}))
    with pytest.raises(KgclipError, match=r"hashes\.json: names '\.\./secret', which is no file of the folder"):
        Checkpoint.load(folder)


def test_a_named_pipe_is_not_waited_for(folder: Path) -> None:
    for name in ("model.safetensors", "graph.parquet", "split.json", "left_out.json", "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(KgclipError, match=r"is a named pipe, expected a file; check the path"):
            Checkpoint.load(folder)


MANY = """
import json, pathlib, resource, sys
from kgclip.engine.checkpoint import Checkpoint
folder = pathlib.Path(sys.argv[1])
Checkpoint.load(folder)  # takes what every load takes
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for content in json.loads(sys.stdin.read()):
    (folder / "config.json").write_text(content)
    try:
        Checkpoint.load(folder)
    except Exception as error:
        print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) // 1024)
"""
DEEP = '{"format": 4, "config": ' + '{"a":' * 1_000_000 + "1" + "}" * 1_000_001


def test_sizes_are_refused_before_memory_is_taken(folder: Path) -> None:
    whole = (folder / "config.json").read_text()

    def spec(tower: str, key: str, value: Any) -> str:
        stored = json.loads(whole)
        stored["backbone"][tower][key] = value
        return json.dumps(stored)

    cases = {
        DEEP: "cannot be read as JSON (nested too deeply)",
        '{"format": 4, "x": ' + "9" * 6000 + "}": "(a number of 6000 digits)",
        spec("text", "width", 200_000): "holds the weights of another model",
        spec("text", "buckets", 2**33): "is damaged, expected a model (",
        spec("text", "buckets", 2**62): "is damaged, expected a model (",
        spec("text", "depth", 10**9): "expected sizes of a model (ValueError: depth 1000000000)",
        spec("text", "num_heads", 0): "0 heads do not divide a width of 128",
        spec("image", "depths", [10**9] * 4): "expected sizes of a model (ValueError: depths",
        json.dumps(json.loads(whole) | {"landmarks": {"8": 10**7}}): "holds the weights of another model",
        json.dumps(json.loads(whole) | {"actions": ["a", "b\x1b[2J"]}): r"(it has the action 'b\x1b[2J')",
    }
    command = [sys.executable, "-c", MANY, str(folder)]
    done = subprocess.run(command, input=json.dumps(list(cases)), capture_output=True, text=True, timeout=100)
    *lines, grown = done.stdout.splitlines()
    assert len(lines) == len(cases), done.stderr
    for line, message in zip(lines, cases.values(), strict=True):
        assert line.startswith("KgclipError ")
        assert message in line
    assert int(grown) < 200  # MiB


@torch.no_grad()
def load_damaged(folder: Path, kind: str, rng: random.Random) -> None:
    """Load a model one of whose files is damaged and, where that succeeds, use it."""
    files = {"json": ["config.json", "left_out.json", "split.json"], "weights": ["model.safetensors"]}
    file = folder / rng.choice(files[kind])
    whole = file.read_bytes()
    if kind == "json":
        content = json.dumps(damaged_json(json.loads(whole), rng)).encode()
        content = damaged_bytes(whole, rng) if rng.random() < 0.2 else content
    else:
        length = 8 + int.from_bytes(whole[:8], "little")
        content = damaged_bytes(whole[:length], rng) + whole[length:]
    file.write_bytes(content)
    try:
        model = Checkpoint.load(folder).model
        model(torch.zeros(1, 4, model.backbone.frame_dim))
        model.backbone.encode_text(["jump"])
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("kind", ["json", "weights"])
def test_damaged_models_are_one_sentence(kind: str, folder: Path) -> None:
    (folder / "hashes.json").unlink()  # as if the hash had been written again
    refused, others = outcomes(60, lambda rng: load_damaged(folder, kind, rng))
    assert others == []
    assert refused > 25
