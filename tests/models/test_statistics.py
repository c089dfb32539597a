"""Statistics over time against plain loops, and their scales for few frames and many."""

import statistics

import pytest
import torch
from torch import Tensor

from kgclip.models.statistics import NUM_STATISTICS, TIME_SCALE, ClipStatistics, frame_statistics, thinned


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


def fitted(frames: int, num: int = 60) -> tuple[ClipStatistics, Tensor]:
    module, batch = ClipStatistics(4), 5 + 3 * clips(num, frames)
    module.fit(batch)
    return module, batch


@pytest.mark.parametrize("frames", [3, 8])
def test_what_it_was_fitted_on_is_standardized(frames: int):
    module, batch = fitted(frames)
    standard = module(batch)
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    expected = torch.cat([torch.ones(4), torch.full((12,), TIME_SCALE)])
    torch.testing.assert_close(standard.std(dim=0, correction=0), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [2, 4])
def test_clips_seen_with_fewer_frames_lie_on_the_same_scale(count: int):
    module, batch = fitted(8)
    mean, *rest = module(thinned(batch, count)).chunk(NUM_STATISTICS, dim=1)
    for part in rest:
        torch.testing.assert_close(part.mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(part.std(dim=0, correction=0), torch.full((4,), TIME_SCALE), atol=1e-3, rtol=0)
    # The mean alone has one scale: it is the same quantity, only noisier.
    by_hand = (thinned(batch, count).mean(dim=1) - module.mean[0, :4]) / module.scale[0, :4]
    torch.testing.assert_close(mean, by_hand)


def test_one_frame_has_nothing_but_a_mean():
    module, batch = fitted(8)
    assert module(batch[:, :1])[:, 4:].abs().max() < 1e-6


def test_more_frames_than_fitted_are_interleaved_clips():
    module, _ = fitted(4)
    long = clips(2, 8, seed=1)
    expected = (module(long[:, ::2]) + module(long[:, 1::2])) / 2
    torch.testing.assert_close(module(long), expected)


def test_glances_are_the_clips_seen_with_fewer_frames():
    module, batch = fitted(6)
    glances = module.glances(batch)
    assert glances.shape == (3, 60, 16)  # with 1, 2 and 4 frames
    torch.testing.assert_close(glances[1], module(thinned(batch, 2)))
    assert module.glances(batch[:, :1]).shape == (0, 60, 16)


def test_it_is_saved_whole():
    module, _ = fitted(8)
    fresh = ClipStatistics(4)
    fresh.load_state_dict(module.state_dict())
    for count in (1, 3, 8, 16):
        assert torch.equal(fresh(clips(2, count)), module(clips(2, count)))
