"""Several processes that torchrun starts train as one does."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from kgclip.cli.main import run, run_in_torchrun
from kgclip.config import ModelConfig, TrainConfig
from kgclip.engine import processes
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.extract import extract_features
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from tools.many_processes import differences, gradients, gradients_of

WEIGHTS, FEATURES = "model.safetensors", "features.safetensors"
# Runs the command line; the second process kills itself at the fourth of six steps, in the middle of the second epoch.
KILLED = """
import os, signal, sys
from kgclip.engine import step
original, calls = step.TrainingStep.forward, 0
def deadly(*args):
    global calls
    calls += 1
    if calls == 4 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
step.TrainingStep.forward = deadly
from kgclip.cli.main import main
main()
"""

# Features of clips, and how many of them this process has encoded.
ENCODE = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from kgclip.cli.main import leave
from kgclip.config import TrainConfig
from kgclip.engine import extract, processes
from kgclip.engine.frames import RunFrames
from kgclip.models.backbones.registry import load_backbone
original, calls = extract._encode, 0
def counted(*args):
    global calls
    calls += 1
    return original(*args)
extract._encode = counted
out, clips = Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]]
prepared = SimpleNamespace(split=SimpleNamespace(train=tuple(c.stem for c in clips), val=()), paths=lambda _: clips)
config = TrainConfig(Path("unused"), out, frames=2, workers=0, device="cpu")
backbone = load_backbone("synthetic").requires_grad_(False)
with processes.together("cpu"):
    with processes.in_turn():
        out.mkdir(exist_ok=True)
    frames = RunFrames(config, prepared, backbone, out, show_progress=False)
    assert len(frames.features.clips) == len(clips)
    (out / f"{os.environ['RANK']}.txt").write_text(str(calls))
leave()
"""


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def sentences(process: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in process.stderr.splitlines() if line.startswith("kgclip: ")]


def words_of(config: TrainConfig) -> list[str]:
    return (
        f"train --data {config.data} --out {config.out} --features {config.features} --frames {config.frames} "
        "--workers 0 --device cpu --model.head gradient --model.pooling projected --optim.epochs 3 "
        f"--optim.batch-size 32 --optim.warmup-epochs 1.0 --save-every-s 0 --model.tuning {config.model.tuning}"
    ).split()


def killed(config: TrainConfig, folder: Path, *more: str) -> Path:
    """The state of a run in two processes of which one was killed in its second epoch."""
    script = folder / "killed.py"
    script.write_text(KILLED)
    process = torchrun(str(script), *words_of(config), *more)
    assert process.returncode != 0
    assert f"exitcode  : -{signal.SIGKILL.value}" in process.stderr
    assert len(sentences(process)) <= 1
    return config.out.with_name("run.training")


def assert_same_weights(found: Path, expected: Path) -> None:
    tensors = load_file(found / WEIGHTS)
    for name, tensor in load_file(expected / WEIGHTS).items():
        torch.testing.assert_close(moved(name, tensors[name]), moved(name, tensor), rtol=1e-5, atol=1e-5)


def moved(name: str, tensor: Tensor) -> Tensor:
    """What gradients move: softmax does not see the keys' bias, whose gradient is rounding that AdamW scales up."""
    return tensor.unflatten(0, (3, -1))[[0, 2]] if name.endswith("qkv.bias") else tensor


@pytest.mark.slow
def test_two_processes_have_the_loss_and_the_gradients_of_one(figures: Path, tmp_path: Path):
    chosen = ("contrastive", "full tuning", "LoRA, two steps an update, sharded")
    rows = list(differences(gradients(figures, tmp_path, chosen), gradients_of(figures, chosen, 2)))
    assert {row.case for row in rows} == set(chosen)
    assert max(max(row.loss, row.gradient) for row in rows) < 1e-5
    assert [round(row.held, 1) for row in rows] == [1.0, 1.0, 0.7]  # a third is the head, whole in each


@pytest.mark.slow
def test_killed_in_two_processes_and_resumed_in_one(
    tiny_config: Callable[..., TrainConfig], trained_model: Path, tmp_path: Path
):
    head = ModelConfig(head="gradient", pooling="projected")
    config = tiny_config(tmp_path / "run", save_every_s=0.0, model=head)
    state = killed(config, tmp_path)
    assert [path.name for path in state.glob("epoch-*")] == ["epoch-000001"]
    train(config, resume=True, show_progress=False)
    assert_same_weights(config.out, trained_model)
    lines = (config.out / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
def test_killed_with_towers_shared_out_and_resumed_in_two_processes_or_one(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    tuned = ModelConfig(head="gradient", pooling="projected", tuning="text")
    config = tiny_config(tmp_path / "run", save_every_s=0.0, model=tuned)
    unbroken, alone = replace(config, out=tmp_path / "unbroken"), replace(config, out=tmp_path / "alone")
    train(unbroken, show_progress=False)
    state = killed(config, tmp_path, "--shard")
    shutil.copytree(state, tmp_path / "alone.training")
    train(alone, resume=True, show_progress=False)
    assert_same_weights(alone.out, unbroken.out)
    process = torchrun("-m", "kgclip", *words_of(config), "--shard", "--resume")
    assert process.returncode == 0, process.stderr
    assert_same_weights(config.out, unbroken.out)


@pytest.mark.slow
def test_processes_share_out_the_encoding_of_a_frozen_tower(figures: Path, tmp_path: Path):
    clips = sorted((figures / "train_videos").rglob("*.mp4"))[:7]
    script = tmp_path / "encode.py"
    script.write_text(ENCODE)
    assert torchrun(str(script), str(tmp_path / "two"), *map(str, clips)).returncode == 0
    paths = {clip.stem: clip for clip in clips}
    one = tmp_path / "one" / FEATURES
    extract_features(backbone_encoder(load_backbone("synthetic")), paths, 4, one, workers=1, progress=False)
    assert (tmp_path / "two" / FEATURES).read_bytes() == one.read_bytes()
    encoded = [(tmp_path / "two" / f"{rank}.txt").read_text() for rank in range(2)]
    assert encoded == ["4", "3"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "left"),
    [
        ("", ["run.training"]),  # what is encoded
        ("--model.head gradient --model.tuning full --optim.epochs 1 --optim.batch-size 9", []),
    ],
)
def test_a_clip_that_one_process_cannot_read_is_one_sentence(more: str, left: list[str], figures: Path, tmp_path: Path):
    clips = sorted((figures / "train_videos").rglob("*.mp4"))[:9]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    table = tmp_path / "clips.csv"
    rows = [f"{broken if number == 1 else clip},{clip.parent.name}\n" for number, clip in enumerate(clips)]
    table.write_text("video,label\n" + "".join(rows))
    words = f"train --data {table} --out {tmp_path}/run --frames 2 --workers 0 --device cpu --model.no-graph"
    process = torchrun("-m", "kgclip", *words.split(), "--split.val-fraction", "0", *more.split())
    assert process.returncode != 0
    (sentence,) = sentences(process)
    assert "broken.mp4" in sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "clips.csv", *left]


def as_process(rank: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "rank", lambda: rank)
    monkeypatch.setattr(processes, "count", lambda: count)


@pytest.mark.parametrize(("clips", "count"), [(8, 2), (7, 2), (5, 4), (1, 4), (3, 1)])
def test_parts_of_a_batch_are_the_batch(clips: int, count: int, monkeypatch: pytest.MonkeyPatch):
    batch = list(range(10, 10 + clips))
    parts = []
    for rank in range(count):
        as_process(rank, count, monkeypatch)
        parts.append(processes.part_of(batch))
    assert len({len(part) for part in parts}) == 1
    assert [clip for part in parts for clip in part][:clips] == batch


def test_commands_that_run_in_one_process_refuse_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RANK", "0")
    assert run_in_torchrun(["evaluate", "model"]) == 2
    assert "torchrun starts several processes, in which only train runs" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert run_in_torchrun(["evaluate", "model"]) == 2
    assert capsys.readouterr().err == ""


def test_measurements_of_one_process_refuse_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(processes, "launched", lambda: 2)
    assert run(["train", "--data", "x", "--out", "y", "--dry-run"]) == 2
    assert "--dry-run: measures one process; leave torchrun out" in capsys.readouterr().err


@pytest.mark.parametrize("more", ["", "--dry-run"])
def test_one_process_has_nobody_to_share_weights_with(more: str, capsys: pytest.CaptureFixture[str]):
    assert run(["train", "--data", "x", "--out", "y", "--model.tuning", "full", "--shard", *more.split()]) == 2
    assert "--shard: shares towers out over several processes; start them with torchrun" in capsys.readouterr().err
    config = TrainConfig(Path("x"), Path("y"), shard=True)
    with pytest.raises(KgclipError, match="start them with torchrun, or leave it out"):
        train(config)
