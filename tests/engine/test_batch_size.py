"""The search for a batch size: what it takes, when it backs off, and that a resumed run keeps it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgclip.config import OptimConfig, TrainConfig
from kgclip.engine import batch_size
from kgclip.engine.batch_size import FIRST, MOST, largest_batch, with_batch_size
from kgclip.errors import KgclipError
from kgclip.files import write_json

OUT_OF_MEMORY = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
)


def machine(fits: int, saturates: int, error: Exception = OUT_OF_MEMORY[0]) -> Callable[[int], float]:
    def clips_per_s(size: int) -> float:
        if size > fits:
            raise error
        return float(min(size, saturates))

    return clips_per_s


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(OUT_OF_MEMORY))
def test_the_largest_power_of_two_that_fits(fits: int, most: int, error: Exception):
    size = largest_batch(machine(fits, 1, error), most, speed_decides=False)
    bound = min(fits, most, MOST)
    assert size <= bound < 2 * size


@given(st.integers(FIRST, 2000))
def test_on_a_cpu_the_search_ends_where_speed_does(saturates: int):
    size = largest_batch(machine(10**6, saturates), 4096, speed_decides=True)
    assert size == FIRST or saturates >= 1.1 * size / 2
    assert size == MOST or saturates < 1.1 * size


def test_nothing_that_fits_is_one_sentence():
    with pytest.raises(KgclipError, match="not even one clip a step fits"):
        largest_batch(machine(0, 1), 100, speed_decides=False)


def test_other_errors_are_not_taken_for_want_of_memory():
    with pytest.raises(RuntimeError, match="shapes"):
        largest_batch(machine(4, 1, RuntimeError("shapes do not match")), 100, speed_decides=False)


def test_after_a_failure_smaller_steps_are_tried():
    tried = []

    def clips_per_s(size: int) -> float:
        tried.append(size)
        return machine(2, 99)(size)

    assert largest_batch(clips_per_s, 100, speed_decides=True) == 2
    assert tried == [8, 4, 2]


def test_a_run_gets_a_number(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    config = tiny_config(tmp_path / "m")
    chosen = with_batch_size(config).optim.batch_size
    # 96 clips less the validation part leave eight steps of eight.
    assert chosen == 8
    assert config.optim.batch_size == 32
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_steps_tries_none(tmp_path: Path):
    # The data set is not there: it must not be opened.
    config = TrainConfig(data=tmp_path / "none", out=tmp_path / "m", optim=OptimConfig(epochs=0))
    assert with_batch_size(config) is config


def test_a_step_that_would_not_fit_is_not_begun(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batch_size, "available_memory", lambda: -1)
    with pytest.raises(KgclipError, match="not even one clip"):
        with_batch_size(tiny_config(tmp_path / "m"))


def test_a_resumed_run_keeps_its_number(tiny_config: Callable[..., TrainConfig], tmp_path: Path):
    write_json(tmp_path / "run.json", {"config": {"optim": {"batch_size": 16}}})
    assert with_batch_size(tiny_config(tmp_path / "m"), tmp_path).optim.batch_size == 16
