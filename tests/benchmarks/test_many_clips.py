"""The benchmark of many clips solves from sums, and finds what it made."""

import torch

from benchmarks.many_clips import MadeClips, measure
from kgclip.models.fit_head import MOST_ROWS


def test_a_clip_is_the_same_whenever_it_is_read():
    clips = MadeClips(50)
    assert torch.equal(clips[torch.tensor([3, 41])], clips[torch.arange(50)][[3, 41]])


def test_left_out_clips_are_recognized():
    row = measure(MOST_ROWS + 1)
    assert row["top1"] > 0.99
    assert row["seconds"] > 0
