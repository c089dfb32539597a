"""Pooling over time against plain loops, and what it must and must not see."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from kgclip.models.options import PoolingKind
from kgclip.models.temporal import TemporalPooling, dropout

KINDS: tuple[PoolingKind, ...] = get_args(PoolingKind)


def clips(num: int = 3, frames: int = 7, dim: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num, frames, dim, generator=torch.Generator().manual_seed(seed))


def test_fit_survives_statistics_that_never_vary():
    pooling = TemporalPooling(4, 4, "statistics")
    pooling.fit(torch.ones(5, 6, 4))
    torch.nn.init.normal_(pooling.linear.weight)
    assert pooling(torch.ones(5, 6, 4)).abs().max() < 10


def test_dropout_acts_on_the_statistics_in_training_only():
    pooling = TemporalPooling(8, 8, "statistics", dropout=0.5)
    batch = clips(dim=8)
    torch.manual_seed(0)
    assert (pooling(batch) - pooling(batch)).abs().max() > 0.01
    torch.testing.assert_close(pooling.eval()(batch), batch.mean(dim=1))


@pytest.mark.parametrize("kind", ["mean", "transformer"])
def test_fit_changes_nothing_without_statistics(kind: PoolingKind):
    pooling = TemporalPooling(8, 8, kind)
    before = pooling(clips(dim=8))
    pooling.fit(clips(dim=8, seed=1))
    assert torch.equal(pooling(clips(dim=8)), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 6])
def test_training_starts_at_the_mean_over_frames(kind: PoolingKind, frames: int):
    batch = clips(frames=frames, dim=8)
    pooling = TemporalPooling(8, 8, kind)
    pooling.fit(clips(20, dim=8, seed=1))
    torch.testing.assert_close(pooling(batch), batch.sum(dim=1) / frames)
    with torch.no_grad():  # evaluation takes torch's fused path through the transformer
        torch.testing.assert_close(pooling.eval()(batch), batch.sum(dim=1) / frames)


@pytest.mark.parametrize("kind", ["mean", "transformer"])
def test_features_of_another_size_are_mapped_linearly(kind: PoolingKind):
    pooling, batch = TemporalPooling(8, 5, kind), clips(dim=8)
    assert isinstance(pooling.project, torch.nn.Linear)
    weight = pooling.project.weight.tolist()
    for b in range(3):
        mean = [math.fsum(batch[b, :, f].tolist()) / 7 for f in range(8)]
        by_hand = [sum(w * x for w, x in zip(row, mean, strict=True)) for row in weight]
        assert pooling(batch)[b].tolist() == pytest.approx(by_hand, abs=1e-5)


def disturbed(kind: PoolingKind, frame_dim: int, dim: int) -> TemporalPooling:
    torch.manual_seed(2)
    pooling = TemporalPooling(frame_dim, dim, kind)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return pooling


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [8, 5])
def test_a_clip_depends_on_no_other_clip(kind: PoolingKind, dim: int):
    pooling, batch = disturbed(kind, 8, dim), clips(5, dim=8)
    whole = pooling(batch)
    assert whole.shape == (5, dim)
    for b in range(5):
        torch.testing.assert_close(pooling(batch[b : b + 1])[0], whole[b], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [8, 5])
def test_a_gradient_reaches_every_parameter_and_the_frames(kind: PoolingKind, dim: int):
    pooling, frames = disturbed(kind, 8, dim), clips(dim=8).requires_grad_()
    pooling(frames).square().sum().backward()
    for name, parameter in [*pooling.named_parameters(), ("frames", frames)]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ["statistics", "transformer"])
def test_order_in_time_is_seen_once_training_moves_away(kind: PoolingKind):
    pooling, batch = disturbed(kind, 8, 8), clips(dim=8)
    assert (pooling(batch) - pooling(batch.flip(1))).abs().max() > 0.01
    mean = TemporalPooling(8, 8, "mean")
    torch.testing.assert_close(mean(batch), mean(batch.flip(1)))


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5])
def test_dropout_draws_as_torch_does(rate: float):
    values = torch.randn(16, 33, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(7)
    expected = torch.nn.functional.dropout(values, rate)
    torch.manual_seed(7)
    assert torch.equal(dropout(values, rate), expected)
