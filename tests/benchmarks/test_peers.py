"""What the benchmarks compare is the same work."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.data.loader import load_clip
from kgclip.video.decode import read_frames
from kgclip.video.sampling import segment_indices


@pytest.fixture(autouse=True)
def project_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks lie beside the package, not in it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.mark.parametrize("gop", [12, 250])
def test_frames_are_those_of_sequential_decoding(gop: int, tmp_path: Path):
    from benchmarks.decoding import NUM_FRAMES, TAKEN, sequential, write_clip

    write_clip(tmp_path / "clip.mp4", gop)
    indices = segment_indices(NUM_FRAMES, TAKEN)
    assert np.array_equal(read_frames(tmp_path / "clip.mp4", indices), sequential(tmp_path / "clip.mp4", indices))


def test_pixels_are_those_of_pil(tmp_path: Path):
    from benchmarks.decoding import TAKEN, write_clip
    from benchmarks.loader import AGREE, PIXELS, with_pil

    write_clip(tmp_path / "clip.mp4", 12)
    ours, theirs = load_clip(tmp_path / "clip.mp4", TAKEN, PIXELS), with_pil(tmp_path / "clip.mp4")
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < AGREE


def test_annotations_are_counted_alike(tmp_path: Path):
    from benchmarks.reading import check_same, load_all, write_tree

    write_tree(tmp_path, 320)
    assert load_all(tmp_path) > 3200
    check_same(tmp_path)


def test_pykeen_is_left_out_with_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from benchmarks import pykeen_scores

    monkeypatch.setitem(sys.modules, "pykeen", None)
    assert pykeen_scores.benchmark() == []
    assert "pykeen is not installed" in capsys.readouterr().err


def test_other_scores_stop_the_comparison():
    from benchmarks.pykeen_scores import check_same

    check_same(lambda: torch.ones(2), lambda: torch.ones(2) + 1e-6)
    with pytest.raises(SystemExit, match="scores differ"):
        check_same(lambda: torch.ones(2), lambda: torch.ones(2) + 1e-3)
