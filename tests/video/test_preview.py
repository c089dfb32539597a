"""Copies of videos for pages."""

from pathlib import Path

import numpy as np
import pytest

from kgclip.video import preview as module
from kgclip.video.decode import open_video
from kgclip.video.encode import write_video
from kgclip.video.preview import preview


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames, 25)
    return tmp_path / "clip.mp4"


def test_a_small_file_that_browsers_play_is_taken_as_it_is(video: Path):
    assert preview(video) == video.read_bytes()


def test_others_are_made_small_with_their_times(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    monkeypatch.setattr(module, "MOST_FRAMES", 8)
    monkeypatch.setattr(module, "MOST_WIDTH", 32)
    (tmp_path / "small.mp4").write_bytes(preview(video))
    with open_video(video) as before, open_video(tmp_path / "small.mp4") as after:
        assert (after.info.width, after.info.height, after.num_frames) == (32, 24, 8)
        indices = np.linspace(0, 29, 8).round().astype(int)
        np.testing.assert_allclose(after.times_s(range(8)), before.times_s(indices), atol=1e-3)
