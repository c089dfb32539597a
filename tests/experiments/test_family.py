"""The arms that train: what each changes, and that a trained one answers as its checkpoint does."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from experiments import family
from experiments.arms import ARMS
from experiments.controls import CONTROLS
from experiments.family import ABLATION, FINE_TUNED, FINE_TUNED_PARTS, GRAPH, PAPER
from experiments.presets import PRESETS
from experiments.setting import Setting
from kgclip.config import OptimConfig, TrainConfig
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.metrics import top_k
from kgclip.engine.prepare import Prepared
from kgclip.kg.build import project
from kgclip.kg.graph import KnowledgeGraph

Make = Callable[..., Setting]


class CapturedError(Exception):
    pass


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Setting], tuple[TrainConfig, Prepared]]:
    """What an arm gives to training."""

    def capture(arm: str, setting: Setting) -> tuple[TrainConfig, Prepared]:
        calls: list[Any] = []

        def train(config: TrainConfig, *, prepared: Prepared, poses: None, show_progress: bool) -> None:
            calls.append((config, prepared))
            raise CapturedError

        monkeypatch.setattr(family, "train", train)
        with pytest.raises(CapturedError):
            ARMS[arm](setting)
        return calls[0]

    return capture


@pytest.fixture
def setting(synthetic: Make) -> Setting:
    """With an action's movements, and the default number of epochs."""
    made = synthetic()
    graph = made.prepared.graph
    graph = KnowledgeGraph.from_edges(
        [*graph.edges("performs"), *graph.edges("shows"), *project(graph)], isolated=graph.isolated()
    )
    config = dataclasses.replace(made.config, optim=OptimConfig(batch_size=16))
    return Setting(config, dataclasses.replace(made.prepared, graph=graph))


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("KG-CLIP", {"head": "closed_form", "tuning": "frozen", "graph": True}),
        ("CLIP only, mean pooling", {"pooling": "projected", "graph": False}),
        (PAPER, {"pooling": "projected", "subspace": "diagonal", "epsilon": "relation"}),
        (f"{PAPER}, movements as text only", {"pooling": "projected", "subspace": None}),
        (f"{PAPER}, no ε", {"epsilon": "none"}),
        (f"{PAPER}, matrix", {"subspace": "matrix"}),
        (f"{PAPER}, fine-tuned", {"pooling": "mean", "tuning": "full"}),
        ("CLIP only, mean pooling, fine-tuned", {"graph": False, "tuning": "full"}),
    ],
)
def test_an_arm_changes_the_model_as_its_name_says(arm: str, expected: dict, setting: Setting, captured):
    config, prepared = captured(arm, setting)
    assert expected.items() <= dataclasses.asdict(config.model).items()
    assert prepared.graph is setting.prepared.graph


def test_arms_train_by_gradient_where_they_say_so(setting: Setting, captured):
    assert not captured("KG-CLIP", setting)[0].trains
    assert captured("KG-CLIP by gradient", setting)[0].trains
    assert captured(PAPER, setting)[0].model.head == "gradient"
    assert captured(f"{PAPER}, λ = 0.5", setting)[0].loss.mm == 0.5
    assert captured(f"{PAPER}, margin loss", setting)[0].loss.margin == 1.0
    assert captured(PAPER, setting)[0].path_weight == 0
    assert captured("KG-CLIP, tower fine-tuned", setting)[0].model.head == "closed_form"
    assert captured("KG-CLIP, tower fine-tuned", setting)[0].trains
    assert captured("KG-CLIP, tower frozen", setting)[0].model.tuning == "frozen"


def test_no_two_arms_are_the_same(setting: Setting, captured):
    seen = {}
    parts = [arm for arm in GRAPH if "without S_" in arm or "alone" in arm]
    towers = [arm for arm in (*FINE_TUNED, *FINE_TUNED_PARTS) if "frozen" not in arm]  # as the setting's others are
    for arm in [*(arm for arm in GRAPH if arm not in parts), *CONTROLS, *ABLATION, *towers]:
        config, prepared = captured(arm, setting)
        key = (config, prepared.graph.hash)
        assert key not in seen, (arm, seen.get(key))
        seen[key] = arm
    # These train as KG-CLIP does, and leave a part of its score out.
    assert {captured(arm, setting)[0] for arm in parts} == {captured("KG-CLIP", setting)[0]}


def test_parts_of_the_score_are_left_out(setting: Setting):
    test = setting.prepared.split.test
    arms = ("KG-CLIP", "KG-CLIP without path", "KG-CLIP without S_tri", "KG-CLIP without S_mm", "KG-CLIP, path alone")
    scores = {}
    for arm in arms:
        out = setting.config.out.with_name(arm)
        scores[arm] = ARMS[arm](
            dataclasses.replace(setting, config=dataclasses.replace(setting.config, out=out))
        ).scores(test, 8)
    for one, other in itertools.combinations(arms, 2):
        assert not torch.allclose(scores[one], scores[other]), (one, other)
    checkpoint = Checkpoint.load(setting.config.out.with_name("KG-CLIP"))
    score = checkpoint.model(setting.frames(test, 8))
    torch.testing.assert_close(scores["KG-CLIP"], score.total / checkpoint.model.temperature)
    torch.testing.assert_close(scores["KG-CLIP, path alone"], score.path / checkpoint.model.temperature)


@pytest.mark.parametrize("arm", CONTROLS)
def test_controls_train_on_another_graph(arm: str, setting: Setting, captured):
    config, prepared = captured(arm, setting)
    assert config == setting.config
    assert prepared.graph.hash != setting.prepared.graph.hash
    assert prepared.split == setting.prepared.split


def test_clip_only_reads_no_movements_and_states_probabilities(setting: Setting):
    test = setting.prepared.split.test
    fitted = ARMS["CLIP only"](setting)
    scores = fitted.scores(test, 8)
    assert fitted.movements(test, 8) is None
    assert top_k(scores, setting.labels(test)) > 0.5
    for frames in (1, 16):
        assert torch.isfinite(fitted.scores(test, frames)).all()


def test_the_graph_helps_where_few_clips_have_labels(synthetic: Make, setting: Setting):
    few = synthetic(1, noise=0.5)
    graph = few.prepared.graph
    graph = KnowledgeGraph.from_edges(
        [*graph.edges("performs"), *graph.edges("shows"), *project(graph)], isolated=graph.isolated()
    )
    few = Setting(dataclasses.replace(few.config, optim=OptimConfig()), dataclasses.replace(few.prepared, graph=graph))
    test = few.prepared.split.test
    top1 = {}
    for name in ("KG-CLIP", "CLIP only", "KG-CLIP, shows shuffled"):
        fitted = ARMS[name](dataclasses.replace(few, config=dataclasses.replace(few.config, out=few.config.out / name)))
        top1[name] = top_k(fitted.scores(test, 8), few.labels(test))
    assert top1["KG-CLIP"] > top1["CLIP only"]
    assert top1["KG-CLIP"] > top1["KG-CLIP, shows shuffled"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_ask_what_can_be_answered(name: str):
    experiment = PRESETS[name]
    assert experiment.name == name
    assert set(experiment.arms) <= set(ARMS)
    assert experiment.against in experiment.arms
    assert experiment.seeds >= 5
    names = [point.name for point in experiment.points]
    assert len(set(names)) == len(names)
