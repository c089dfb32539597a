"""What the benchmarks compare is the same work."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import decoding, predicting, pykeen_scores, xclip
from benchmarks.decoding import NUM_FRAMES, TAKEN, sequential, write_clip
from benchmarks.fit import MOVEMENTS, fit, random_run
from benchmarks.loader import AGREE, PIXELS, with_pil
from benchmarks.reading import check_same, load_all, write_tree
from benchmarks.training_step import FRAMES, TOKENS, ReleasedStep, our_step, released_step
from kgclip.data.loader import load_clip
from kgclip.engine.checkpoint import Checkpoint
from kgclip.synthetic.dataset import SyntheticOptions
from kgclip.video.decode import read_frames
from kgclip.video.sampling import segment_indices


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten seconds of video."""
    write_clip(tmp_path / "clip.mp4", 12)
    return tmp_path / "clip.mp4"


def test_frames_are_those_of_sequential_decoding(clip: Path):
    indices = segment_indices(NUM_FRAMES, TAKEN)
    assert np.array_equal(read_frames(clip, indices), sequential(clip, indices))
    # X-CLIP reads the centers of the segments too.
    assert np.array_equal(predicting.frames_of(clip), xclip.read_video(clip))


def test_other_frames_stop_the_comparison(clip: Path, monkeypatch: pytest.MonkeyPatch):
    wrong: dict[str, Any] = {"sequential PyAV": lambda path, indices: sequential(path, indices - 1)}
    monkeypatch.setattr(decoding, "peers", lambda: wrong)
    with pytest.raises(SystemExit, match="reads other frames"):
        decoding.rows_of("clip", clip, {"sequential PyAV": 1.0})
    monkeypatch.setattr(xclip, "read_video", lambda path: sequential(path, np.arange(8)))
    with pytest.raises(SystemExit, match="X-CLIP reads other frames"):
        predicting.frames_of(clip)


def test_pixels_are_those_of_pil(clip: Path):
    ours, theirs = load_clip(clip, TAKEN, PIXELS), with_pil(clip)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < AGREE


def test_annotations_are_counted_alike(tmp_path: Path):
    write_tree(tmp_path, 320)
    assert load_all(tmp_path) > 3200
    check_same(tmp_path)


def test_pykeen_is_left_out_with_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "pykeen", None)
    assert pykeen_scores.benchmark() == []
    assert "pykeen is not installed" in capsys.readouterr().err


def test_other_scores_stop_the_comparison():
    pykeen_scores.check_same(lambda: torch.ones(2), lambda: torch.ones(2) + 1e-6)
    with pytest.raises(SystemExit, match="scores differ"):
        pykeen_scores.check_same(lambda: torch.ones(2), lambda: torch.ones(2) + 1e-3)


def test_the_fit_has_the_published_graphs_movements(tmp_path: Path):
    config, prepared = random_run(tmp_path, 48, dim=8)
    assert len(prepared.graph.entities("movement")) == MOVEMENTS
    for _ in range(2):
        fit(config, prepared)
    assert len(Checkpoint.load(config.out).movements) == MOVEMENTS


def test_the_predicting_model_knows_the_figures(tmp_path: Path):
    options = SyntheticOptions(train_per_action=2, test_per_action=0, frames=(8, 10), size=(64, 64))
    predicting.write_model(tmp_path / "model", "synthetic", options)
    assert len(Checkpoint.load(tmp_path / "model").actions) == 24


def test_a_process_that_fails_is_an_error():
    predicting.process("-c", "")
    with pytest.raises(subprocess.CalledProcessError):
        predicting.process("-c", "raise SystemExit(1)")


@pytest.fixture
def tiny_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A CLIP with the tokenizer of the full-size one, and towers of one small layer."""
    import transformers

    from kgclip.models.backbones.registry import load_backbone
    from tools.random_clip import RandomClip, write_random_clip

    full = transformers.CLIPConfig

    def small(text_config: dict, vision_config: dict) -> transformers.CLIPConfig:
        sizes = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 1, "num_hidden_layers": 1}
        image = {"patch_size": 16, "image_size": 32}
        return full(text_config=text_config | sizes, vision_config=sizes | image, projection_dim=64)

    monkeypatch.setattr(transformers, "CLIPConfig", small)
    write_random_clip(RandomClip(tmp_path / "clip"))
    return load_backbone(str(tmp_path / "clip"))


def test_the_released_design_reaches_every_weight(tiny_clip: Any):
    released, size = ReleasedStep(tiny_clip.requires_grad_(True)), tiny_clip.image_size
    ids = torch.randint(2, 400, (3, 4, TOKENS))
    tails = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 2], [4, 5, 6, 6]])
    released(torch.randn(2, 4, FRAMES, 3, size, size), ids, tails).backward()
    without = [name for name, parameter in released.named_parameters() if parameter.grad is None]
    assert without == ["backbone.model.logit_scale"]


def test_the_released_design_encodes_twice_the_clips(tiny_clip: Any):
    def frames_seen(step) -> int:
        seen = []
        hook = tiny_clip.model.vision_model.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(len(kwargs["pixel_values"])), with_kwargs=True
        )
        step()
        hook.remove()
        return sum(seen)

    ours, alone = our_step(tiny_clip, 2), our_step(tiny_clip, 2, graph=False)
    assert frames_seen(ours) == frames_seen(alone) == 2 * FRAMES
    assert frames_seen(released_step(tiny_clip, 2)) == 4 * FRAMES


def test_our_step_trains_both_towers(tiny_clip: Any):
    before = {name: parameter.clone() for name, parameter in tiny_clip.named_parameters()}
    our_step(tiny_clip, 2)()
    moved = {name for name, parameter in tiny_clip.named_parameters() if not torch.equal(parameter, before[name])}
    assert any("vision_model" in name for name in moved)
    assert any("text_model" in name for name in moved)
