"""How long a loop waits for its items, and that training tells."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine import loop
from kgclip.engine.train import train
from kgclip.engine.waiting import Waited


def test_time_between_items_counts_and_time_within_the_loop_does_not(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def items() -> Iterator[str]:
        for letter in "abc":
            now[0] += 2
            yield letter
        now[0] += 1

    def make() -> Iterator[str]:
        now[0] += 10
        return items()

    waited = Waited(make)
    assert waited.seconds == 10
    for number, letter in enumerate(waited):
        assert letter == "abc"[number]
        assert waited.seconds == 10 + 2 * (number + 1)
        now[0] += 100
    assert waited.seconds == 17


@pytest.mark.slow
def test_the_next_epoch_is_begun_during_the_last_step_and_nothing_else_changes(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    optim = OptimConfig(epochs=2, batch_size=12, warmup_epochs=0.0)
    model = ModelConfig(tuning="partial", partial_layers=1)
    base = tiny_config(tmp_path / "here", features=None, frames=2, model=model, optim=optim)
    base = replace(base, split=replace(base.split, shots=1))
    begun: list[tuple[str, int]] = []

    class Told(Waited):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                begun.append(("batch", number))
                yield batch

    begin, validate = loop.Trainer._begin, loop.Trainer._validate
    monkeypatch.setattr(loop, "Waited", Told)
    monkeypatch.setattr(
        loop.Trainer, "_begin", lambda self, epoch: begun.append(("epoch", epoch)) or begin(self, epoch)
    )
    monkeypatch.setattr(loop.Trainer, "_validate", lambda self: begun.append(("val", 0)) or validate(self))
    here = train(base, show_progress=False)
    steps = [("batch", 0), ("batch", 1)]
    assert begun == [("val", 0), ("epoch", 1), *steps, ("epoch", 2), ("val", 0), *steps, ("val", 0)]
    in_workers = train(replace(base, out=tmp_path / "workers", workers=1), show_progress=False)
    for name, tensor in here.model.state_dict().items():
        assert torch.equal(tensor, in_workers.model.state_dict()[name]), name
    for folder in ("here", "workers"):
        for line in (tmp_path / folder / "log.jsonl").read_text().splitlines():
            record = json.loads(line)
            assert 0 < record["wait_s"] < record["wall_s"]
