"""The measure of poses: precision and recall by hand, unknown numbers at the mean, and states at the right time."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.dataset import open_dataset
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.video.encode import write_video
from tests.pose.figures import figure
from tools.pose_check import NOT_READ, agreement_table, compare, standardized


def test_the_table_by_hand():
    pairs = Counter(
        {
            ("a", "arm", "raise", "raise"): 6,
            ("a", "arm", "raise", "bend"): 2,
            ("a", "arm", "bend", "bend"): 1,
            ("a", "arm", "clap", "bend"): 1,
            ("a", "arm", "raise", NOT_READ): 10,
            ("b", "arm", "raise", "bend"): 99,
        }
    )
    lines = list(agreement_table(pairs, "a"))
    assert lines[0] == "## a: 0.700 of 10 parts agree"
    assert lines[2] == "0.500 of the annotated parts were read."
    assert "| arm | raise | 8 | 6 | 1.00 | 0.75 |" in lines
    assert "| arm | bend | 1 | 4 | 0.25 | 1.00 |" in lines
    assert "| arm | clap | 1 | 0 | – | 0.00 |" in lines


def test_unknown_numbers_are_at_the_mean_and_others_are_standardized():
    numbers = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0], [90.0, 7.0]])
    scaled = standardized(numbers, [0, 1])
    assert scaled[:3, 0] == pytest.approx([-1, 1, 0], abs=1e-5)
    assert scaled[3, 0] == 4
    assert scaled[:2, 1].tolist() == [0, 0]


def test_states_are_compared_at_the_time_of_the_frame(tmp_path: Path):
    """The arm goes up after frame 10; frames 1 and 21 are annotated, and frame 1 wrongly."""
    folder = tmp_path / "data" / "clap"
    folder.mkdir(parents=True)
    write_video(folder / "a.mp4", np.zeros((24, 64, 64, 3), np.uint8), 30)
    annotations = tmp_path / "annotations" / "a"
    annotations.mkdir(parents=True)
    for frame in (1, 21):
        human = {"parts": {"left_arm": {"verb": "raise"}, "head": {"verb": "nod"}}}
        (annotations / f"img_{frame:05d}.json").write_text(json.dumps({"humans": [human]}))
    moving = figure(24)
    moving[10:, [7, 9], :2] = [[232, 70], [235, 40]]
    indices = np.arange(24, dtype=np.int32)
    pose = ClipPose(indices, indices / 30, 400, 400, (Track(np.arange(24), moving),))
    dataset = open_dataset(tmp_path / "data", annotations.parent)
    (clip,) = dataset.clips
    pairs = compare(dataset, {clip.id: pose}, {clip.id: "all"})
    assert pairs == {("all", "arm", "raise", "unbend"): 1, ("all", "arm", "raise", "raise"): 1}
