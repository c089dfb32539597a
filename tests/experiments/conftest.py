"""Arms that cost nothing, and a tiny data set."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.experiments.arms import ARMS
from kgclip.experiments.data import OpenData, open_data
from kgclip.experiments.protocol import DataSpec, Experiment, Point
from kgclip.experiments.setting import Fitted, Setting


@dataclass
class Oracle:
    """Knows every label and gets a share of the clips right; the first time it is asked it may also fail."""

    setting: Setting
    share: float

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        values = torch.nn.functional.one_hot(self.setting.labels(clips), len(self.setting.actions)).float()
        values[round(self.share * len(clips)) :] *= -1
        return values

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        return None


@dataclass
class FakeArms:
    """What the fake arms "good" and "bad" were called with; ``fail`` maps the number of a call to what it raises."""

    settings: list[Setting] = field(default_factory=list)
    fail: dict[int, BaseException] = field(default_factory=dict)

    def arm(self, share: float) -> Callable[[Setting], Fitted]:
        def fit(setting: Setting) -> Fitted:
            self.settings.append(setting)
            if len(self.settings) in self.fail:
                raise self.fail[len(self.settings)]
            setting.config.out.mkdir(parents=True)
            return Oracle(setting, share)

        return fit


@pytest.fixture
def fake_arms(monkeypatch: pytest.MonkeyPatch) -> FakeArms:
    arms = FakeArms()
    monkeypatch.setitem(ARMS, "good", arms.arm(0.75))
    monkeypatch.setitem(ARMS, "bad", arms.arm(0.25))
    return arms


@pytest.fixture
def tiny_spec(puppets: Path, puppet_features: Path) -> DataSpec:
    """Puppets on disk with their own test part: 1 clip of each of 24 actions."""
    return DataSpec("tiny", puppets, puppet_features)


@pytest.fixture
def tiny_data(tiny_spec: DataSpec, tmp_path: Path) -> OpenData:
    return open_data(tiny_spec, 0, tmp_path / "work")


@pytest.fixture
def tiny_experiment() -> Experiment:
    points = tuple(
        Point(f"labels on {x} %", x=x, label_fraction=x / 100, frames=4, test_frames=(4,)) for x in (50, 100)
    )
    return Experiment("tiny", "Does it run?", ("good", "bad"), points, against="bad", seeds=3, axis="labels, %")
