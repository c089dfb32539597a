"""The benchmark of the backbone runs the engine's own step, and counts its operations right."""

from pathlib import Path

import pytest
import torch

from benchmarks import backbone as bench_backbone
from benchmarks import harness
from benchmarks.backbone import FRAMES, Shape, benchmark, flops, products, random_clip, training_step
from kgclip.models.backbones.transformers import TransformersBackbone

TINY = Shape(patch=16, image=32, width=128, text_width=64, embedding=32, layers=2, vocabulary=1100)


def test_operations_are_counted_as_by_hand():
    backbone, images = random_clip(TINY), 3

    @torch.no_grad()
    def forward():
        with torch.autocast("cpu", torch.bfloat16):
            backbone.encode_image(torch.randn(images, 3, 32, 32))

    patches, width = 4, 128
    tokens = patches + 1
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    expected = 2 * patches * 3 * 16**2 * width + 2 * block + 2 * width * 32
    assert flops(forward) == images * expected
    assert flops(products(images * expected, 64)) == pytest.approx(images * expected, abs=64**2)


def test_a_step_trains_both_towers_and_needs_thrice_the_operations(tmp_path: Path):
    backbone = random_clip(TINY)
    assert isinstance(backbone, TransformersBackbone)
    before = {name: parameter.clone() for name, parameter in backbone.named_parameters()}
    step = training_step(backbone, 2, tmp_path)
    counted = flops(step)
    # The published logit_scale stays; a key's bias adds the same to all logits, so that its gradient is rounding.
    moved = {name for name, parameter in backbone.named_parameters() if not torch.equal(parameter, before[name])}
    assert before.keys() - moved <= {name for name in before if name.endswith(("logit_scale", "k_proj.bias"))}

    @torch.no_grad()
    def forward():
        with torch.autocast("cpu", torch.bfloat16):
            backbone.encode_image(torch.randn(2 * FRAMES, 3, 32, 32))

    assert 2.9 * flops(forward) < counted < 4 * flops(forward)


def test_it_gives_both_shares(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness, "LEAST_S", 0.0)
    monkeypatch.setattr(bench_backbone, "SIDES", (32, 64))
    forward, training = benchmark(TINY, 1)
    assert (forward.goal, training.goal) == (0.6, 0.45)
    assert forward.ratio is not None
    assert training.ratio is not None
    assert min(forward.ratio, training.ratio) > 0
