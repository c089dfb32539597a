"""What is read in the benchmarks on video, predicted and waited for, at tiny size."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgclip.data.dataset import open_dataset
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.predict import Recognizer
from kgclip.synthetic.dataset import SyntheticOptions
from kgclip.video.decode import open_video, read_frames
from kgclip.video.frames import read_clip
from kgclip.video.sampling import segment_indices

SIZE = (64, 48)


@pytest.fixture(autouse=True)
def project_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks lie beside the package, not in it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def test_a_long_file_is_one_group_of_pictures_over_and_over(tmp_path: Path):
    from benchmarks.decoding import sequential, write_long

    write_long(tmp_path / "long.mp4", 70, SIZE, gop=20)
    indices = np.arange(70)
    frames = sequential(tmp_path / "long.mp4", indices)
    assert np.array_equal(frames[:20], frames[40:60])
    assert len(np.unique(frames[:20].reshape(20, -1), axis=0)) == 20
    assert np.array_equal(read_frames(tmp_path / "long.mp4", indices, threads=2), frames)
    with open_video(tmp_path / "long.mp4") as video:
        assert video.num_frames == 70
        video.read([45])
        assert video.file.num_decoded == 6  # from the key frame on, which is frame 40


def test_rows_of_a_long_file_name_the_goals_of_the_issue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmarks import decoding

    monkeypatch.setattr(decoding, "peers", lambda: {"sequential PyAV": decoding.sequential})
    alike, against = decoding.long_rows(tmp_path, frames_per_minute=60, size=SIZE)
    assert (alike.against, alike.goal) == ("of 1 minute", 0.8)
    assert (against.against, against.goal) == ("sequential PyAV", 1.0)
    assert "10 minutes" in alike.name


def test_other_frames_stop_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmarks import decoding

    decoding.write_long(tmp_path / "clip.mp4", 40, SIZE, gop=20)
    wrong: dict[str, Any] = {"sequential PyAV": lambda path, indices: decoding.sequential(path, indices - 1)}
    monkeypatch.setattr(decoding, "peers", lambda: wrong)
    with pytest.raises(SystemExit, match="reads other frames"):
        decoding.rows_of("clip", tmp_path / "clip.mp4", {"sequential PyAV": 1.0})


@pytest.mark.slow
def test_waiting_is_a_share_of_the_epoch():
    from benchmarks.waiting import benchmark

    (row,) = benchmark(SyntheticOptions(train_per_action=2, test_per_action=0, frames=(8, 10), size=(64, 64)), epochs=2)
    assert row.ratio is not None
    assert 0 < row.ratio < 1
    assert row.reference is not None
    assert row.reference < row.ours
    assert row.goal == 0.95


def test_xclip_reads_the_centers_of_the_segments(tmp_path: Path):
    from benchmarks import xclip
    from benchmarks.decoding import write_long

    write_long(tmp_path / "clip.mp4", 60, SIZE, gop=20)
    expected = read_frames(tmp_path / "clip.mp4", segment_indices(60, xclip.FRAMES))
    assert np.array_equal(xclip.read_video(tmp_path / "clip.mp4"), expected)


def test_predict_says_of_a_clip_what_the_features_say(kg_model: Path, figures: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmarks import predicting, xclip

    recognizer = Recognizer.from_pretrained(kg_model)
    frames = recognizer.checkpoint.config.frames
    monkeypatch.setattr(xclip, "FRAMES", frames)
    clip = open_dataset(figures).clips[0].path
    features = recognizer.encoder.encode(read_clip(clip, frames).images)
    predicting.check_same(recognizer, clip, features)
    with pytest.raises(SystemExit, match="differs from the backbone's features"):
        predicting.check_same(recognizer, clip, features.flip(1))


def test_the_model_has_the_published_graphs_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmarks import predicting

    monkeypatch.setattr(predicting, "CLIPS", 48)
    predicting.write_model(tmp_path / "model", Path("synthetic"))
    checkpoint = Checkpoint.load(tmp_path / "model")
    assert (len(checkpoint.actions), len(checkpoint.movements)) == (24, 391)


def test_a_process_that_fails_is_told(tmp_path: Path):
    from benchmarks.predicting import process

    process("-c", "")
    with pytest.raises(subprocess.CalledProcessError):
        process("-c", "raise SystemExit(1)")
