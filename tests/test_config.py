"""Configurations: JSON and back, presets, and the run without graph."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kgclip.config import (
    ModelConfig,
    OptimConfig,
    PromptConfig,
    TrainConfig,
    from_json,
    to_json,
    without_graph,
)
from kgclip.data.splits import SplitOptions
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule
from kgclip.models.options import LossWeights
from kgclip.presets import PRESETS, check_options, preset
from kgclip.video.augmentation import Augmentation


@pytest.mark.parametrize("name", list(PRESETS))
def test_json_and_back(name: str):
    config = preset(name, Path("data"), Path("out"))
    config = replace(config, graph=Path("g.parquet"), split=SplitOptions(file=Path("s.json"), shots=3))
    assert from_json(TrainConfig, json.loads(json.dumps(to_json(config)))) == config


def test_names_that_are_unknown_or_missing_are_refused():
    values = to_json(preset("default", Path("data"), Path("out")))
    with pytest.raises(KgclipError, match="OptimConfig has no field 'speed'; it has epochs"):
        from_json(TrainConfig, values | {"optim": {"speed": 1}})
    with pytest.raises(KgclipError, match=r"TrainConfig: .*missing.*'out'"):
        from_json(TrainConfig, {"data": "data"})
    with pytest.raises(KgclipError, match="choose one of default, paper, paper-b16, paper-b32"):
        preset("paperback", Path("data"), Path("out"))


def test_without_graph_changes_the_graph_alone():
    config = preset("default", Path("data"), Path("out"))
    clip_only = without_graph(config)
    assert not clip_only.model.graph
    assert replace(clip_only, model=config.model) == config


def test_prompts_are_sentences_around_names():
    prompts = PromptConfig(action="doing {name}.", movement="whose {name}")
    assert prompts.around("action", ["push up", "squat"]) == ["doing push up.", "doing squat."]
    assert prompts.around("movement", ["left arm bend"]) == ["whose left arm bend"]


@pytest.mark.parametrize("text", ["no name", "{name} {name}", "{name} of {", "{action}"])
def test_prompts_need_the_name_once(text: str):
    with pytest.raises(KgclipError, match=r"--prompts.movement .* needs \{name\} once"):
        PromptConfig(movement=text)


GRADIENT = ModelConfig(head="gradient")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim": OptimConfig(epochs=5)}, r"--optim.epochs: this head is solved, not trained; add --model.head"),
        ({"loss": LossWeights(mm=0.5)}, "--loss.mm: this head is solved"),
        ({"model": ModelConfig(pooling="projected")}, "--model.pooling: this head is solved"),
        ({"save_every_s": 1.0}, "--save-every-s: this head is solved"),
        ({"model": ModelConfig(graph=False), "path_weight": 1.0}, "--path-weight: CLIP only takes no graph"),
        ({"model": ModelConfig(graph=False), "graph": Path("g")}, "--graph: CLIP only takes no graph"),
        ({"model": ModelConfig(graph=False), "definitions": Path("g")}, "--definitions: CLIP only takes no graph"),
        ({"model": replace(GRADIENT, graph=False), "loss": LossWeights(shows=0.5)}, "--loss.shows: CLIP only takes"),
        ({"model": ModelConfig(lora_rank=4)}, "--model.lora-rank: is of LoRA adapters; add --model.tuning lora"),
        ({"model": ModelConfig(partial_layers=4)}, "--model.partial-layers: is of partial tuning"),
        ({"model": GRADIENT, "augmentation": Augmentation(flip=0.3)}, "--augmentation.flip: a frozen image tower"),
        ({"model": GRADIENT, "optim": OptimConfig(lr_backbone=1.0)}, "--optim.lr-backbone: the backbone is frozen"),
        ({"model": GRADIENT, "shard": True}, "--shard: the backbone is frozen; add --model.tuning"),
        ({"model": replace(GRADIENT, subspace=None, epsilon="none")}, "--model.epsilon: is of the triplet encoder"),
        ({"model": replace(GRADIENT, subspace=None), "loss": LossWeights(mm=0.0)}, "--loss.mm: is all that trains"),
        ({"model": replace(GRADIENT, graph=False), "loss": LossWeights(mm=0.0)}, "--loss.mm: is all that trains"),
        ({"graph": Path("g"), "rule": MovementRule(min_support=0.5)}, "--rule.min-support: the graph of --graph"),
        (
            {"split": SplitOptions(file=Path("s"), test_fraction=0.4)},
            "--split.test-fraction: the split of",
        ),
        (
            {"model": ModelConfig(tuning="text")},
            "--model.tuning: no name passes the text tower",
        ),
        ({"model": ModelConfig(tuning="full", pooling="projected")}, "--model.pooling: the head is solved"),
        ({"model": ModelConfig(tuning="full"), "loss": LossWeights(mm=0.5)}, "--loss.mm: the head is solved; add"),
        (
            {"model": replace(GRADIENT, text="s", tuning="text")},
            "--model.tuning: the sentence encoder of --model.text stays",
        ),
    ],
)
def test_options_that_cannot_act_are_refused(changes: dict[str, Any], message: str):
    default = preset("default", Path("data"), Path("out"))
    with pytest.raises(KgclipError, match=message):
        check_options(replace(default, **changes), default)


@pytest.mark.parametrize(
    "changes",
    [
        {"path_weight": 1.0, "definitions": Path("d"), "rule": MovementRule(min_support=0.5)},
        {"model": GRADIENT, "loss": LossWeights(mm=0.5), "optim": OptimConfig(epochs=5, lr_new=1.0)},
        {"model": ModelConfig(tuning="lora", lora_rank=4), "augmentation": Augmentation(flip=0.3)},
        {"model": replace(GRADIENT, tuning="text"), "shard": True},
        {"model": ModelConfig(tuning="full"), "loss": LossWeights(shows=0.5)},
        {"model": ModelConfig(tuning="partial", partial_layers=4), "optim": OptimConfig(lr_backbone=1.0)},
        {"model": replace(GRADIENT, graph=False), "loss": LossWeights(mm=0.5)},
        {"split": SplitOptions(file=Path("s"), shots=2)},
    ],
)
def test_options_that_act_are_taken(changes: dict[str, Any]):
    default = preset("default", Path("data"), Path("out"))
    check_options(replace(default, **changes), default)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_hold_nothing_that_cannot_act(name: str):
    """Also against the defaults of every option."""
    config = preset(name, Path("data"), Path("out"))
    check_options(config, config)
    check_options(config, TrainConfig(Path("data"), Path("out")))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"shows": -1.0}, "--loss.shows -1.0: is a weight; give 0 or more"),
        ({"mm": -0.5}, "--loss.mm -0.5: is a weight"),
        ({"performs": 0.0, "shows": 0.0, "consists_of": 0.0}, "performs, shows, consists_of are all 0"),
    ],
)
def test_weights_that_no_loss_can_have_are_refused(weights: dict[str, float], message: str):
    with pytest.raises(KgclipError, match=message):
        LossWeights(**weights)
