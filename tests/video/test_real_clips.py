"""Real clips, cut and encoded by others."""

import csv
from pathlib import Path

import numpy as np
import pytest

from kgclip.video.decode import open_video, read_frames
from kgclip.video.sampling import segment_indices


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> dict[Path, int]:
    """Real mp4 files and the number of frames their list gives."""
    root = shared_data / "jhmdb-tps"
    with (root / "train_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {root / "train_videos" / row["class"] / f"{row['video']}.mp4": int(row["frames"]) for row in rows}


def test_frames_equal_sequential_decoding(clips: dict[Path, int], decode_all) -> None:
    rng = np.random.default_rng(0)
    for path in list(clips)[::40]:
        expected = decode_all(path)
        indices = rng.integers(0, len(expected), 8)
        assert np.array_equal(read_frames(path, indices), expected[indices])


@pytest.mark.slow
def test_every_clip_is_read(clips: dict[Path, int]) -> None:
    assert len(clips) == 655
    for path, num_frames in clips.items():
        with open_video(path) as video:
            assert video.num_frames == num_frames
            info = video.info
            assert video.read(segment_indices(num_frames, 8)).shape == (8, info.height, info.width, 3)
