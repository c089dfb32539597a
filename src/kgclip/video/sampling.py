"""Which frames of a video to look at: pure integer functions."""

import numpy as np
from jaxtyping import Int

from kgclip.errors import KgclipError


def segment_indices(
    num_frames: int, num_segments: int, *, rng: np.random.Generator | None = None
) -> Int[np.ndarray, " T"]:
    """One frame from each of equal segments of the video: TSN sampling (Wang et al., ECCV 2016, arXiv 1608.00859).

    With `rng` (training), segment k of T over n frames is ``[k * n // T, (k + 1) * n // T)`` and one of its frames is
    drawn; without (test), the frame at the segment's center is taken, ``floor((k + 1/2) * n / T)``. A video with fewer
    frames than segments has empty segments; these take the frame they start at, so that every frame appears and some
    repeat. The 0-based indices ascend.

    Raises:
        KgclipError: if either count is below 1.
    """
    starts, ends = segment_bounds(num_frames, num_segments)
    if rng is None:
        return (np.arange(1, 2 * num_segments, 2, dtype=np.int64) * num_frames) // (2 * num_segments)
    return rng.integers(starts, ends, dtype=np.int64)


def segment_bounds(num_frames: int, num_segments: int) -> tuple[Int[np.ndarray, " T"], Int[np.ndarray, " T"]]:
    """First frame of each segment of :func:`segment_indices`, and the frame after its last.

    Raises:
        KgclipError: if either count is below 1.
    """
    if num_frames < 1:
        raise KgclipError(f"sampling: the video has {num_frames} frames, at least 1 is needed; drop the file")
    if num_segments < 1:
        raise KgclipError(f"sampling: {num_segments} frames asked for, at least 1 is needed; raise --frames")
    bounds = np.arange(num_segments + 1, dtype=np.int64) * num_frames // num_segments
    return bounds[:-1], np.maximum(bounds[1:], bounds[:-1] + 1)
