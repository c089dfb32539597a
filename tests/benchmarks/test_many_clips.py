"""The benchmark of many clips solves from sums, and finds what it made."""

import torch

from benchmarks.many_clips import MadeClips, apart, measure
from kgclip.models.fit_head import MOST_AT_ONCE


def test_a_clip_is_the_same_whenever_it_is_read():
    clips = MadeClips(50)
    assert torch.equal(clips[torch.tensor([3, 41])], clips[torch.arange(50)][[3, 41]])


def test_left_out_clips_are_recognized():
    row = measure(MOST_AT_ONCE + 1)
    assert row["top1"] > 0.99
    assert row["seconds"] > 0


def test_in_single_precision_sums_solve_as_all_at_once():
    assert apart(MOST_AT_ONCE + 1) <= 1e-5
