"""Mean average precision and boundary errors by hand, and the measurement on a tiny data set."""

from pathlib import Path

import pytest

from experiments.detection import Stretch, matched, matches_at, mean_average_precision, overlap
from experiments.localization import main

TRUE = (Stretch("jump", 0.0, 2.0), Stretch("jump", 4.0, 6.0), Stretch("bow", 8.0, 10.0))


def test_overlap_is_intersection_over_union():
    assert overlap(Stretch("a", 0, 2), Stretch("a", 1, 3)) == pytest.approx(1 / 3)
    assert overlap(Stretch("a", 0, 2), Stretch("a", 2, 3)) == 0


def test_what_is_found_is_matched_once_the_surest_first():
    found = [Stretch("jump", 0.0, 1.5, 0.6), Stretch("jump", 0.0, 2.0, 0.9), Stretch("bow", 0.0, 2.0, 0.9)]
    assert matched(found, TRUE, 0.5) == [None, TRUE[0], None]


def test_average_precision_by_hand():
    perfect = [Stretch(t.action, t.start_s, t.end_s, 0.9) for t in TRUE]
    assert mean_average_precision(perfect, TRUE, 0.7) == 1
    assert mean_average_precision([], TRUE, 0.3) == 0
    # jump: wrong, right (precision ½), right (⅔): interpolated ⅔ and ⅔; bow: nothing.
    found = [Stretch("jump", 20, 22, 0.9), Stretch("jump", 0, 2, 0.8), Stretch("jump", 4, 6, 0.7)]
    assert mean_average_precision(found, TRUE, 0.5) == pytest.approx((2 / 3) / 2)


def test_boundaries_and_counts_by_hand():
    found = [Stretch("jump", 0.2, 2.0, 0.9), Stretch("bow", 8.0, 10.4, 0.9), Stretch("bow", 20.0, 21.0, 0.1)]
    matches = matches_at(found, TRUE, 0.5)
    assert matches.boundary_error_s == pytest.approx((0.1 + 0.2) / 2)
    assert (matches.recall, matches.f1) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_the_command_writes_a_table(figures: Path, tmp_path: Path):
    out = tmp_path / "localization.md"
    words = ["--data", str(figures), "--work", str(tmp_path / "work"), "--out", str(out)]
    assert main([*words, "--seeds", "2", "--clips-per-action", "1", "--threads", "1"]) == 0
    text = out.read_text()
    assert "| `kgclip watch` |" in text
    assert "mAP at 0.7" in text
