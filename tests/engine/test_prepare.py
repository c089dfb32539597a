"""What is checked before anything trains: sources, spellings and movements."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.config import ModelConfig, TrainConfig
from kgclip.engine.prepare import known_actions, prepare
from kgclip.errors import KgclipError


def test_annotations_without_movement_are_refused_with_the_reason(config: TrainConfig):
    with pytest.raises(KgclipError, match=r"no movement is known for these clips \(their \d states all 'none'"):
        prepare(config)


def test_unknown_sources_are_said_and_a_pattern_gives_them(config: TrainConfig, caplog: pytest.LogCaptureFixture):
    alone = TrainConfig(data=config.data, out=config.out, model=ModelConfig(graph=False))
    prepared = prepare(alone)
    assert "no name and no column gives a clip's source" in caplog.text
    caplog.clear()
    pattern = TrainConfig(data=config.data, out=config.out, model=ModelConfig(graph=False), source_pattern=r"(\d)$")
    assert {clip.source for clip in prepare(pattern).dataset.clips} == {"1", "2"}
    assert "source" not in caplog.text
    assert prepared.dataset.actions == ["Push Up", "golf"]


def test_definitions_are_of_the_actions_of_the_data_however_spelled(config: TrainConfig, tmp_path: Path):
    (tmp_path / "d.yaml").write_text("push-up: [left_arm_bend]\nGOLF: [hip turn]\n")
    prepared = prepare(TrainConfig(data=config.data, out=config.out, definitions=tmp_path / "d.yaml"))
    assert prepared.graph.entities("action") == ["Push Up", "golf"]
    assert prepared.graph.entities("movement") == ["hip turn", "left arm bend"]


def test_definitions_are_read_in_the_words_of_annotations_and_lists(config: TrainConfig, tmp_path: Path):
    frame = {"humans": [{"parts": {"left_arm": {"verb": "bent"}, "head": {"verb": "none"}}}]}
    (config.data.parent / "annotations" / "golf" / "1" / "img_00001.json").write_text(json.dumps(frame))
    (tmp_path / "d.yaml").write_text("golf: [right arm bent, left hand claps, left leg raised]")
    given = replace(config, definitions=tmp_path / "d.yaml")
    movements = ["left arm bent", "left hand claps", "left leg raise", "right arm bent"]
    assert prepare(given).graph.entities("movement") == movements
    (tmp_path / "annotations" / "list").mkdir()
    for name, words in (("body_part", "left_arm\nhead"), ("part_stat", "bent\nclap\nnone"), ("object", "none")):
        (tmp_path / "annotations" / "list" / f"{name}.txt").write_text(words)
    assert "left hand clap" in prepare(given).graph.entities("movement")


def test_definitions_that_come_with_the_package_need_no_file(config: TrainConfig):
    prepared = prepare(TrainConfig(data=config.data, out=config.out, definitions=Path("shipped")))
    assert prepared.graph.heads("consists_of") == ["Push Up", "golf"]


def test_a_defined_action_is_left_out_where_no_clip_shows_one_of_its_movements(
    config: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    frame = {"humans": [{"parts": {"left_arm": {"verb": "bend"}}}]}
    (config.data.parent / "annotations" / "golf" / "1" / "img_00001.json").write_text(json.dumps(frame))
    (tmp_path / "d.yaml").write_text("wave: [left arm bend, right arm throw]\nthrow: [right arm throw]\n")
    given = replace(config, definitions=tmp_path / "d.yaml")
    assert known_actions(given, prepare(given)) == ("Push Up", "golf", "wave")
    assert "1 action left out, such as 'throw': no labeled clip, and no definition whose movements" in caplog.text
