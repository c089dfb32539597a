"""A model that says much, whatever it learned: movements count as seen early, and no answer is unknown."""

from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.engine.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def clips(figures: Path) -> list[Path]:
    """Test clips of all actions."""
    return sorted((figures / "test_videos").rglob("*.mp4"))


@pytest.fixture(scope="session")
def talkative_model(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a model."""
    checkpoint = Checkpoint.load(kg_model)
    path = checkpoint.model.path
    path.seen_from.copy_(path.baseline + 0.02)
    out = tmp_path_factory.mktemp("models") / "talkative"
    replace(checkpoint, unknown=None).save(out)
    return out
