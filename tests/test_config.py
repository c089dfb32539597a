"""Configurations: JSON and back, presets, and the run without graph."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.config import PRESETS, FusionConfig, PromptConfig, TrainConfig, from_json, preset, to_json, without_graph
from kgclip.data.splits import SplitOptions
from kgclip.errors import KgclipError


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
    assert (clip_only.model.graph, clip_only.fusion) == (False, FusionConfig(path=None))
    assert replace(clip_only, model=config.model, fusion=config.fusion) == config


def test_prompts_are_sentences_around_names():
    prompts = PromptConfig(action="doing {name}.", movement="whose {name}")
    assert prompts.actions(["push up", "squat"]) == ["doing push up.", "doing squat."]
    assert prompts.movements(["left arm bend"]) == ["whose left arm bend"]
