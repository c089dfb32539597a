import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from kgclip.video.sampling import segment_indices

counts = st.integers(1, 2000), st.integers(1, 64)


@given(*counts, st.integers(0, 2**32 - 1))
def test_random_draw_takes_one_frame_of_each_segment(num_frames: int, num_segments: int, seed: int) -> None:
    indices = segment_indices(num_frames, num_segments, rng=np.random.default_rng(seed))
    assert indices.shape == (num_segments,)
    assert indices.dtype == np.int64
    for k, index in enumerate(indices):
        start, end = k * num_frames // num_segments, (k + 1) * num_frames // num_segments
        assert start <= index < max(end, start + 1)


@given(*counts)
def test_centers_lie_in_the_middle_of_their_segments(num_frames: int, num_segments: int) -> None:
    indices = segment_indices(num_frames, num_segments)
    expected = [(2 * k + 1) * num_frames // (2 * num_segments) for k in range(num_segments)]
    assert indices.tolist() == expected
    assert indices.dtype == np.int64


@given(*counts, st.integers(0, 2**32 - 1) | st.none())
def test_indices_ascend_inside_the_video(num_frames: int, num_segments: int, seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    indices = segment_indices(num_frames, num_segments, rng=rng)
    assert indices[0] >= 0
    assert indices[-1] < num_frames
    assert np.all(np.diff(indices) >= 0)


@given(st.integers(1, 500))
def test_as_many_segments_as_frames_give_every_frame(num_frames: int) -> None:
    every = list(range(num_frames))
    assert segment_indices(num_frames, num_frames).tolist() == every
    assert segment_indices(num_frames, num_frames, rng=np.random.default_rng(0)).tolist() == every


@given(st.integers(1, 40), st.integers(1, 64))
def test_short_videos_show_every_frame_about_equally_often(num_frames: int, num_segments: int) -> None:
    if num_frames > num_segments:
        return
    repeats = np.bincount(segment_indices(num_frames, num_segments), minlength=num_frames)
    assert repeats.min() >= 1
    assert repeats.max() - repeats.min() <= 1


@given(*counts)
def test_centers_are_symmetric_up_to_rounding(num_frames: int, num_segments: int) -> None:
    indices = segment_indices(num_frames, num_segments)
    mirrored = (num_frames - 1 - indices)[::-1]
    assert np.abs(indices - mirrored).max() <= 1


@given(*counts, st.integers(0, 2**32 - 1))
def test_random_frames_are_fixed_by_the_generator(num_frames: int, num_segments: int, seed: int) -> None:
    first = segment_indices(num_frames, num_segments, rng=np.random.default_rng(seed))
    again = segment_indices(num_frames, num_segments, rng=np.random.default_rng(seed))
    assert first.tolist() == again.tolist()


def test_random_frames_reach_every_frame() -> None:
    rng = np.random.default_rng(0)
    draws = np.concatenate([segment_indices(20, 3, rng=rng) for _ in range(500)])
    assert set(draws.tolist()) == set(range(20))


def test_known_values() -> None:
    assert segment_indices(300, 8).tolist() == [18, 56, 93, 131, 168, 206, 243, 281]
    assert segment_indices(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert segment_indices(9, 1).tolist() == [4]


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(KgclipError, match="the video has 0 frames"):
        segment_indices(0, 8)
    with pytest.raises(KgclipError, match="0 frames asked for"):
        segment_indices(8, 0)
