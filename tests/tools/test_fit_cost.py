"""The cost of fitting: which clips are taken, one small run, and the page."""

from pathlib import Path

import pytest

from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from tools.fit_cost import ACTIONS, Cost, Options, chosen, measure, page


def test_as_many_clips_of_each_action(figures: Path):
    clips = open_dataset(figures).clips
    actions = [clip.action for clip in chosen(clips, 10)]
    assert len({clip.id for clip in chosen(clips, 10)}) == 10
    assert [actions.count(action) for action in dict.fromkeys(actions)] == [2] * ACTIONS
    with pytest.raises(KgclipError, match=r"--clips 1000: the first 5 actions have not 200 clips each; lower it"):
        chosen(clips, 1000)


def test_a_run_is_measured(figures: Path):
    clips = chosen(open_dataset(figures).clips, 10)
    cost = measure(clips, Options(figures, backbone="synthetic"))
    assert cost.clips == 10
    assert 0.5 < cost.cpu_s < 600
    assert cost.memory_bytes > 50 * 2**20


def test_the_page_says_how_cost_grows():
    lines = page([Cost(10, 5.0, 8.0, 2**29), Cost(30, 15.0, 28.0, 2**29)], Options(Path("data")))
    assert "| 30 | 15 | 28 | 1.00 | 512 |" in lines
    assert lines[-1] == "3 times the clips took 3.5 times the CPU time."
