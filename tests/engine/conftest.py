"""A small data set whose videos nobody opens."""

import json
from pathlib import Path

import pytest

from kgclip.config import TrainConfig


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Two actions of two clips, whose videos nobody opens, with one annotated frame each: a head that does nothing."""
    for name in ("golf/1", "golf/2", "Push_Up/1", "Push_Up/2"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / f"{name}.mp4").touch()
        (tmp_path / "annotations" / name).mkdir(parents=True)
        frame = {"humans": [{"parts": {"head": {"verb": "none"}}}]}
        (tmp_path / "annotations" / name / "img_00001.json").write_text(json.dumps(frame))
    return TrainConfig(data=tmp_path / "clips", out=tmp_path / "model", annotations=tmp_path / "annotations")
