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
from kgclip.engine.train import train
from tools.many_processes import differences, gradients, gradients_of

WEIGHTS = "model.safetensors"
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
def test_a_clip_that_one_process_cannot_read_is_one_sentence(figures: Path, tmp_path: Path):
    clips = sorted((figures / "train_videos").rglob("*.mp4"))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    table = tmp_path / "clips.csv"
    rows = [f"{clip},{clip.parent.name}" for clip in clips[:8]] + [f"{broken},{clips[0].parent.name}"]
    table.write_text("video,label\n" + "".join(f"{row}\n" for row in rows))
    before = sorted(tmp_path.iterdir())
    words = f"train --data {table} --out {tmp_path}/run --frames 2 --workers 0 --device cpu --model.no-graph"
    words += " --model.head gradient --model.tuning full --optim.epochs 1 --split.val-fraction 0 --optim.batch-size 9"
    process = torchrun("-m", "kgclip", *words.split())
    assert process.returncode != 0
    (sentence,) = sentences(process)
    assert "broken.mp4" in sentence
    assert sorted(tmp_path.iterdir()) == before


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
