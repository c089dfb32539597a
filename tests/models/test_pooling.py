"""Statistics over time and pooling against plain loops, and what pooling must and must not see."""

import math
import statistics
from typing import get_args

import pytest
import torch
from torch import Tensor

from kgclip.models.options import PoolingKind
from kgclip.models.pooling import (
    NUM_STATISTICS,
    TemporalPooling,
    frame_statistics,
    interleaved_statistics,
    nearest_count,
    phases,
)

KINDS: tuple[PoolingKind, ...] = get_args(PoolingKind)


def clips(num: int = 3, frames: int = 7, dim: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num, frames, dim, generator=torch.Generator().manual_seed(seed))


def statistics_by_hand(track: list[float]) -> list[float]:
    """The four statistics of one coordinate over time."""
    third, frames = max(1, len(track) // 3), len(track)
    end, start = statistics.fmean(track[frames - third :]), statistics.fmean(track[:third])
    changes = [abs(track[t + 1] - track[t]) for t in range(frames - 1)]
    return [
        statistics.fmean(track),
        statistics.pstdev(track),
        end - start,
        statistics.fmean(changes) if changes else 0.0,
    ]


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 8, 9])
def test_statistics_of_every_coordinate(frames: int):
    batch = clips(frames=frames)
    result = frame_statistics(batch).view(3, NUM_STATISTICS, 4)
    for b in range(3):
        for f in range(4):
            by_hand = statistics_by_hand(batch[b, :, f].tolist())
            assert result[b, :, f].tolist() == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("frames", [1, 6])
def test_a_clip_that_stands_still_has_only_a_mean(frames: int):
    still = clips(frames=1).expand(3, frames, 4)
    mean, *rest = frame_statistics(still).chunk(NUM_STATISTICS, dim=1)
    torch.testing.assert_close(mean, still[:, 0])
    assert torch.cat(rest).abs().max() < 1e-5


def test_a_still_clip_has_a_finite_gradient():
    still = torch.ones(2, 5, 3, requires_grad=True)
    frame_statistics(still).sum().backward()
    assert still.grad is not None
    assert still.grad.isfinite().all()


def test_time_reversal_flips_the_direction_alone():
    forward, backward = (frame_statistics(x).chunk(NUM_STATISTICS, dim=1) for x in (clips(), clips().flip(1)))
    for part, (ahead, back) in enumerate(zip(forward, backward, strict=True)):
        torch.testing.assert_close(back, -ahead if part == 2 else ahead)
    assert forward[2].abs().min() > 0


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (2, 1, [[2, 6]]),  # the centers of two segments
        (2, 2, [[1, 5], [3, 7]]),
        (2, 8, [[0, 4], [1, 5], [2, 6], [3, 7]]),
        (3, 8, [[0, 3, 6], [2, 4, 7]]),
        (5, 8, [[0, 2, 4, 5, 7]]),  # segments of unequal length still reach the end
        (8, 8, [list(range(8))]),
    ],
)
def test_phases_are_the_same_clip_a_little_later(count: int, most: int, expected: list[list[int]]):
    frames = torch.arange(8.0).view(1, 8, 1) + torch.tensor([0.0, 100.0]).view(2, 1, 1)
    views = phases(frames, count, most)
    assert views[:, 0, :, 0].tolist() == expected
    assert torch.equal(views[:, 1], views[:, 0] + 100)


@pytest.mark.parametrize(("frames", "starts"), [(4, [0]), (8, [0, 1]), (9, [0, 1, 2])])
def test_more_frames_than_fitted_are_interleaved_clips(frames: int, starts: list[int]):
    batch = clips(frames=frames)
    parts = [frame_statistics(batch[:, start :: len(starts)]) for start in starts]
    torch.testing.assert_close(interleaved_statistics(batch, 4), sum(parts) / len(parts))


@pytest.mark.parametrize(("frames", "nearest"), [(1, 1), (3, 4), (5, 4), (6, 8), (16, 16), (100, 32)])
def test_other_numbers_of_frames_take_the_nearest_by_ratio(frames: int, nearest: int):
    assert nearest_count(frames) == nearest
    assert nearest_count(frames, (2,)) == 2


def test_fit_survives_statistics_that_never_vary():
    pooling = TemporalPooling(4, 4, "statistics")
    pooling.fit(torch.ones(5, 6, 4))
    torch.testing.assert_close(pooling(torch.ones(2, 6, 4)), torch.ones(2, 4))


@pytest.mark.parametrize("kind", ["mean", "projected"])
def test_fit_changes_nothing_without_statistics(kind: PoolingKind):
    pooling = disturbed(kind, 8, 8)
    before = pooling(clips(dim=8))
    pooling.fit(clips(dim=8, seed=1))
    assert torch.equal(pooling(clips(dim=8)), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 6])
def test_training_starts_at_the_mean_over_frames(kind: PoolingKind, frames: int):
    batch = clips(frames=frames, dim=8)
    pooling = TemporalPooling(8, 8, kind)
    pooling.fit(5 + 3 * clips(20, dim=8, seed=1))
    torch.testing.assert_close(pooling(batch), batch.sum(dim=1) / frames, atol=1e-5, rtol=1e-5)


def test_features_of_another_size_are_mapped_linearly():
    pooling, batch = TemporalPooling(8, 5, "mean"), clips(dim=8)
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


def test_statistics_alone_see_the_order_in_time():
    batch = clips(dim=8)
    pooling = disturbed("statistics", 8, 8)
    assert (pooling(batch) - pooling(batch.flip(1))).abs().max() > 0.01
    for kind in ("mean", "projected"):
        pooling = disturbed(kind, 8, 8)
        torch.testing.assert_close(pooling(batch), pooling(batch.flip(1)))
