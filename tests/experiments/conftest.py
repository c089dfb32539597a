"""Arms that cost nothing, and a tiny data set."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.arms import ARMS
from experiments.data import OpenData, open_data
from experiments.protocol import DataSpec, Experiment, Point
from experiments.setting import Fitted, Setting
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.feature_writer import write_features
from kgclip.data.splits import Split
from kgclip.engine.prepare import Prepared
from kgclip.identity import Identity
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.movement import PARTS


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
def tiny_spec(figures: Path, synthetic_features: Path) -> DataSpec:
    """Figures on disk with their own test part: 1 clip of each of 24 actions."""
    return DataSpec("tiny", figures, synthetic_features)


@pytest.fixture
def tiny_data(tiny_spec: DataSpec, tmp_path: Path) -> OpenData:
    return open_data(tiny_spec, 0, tmp_path / "work")


@pytest.fixture
def tiny_experiment() -> Experiment:
    points = tuple(
        Point(f"labels on {x} %", x=x, label_fraction=x / 100, frames=4, test_frames=(4,)) for x in (50, 100)
    )
    return Experiment("tiny", "Does it run?", ("good", "bad"), points, against="bad", seeds=3, axis="labels, %")


@pytest.fixture
def synthetic(tmp_path: Path) -> Callable[..., Setting]:
    """A setting of made-up features: 3 actions, 6 movements that make them, and noise that grows with ``noise``.

    Its clips look like the sum of the movements they show, so that movements tell more than one label does. The first
    ``labeled`` training clips of each action have a label.
    """

    def make(labeled: int = 12, noise: float = 1.0, *, annotated: int = 12) -> Setting:
        rng = np.random.default_rng(0)
        actions, movements = ("bow", "clap", "row"), tuple(f"{part} state" for part in PARTS[:6])
        looks = rng.normal(size=(6, 8))
        clips, edges, features, parts = [], [], [], {"train": [], "test": []}
        usable = []
        for part, count in (("train", 12), ("test", 20)):
            for k, action in enumerate(actions):
                for number in range(count):
                    clip = f"{part} {action} {number}"
                    shares = np.zeros(6)
                    shares[[2 * k, 2 * k + 1, int(rng.integers(6))]] = rng.uniform(0.3, 1, size=3)
                    frames = shares @ looks + noise * rng.normal(size=(8, 8)) + noise * rng.normal(size=8)
                    clips.append(Clip(clip, tmp_path / clip, action, clip, part))
                    features.append((clip, torch.from_numpy(frames).float(), np.arange(8)))
                    parts[part].append(clip)
                    if part == "train" and number < labeled:
                        usable.append(clip)
                        edges.append(Edge(clip, "performs", action))
                    if part == "train" and number < annotated:
                        edges += [Edge(clip, "shows", movements[m], float(shares[m])) for m in np.flatnonzero(shares)]
        write_features(
            tmp_path / "features.safetensors", features, encoder=Identity(name="drawn", weights="", preprocessing="")
        )
        split = Split(tuple(parts["train"]), (), tuple(parts["test"]), tuple(usable))
        graph = KnowledgeGraph.from_edges(edges, isolated={"video": parts["train"], "movement": movements})
        config = TrainConfig(
            data=tmp_path,
            out=tmp_path / "out",
            features=tmp_path / "features.safetensors",
            model=ModelConfig(backbone="features:8"),
            optim=OptimConfig(epochs=20, batch_size=16),
        )
        dataset = DataSet(tmp_path, tuple(sorted(clips, key=lambda clip: clip.id)), None, None)
        return Setting(config, Prepared(dataset, split, graph))

    return make


@pytest.fixture
def hide_labels() -> Callable[[Setting], Setting]:
    """Gives the setting with a wrong action for every clip whose action may not be used."""

    def hide(setting: Setting) -> Setting:
        prepared = setting.prepared
        usable = set(prepared.split.labelled)
        hidden = tuple(clip if clip.id in usable else replace(clip, action="bow") for clip in prepared.dataset.clips)
        return replace(setting, prepared=replace(prepared, dataset=replace(prepared.dataset, clips=hidden)))

    return hide
