"""The reference of the training step is a whole one: every weight of it gets a gradient."""

from pathlib import Path

import pytest
import torch

from benchmarks import harness
from benchmarks.backbone import FRAMES, Shape, flops, random_clip, training_step

TINY = Shape(patch=16, image=32, width=128, text_width=64, embedding=64, layers=2, vocabulary=1100)


@pytest.fixture(autouse=True)
def project_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks lie beside the package, not in it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def test_the_released_design_reaches_every_weight():
    from benchmarks.training_step import TOKENS, ReleasedStep

    released = ReleasedStep(random_clip(TINY))
    ids = torch.randint(2, 100, (3, 4, TOKENS))
    ids[:, :, 9] = 1
    loss = released(torch.randn(2, 4, FRAMES, 3, 32, 32), ids, torch.tensor([[0, 1, 2, 3], [0, 0, 1, 2], [4, 5, 6, 6]]))
    loss.backward()
    without = [name for name, parameter in released.named_parameters() if parameter.grad is None]
    assert without == ["backbone.model.logit_scale"]


def test_it_encodes_twice_the_clips(tmp_path: Path):
    from benchmarks.training_step import released_step

    backbone = random_clip(TINY)

    def frames_seen(step) -> int:
        seen = []
        hook = backbone.model.vision_model.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(len(kwargs["pixel_values"])), with_kwargs=True
        )
        step()
        hook.remove()
        return sum(seen)

    ours, released = training_step(backbone, 2, tmp_path), released_step(backbone, 2)
    alone = training_step(backbone, 2, tmp_path, graph=False)
    assert frames_seen(ours) == frames_seen(alone) == 2 * FRAMES
    assert frames_seen(released) == 4 * FRAMES
    assert flops(alone) < flops(ours) < flops(released)


def test_it_gives_both_ratios(monkeypatch: pytest.MonkeyPatch):
    from benchmarks.training_step import benchmark

    monkeypatch.setattr(harness, "LEAST_S", 0.0)
    against_released, against_clip_only = benchmark(TINY, 2)
    assert (against_released.goal, against_clip_only.goal) == (1.9, 0.952)
    assert "without the graph" in str(against_clip_only.against)
    assert against_clip_only.ratio is not None
