"""The arms that know more than a recognizer may."""

import dataclasses
from pathlib import Path

import pytest
import torch

from experiments.arms import ARMS, TRUE_MOVEMENTS
from experiments.data import OpenData, open_setting
from experiments.family import TrainedFit
from experiments.protocol import Point
from experiments.setting import Setting
from kgclip.data.splits import SplitOptions
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError


def test_the_path_sees_the_annotations_of_the_test_clips(tiny_data: OpenData, tmp_path: Path):
    """A part of the annotated training clips plays the test part."""
    setting = open_setting(tiny_data, Point("all", frames=4), 0, 0, tmp_path / "scratch")
    config = dataclasses.replace(setting.config, split=SplitOptions(seed=1))
    prepared = prepare(config)
    split = prepared.split
    held_out = dataclasses.replace(split, val=(), test=split.val)
    setting = Setting(config, dataclasses.replace(prepared, split=held_out))
    fit = ARMS[TRUE_MOVEMENTS](setting)
    values = fit.movements(held_out.test, 4)
    assert values is not None
    assert values.min() >= 0
    assert values.max() <= 1
    assert (values > 0).any(dim=1).float().mean() > 0.9
    assert not torch.equal(fit.scores(held_out.test, 4), ARMS["KG-CLIP"](elsewhere(setting)).scores(held_out.test, 4))


def elsewhere(setting: Setting) -> Setting:
    out = setting.config.out.with_name("other")
    return dataclasses.replace(setting, config=dataclasses.replace(setting.config, out=out))


def test_it_needs_annotated_test_clips(tiny_data: OpenData, tmp_path: Path):
    setting = open_setting(tiny_data, Point("all", frames=4), 0, 0, tmp_path / "scratch")
    with pytest.raises(KgclipError, match="its test clips have no annotations"):
        ARMS[TRUE_MOVEMENTS](setting)


def test_given_parsings_are_those_of_all_labels(tiny_data: OpenData, tmp_path: Path):
    few, every = (
        open_setting(tiny_data, Point(str(share), frames=4, label_fraction=share), 0, 0, tmp_path / str(share))
        for share in (0.3, 1.0)
    )
    fit = ARMS["KG-CLIP, parsings given"](few)
    assert isinstance(fit, TrainedFit)
    graph = fit.checkpoint.graph
    assert [e.support for e in graph.edges("consists_of")] == pytest.approx(
        [e.support for e in every.prepared.graph.edges("consists_of")]
    )
    assert graph.edges("performs") == few.prepared.graph.edges("performs")
    assert len(few.prepared.split.labelled) < len(every.prepared.split.labelled)
