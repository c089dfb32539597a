"""A run killed at any moment goes on as if it never was."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kgclip.config import ModelConfig, TrainConfig
from kgclip.engine import checkpoint as checkpoint_module
from kgclip.engine import state as state_module
from kgclip.engine import train as train_module
from kgclip.engine.loop import Trainer
from kgclip.engine.state import TrainingState
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.locks import lock

WEIGHTS = "model.safetensors"
# Runs the command line and kills its own process at the n-th call of one function of the state's module.
KILLED = """
import os, signal, sys
from kgclip.engine import state
name, number = sys.argv[1], int(sys.argv[2])
original, calls = getattr(state, name), 0
def deadly(*args):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
setattr(state, name, deadly)
from kgclip.cli.main import run
sys.exit(run(sys.argv[3:]))
"""


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product handles it."""


def epochs_of(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def config(tiny_config: Callable[..., TrainConfig], tmp_path: Path) -> TrainConfig:
    return tiny_config(tmp_path / "run", save_every_s=0.0, model=ModelConfig(head="gradient", pooling="projected"))


def words_of(config: TrainConfig) -> list[str]:
    return (
        f"train --data {config.data} --out {config.out} --features {config.features} --frames {config.frames} "
        "--workers 0 --device cpu --model.head gradient --model.pooling projected --optim.epochs 3 "
        "--optim.batch-size 32 --optim.warmup-epochs 1.0 --save-every-s 0"
    ).split()


# An epoch writes three files of tensors and one of JSON; before the first epoch there is one of JSON.
@pytest.mark.parametrize(("name", "number"), [("save_tensors", 2), ("save_tensors", 6), ("write_json", 4)])
def test_sigkill_then_resume_gives_the_same_bytes(name: str, number: int, config: TrainConfig, trained_model: Path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, name, str(number), *words_of(config)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not config.out.exists()
    train(config, resume=True, show_progress=False)
    assert (config.out / WEIGHTS).read_bytes() == (trained_model / WEIGHTS).read_bytes()
    assert epochs_of(config.out) == [1, 2, 3]
    assert list(config.out.parent.iterdir()) == [config.out]


@pytest.mark.parametrize(
    ("module", "name", "number"),
    [(state_module, "save_tensors", n) for n in (1, 3, 4, 9)]
    + [(state_module, "write_json", n) for n in (1, 2, 3)]
    + [(checkpoint_module, "save_tensors", 1), (checkpoint_module, "write_json", 1)],
)
def test_stopped_while_writing_and_resumed(
    module: Any, name: str, number: int, config: TrainConfig, trained_model: Path, monkeypatch: pytest.MonkeyPatch
):
    original, calls = getattr(module, name), [0]

    def deadly(*args: Any) -> None:
        calls[0] += 1
        if calls[0] == number:
            raise Killed
        original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, deadly)
        with pytest.raises(Killed):
            train(config, show_progress=False)
    assert not config.out.exists()
    train(config, resume=True, show_progress=False)
    assert (config.out / WEIGHTS).read_bytes() == (trained_model / WEIGHTS).read_bytes()
    assert epochs_of(config.out) == [1, 2, 3]
    assert list(config.out.parent.iterdir()) == [config.out]


@pytest.fixture
def stopped(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of a run that stopped in its second epoch."""
    original, calls = state_module.save_tensors, [0]

    def deadly(*args: Any) -> None:
        calls[0] += 1
        if calls[0] == 5:
            raise Killed
        original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(state_module, "save_tensors", deadly)
        with pytest.raises(Killed):
            train(config, show_progress=False)
    return config.out.with_name("run.training")


def test_an_incomplete_state_is_not_one(stopped: Path):
    assert [path.name for path in stopped.glob("epoch-*")] == ["epoch-000001"]
    # What SIGKILL leaves in the middle of writing has a hidden name.
    (stopped / ".epoch-000002.kgclip-1-x").mkdir()
    assert TrainingState(stopped, {}).newest() == stopped / "epoch-000001"


def test_without_resume_a_state_is_not_overwritten(stopped: Path, config: TrainConfig):
    before = sorted(stopped.rglob("*"))
    with pytest.raises(KgclipError, match="add --resume"):
        train(config, show_progress=False)
    assert sorted(stopped.rglob("*")) == before


def test_resuming_with_other_options_is_refused(stopped: Path, config: TrainConfig, trained_model: Path):
    with pytest.raises(KgclipError, match=r"another run \(config differ\); resume with the same options"):
        train(replace(config, seed=1), resume=True, show_progress=False)
    # What says nothing of the result may differ; the refusal has left the state alone.
    first = (stopped / "log.jsonl").read_text().splitlines()[0]
    train(replace(config, save_every_s=99.0), resume=True, show_progress=False)
    assert (config.out / WEIGHTS).read_bytes() == (trained_model / WEIGHTS).read_bytes()
    # The first epoch was not run again: its line holds the time that it took.
    assert (config.out / "log.jsonl").read_text().splitlines()[0] == first


def test_a_finished_run_has_nothing_to_resume(config: TrainConfig, kg_model: Path):
    with pytest.raises(KgclipError, match="this run has ended and its model is there; nothing is left to --resume"):
        train(replace(config, out=kg_model), resume=True, show_progress=False)


def test_folders_of_the_user_stay(config: TrainConfig):
    theirs = [config.out.with_name(name) / "notes" for name in ("run.tmp", "run.training")]
    for file in theirs:
        file.parent.mkdir()
        file.touch()
    with pytest.raises(KgclipError, match=r"run\.training: holds what no training left there; move it"):
        train(config, resume=True, show_progress=False)
    theirs[1].unlink()
    theirs[1].parent.rmdir()
    train(config, show_progress=False)
    assert theirs[0].exists()


def test_two_runs_do_not_write_one_model(config: TrainConfig):
    # Locks are of open files, so that one process can stand for two.
    with lock(config.out), pytest.raises(KgclipError, match=f"run: process {os.getpid()} is writing it"):
        train(config, show_progress=False)


FULL = """
import resource, signal, sys
from kgclip.cli.main import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))  # stands for a disk with that much room
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("room", [100, 20_000])
def test_a_full_disk_is_a_sentence_and_does_not_block_the_next_run(room: int, config: TrainConfig):
    command = [sys.executable, "-c", FULL, str(room), *words_of(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("kgclip: ")
    assert "cannot be written" in process.stderr
    assert "Traceback" not in process.stderr
    assert list(config.out.parent.iterdir()) == []


def flip(file: Path) -> None:
    """Change a byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def killed_after_two_epochs(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    original, calls = Trainer.train_epoch, [0]

    def deadly(*args: Any) -> dict[str, Any]:
        calls[0] += 1
        if calls[0] == 3:
            raise Killed
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", deadly)
        with pytest.raises(Killed):
            train(config, show_progress=False)
    return config.out.with_name("run.training")


def test_a_damaged_state_is_named_and_the_one_before_offered(
    config: TrainConfig, trained_model: Path, monkeypatch: pytest.MonkeyPatch
):
    state = killed_after_two_epochs(config, monkeypatch)
    first, second = sorted(state.glob("epoch-*"))
    flip(second / "optimizer.safetensors")
    (second / "best.safetensors").unlink()
    with pytest.raises(KgclipError, match=r"best\.safetensors and optimizer\.safetensors changed since") as error:
        train(config, resume=True, show_progress=False)
    assert str(error.value).startswith(f"{second}: ")
    assert str(error.value).endswith(f"; remove {second} to go on from {first.name}, which is sound")
    (first / "hashes.json").write_text("{")
    with pytest.raises(KgclipError, match=f"remove {state} to start anew"):
        train(config, resume=True, show_progress=False)


def test_from_the_state_before_the_same_model_comes(
    config: TrainConfig, trained_model: Path, monkeypatch: pytest.MonkeyPatch
):
    state = killed_after_two_epochs(config, monkeypatch)
    shutil.rmtree(max(state.glob("epoch-*")))
    train(config, resume=True, show_progress=False)
    assert (config.out / WEIGHTS).read_bytes() == (trained_model / WEIGHTS).read_bytes()
    assert epochs_of(config.out) == [1, 2, 3]


def test_killed_after_the_model_was_written(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "remove_folder", lambda _: None)
        train(config, show_progress=False)
    state = config.out.with_name("run.training")
    other = state / "run.json"
    kept = other.read_text()
    other.write_text("{}")
    with pytest.raises(KgclipError, match="this run has ended"):
        train(config, resume=True, show_progress=False)
    assert state.exists()  # of another run
    other.write_text(kept)
    with pytest.raises(KgclipError, match="this run has ended"):
        train(config, resume=True, show_progress=False)
    assert list(config.out.parent.iterdir()) == [config.out]


def test_killed_before_it_had_said_whose_state_it_is(config: TrainConfig, ended_process: int):
    left = config.out.with_name("run.training") / f".run.json.kgclip-{ended_process}-abcd1234"
    left.parent.mkdir()
    left.touch()
    train(config, resume=True, show_progress=False)
    assert list(config.out.parent.iterdir()) == [config.out]
