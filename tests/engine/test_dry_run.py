"""The estimate of a run: what it counts is exact, every phase has a time, and nothing is left behind."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine import dry_run
from kgclip.engine.dry_run import estimate, first_clips, with_batch_size
from kgclip.engine.prepare import prepare
from kgclip.engine.train import train
from kgclip.errors import KgclipError

GRADIENT = ModelConfig(head="gradient", pooling="projected")


def test_a_solved_head_has_no_steps(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    expected = estimate(tiny_config(tmp_path / "m"))
    assert (expected.train_clips, expected.val_clips, expected.steps, expected.trained_parameters) == (96, 0, 0, 0)
    assert set(expected.seconds) == {"preparation", "features", "solving"}
    assert all(seconds >= 0 for seconds in expected.seconds.values())
    assert expected.to_json()["wall_s"] == pytest.approx(sum(expected.seconds.values()))
    assert 1e8 < expected.memory_bytes < 2e10  # torch alone takes a hundred megabytes
    assert list(tmp_path.iterdir()) == []


def test_a_trained_head_is_counted_as_it_trains(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    config = tiny_config(tmp_path / "m", model=GRADIENT)
    expected = estimate(config)
    summary = train(config, show_progress=False).summary
    assert (expected.train_clips, expected.val_clips) == (summary["train_clips"], summary["val_clips"])
    assert expected.trained_parameters == summary["trained_parameters"]
    assert expected.steps == 3 * -(-summary["train_clips"] // 32)
    assert set(expected.seconds) == {"preparation", "features", "training", "validation", "solving"}


def test_few_clips_stand_for_all(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    config = tiny_config(tmp_path / "m", model=GRADIENT)
    prepared = prepare(replace(config, split=replace(config.split, label_fraction=0.5)))
    few = first_clips(prepared, 10)
    assert len(few.split.train) == 10
    assert set(few.split.train) <= set(prepared.split.train)
    assert set(few.split.labelled) == set(few.split.train) & set(prepared.split.labelled)
    assert (few.split.val, few.split.test) == ((), ())


def test_bad_input_is_found(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    with pytest.raises(KgclipError, match="features are of a frozen encoder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(tuning="full")))
    with pytest.raises(KgclipError, match="absent: no such folder"):
        estimate(tiny_config(tmp_path / "m", model=ModelConfig(backbone="./absent")))


def test_a_solved_head_has_no_batch_size(tmp_path: Path):
    # The data set is not there: it must not be opened.
    with pytest.raises(KgclipError, match="--batch auto: this head is solved, not trained"):
        with_batch_size(TrainConfig(data=tmp_path / "none", out=tmp_path / "m"))


def test_a_trained_head_gets_a_number(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    config = tiny_config(tmp_path / "m", model=GRADIENT)
    chosen = with_batch_size(config).optim.batch_size
    assert chosen == 8  # 96 clips minus the validation part leave eight steps of eight
    assert config.optim.batch_size == 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        ({8: None, 4: None, 2: 2.0, 1: 1.0}, 2),  # after a failure smaller steps are tried
        ({8: 8.0}, 8),
    ],
)
def test_the_batch_size_is_the_fastest_that_fits(
    speed: dict[int, float | None],
    expected: int,
    tiny_config: Callable[..., TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(dry_run, "_clips_per_s", lambda config, prepared, size: speed.get(size))
    assert with_batch_size(tiny_config(tmp_path / "m", model=GRADIENT)).optim.batch_size == expected


OUT_OF_MEMORY = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_nothing_that_fits_is_one_sentence(
    error: Exception, tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def too_large(*_: object) -> float:
        raise error

    monkeypatch.setattr(dry_run, "epoch_s", too_large)
    with pytest.raises(KgclipError, match="not even one clip a step fits"):
        with_batch_size(tiny_config(tmp_path / "m", model=GRADIENT))


def test_other_errors_are_not_taken_for_want_of_memory(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> float:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(dry_run, "epoch_s", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        with_batch_size(tiny_config(tmp_path / "m", model=GRADIENT, optim=OptimConfig(epochs=1)))
