"""Means, intervals and tests are those of scipy and of hand calculation."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.summary import by_seed, holm, paired_p, summarize
from kgclip.errors import KgclipError

RUN = {"experiment": "e", "data": "d", "point": "p", "x": 1.0, "frames": 8, "metric": "top1"}


def rows_of(arm: str, values: list[float], **changes: object) -> list[dict]:
    """One row a seed."""
    return [
        RUN | {"arm": arm, "seed": seed, "fold": 0, "value": value, "num_test": 10, "wall_s": 1.0} | changes
        for seed, value in enumerate(values)
    ]


def test_a_single_difference_has_no_test():
    assert math.isnan(paired_p([0.5]))


def test_the_paired_test_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for size in (2, 3, 5, 10):
        one, other = rng.random((2, size))
        assert paired_p(list(one - other)) == pytest.approx(stats.ttest_rel(one, other).pvalue)


def test_differences_without_spread():
    assert paired_p([0.0, 0.0]) == 1.0
    assert paired_p([0.5, 0.5, 0.5]) == 0.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    corrected = holm([0.02, math.nan, 0.01])
    assert [corrected[0], corrected[2]] == pytest.approx([0.02, 0.02])
    assert math.isnan(corrected[1])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(values: list[float]):
    corrected = holm(values)
    for p, q in zip(values, corrected, strict=True):
        assert p <= q <= min(1.0, len(values) * p) + 1e-12
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_a_seed_is_the_mean_over_its_test_clips():
    results = pl.DataFrame(
        [
            *rows_of("a", [0.5, 1.0], fold=0, num_test=10),
            *rows_of("a", [0.8, 0.0], fold=1, num_test=30),
        ]
    )
    values = dict(by_seed(results).select("seed", "value").iter_rows())
    assert values == pytest.approx({0: 0.725, 1: 0.25})


def test_a_summary_by_hand():
    results = pl.DataFrame(
        [
            *rows_of("base", [0.50, 0.60, 0.40]),
            *rows_of("better", [0.60, 0.65, 0.55]),
            *rows_of("same", [0.50, 0.60, 0.40]),
            *rows_of("base", [0.1, 0.2, 0.3], frames=1),
            *rows_of("better", [0.2, 0.2, 0.2], frames=1),
        ]
    )
    summary = summarize(results, "base")
    assert summary.select("frames", "arm").rows() == [
        *((8, arm) for arm in ("base", "better", "same")),
        *((1, arm) for arm in ("base", "better")),
    ]
    base, better, same = summary.filter(frames=8).iter_rows(named=True)
    assert base["mean"] == pytest.approx(0.5)
    assert (base["difference"], base["p"], base["p_holm"]) == (None, None, None)
    # Differences 0.10, 0.05, 0.15: mean 0.1, standard deviation 0.05, t quantile 4.303 at 2 degrees of freedom.
    assert better["difference"] == pytest.approx(0.1)
    assert better["difference_interval"] == pytest.approx(4.30265 * 0.05 / math.sqrt(3), rel=1e-4)
    assert better["p"] == pytest.approx(stats.ttest_rel([0.6, 0.65, 0.55], [0.5, 0.6, 0.4]).pvalue)
    assert better["p_holm"] == pytest.approx(2 * better["p"])
    assert (same["difference"], same["p"], same["p_holm"]) == (0.0, 1.0, 1.0)
    assert same["seeds"] == 3


def test_arms_are_compared_on_the_seeds_that_both_have():
    results = pl.DataFrame([*rows_of("base", [0.1, 0.2]), *rows_of("longer", [0.3, 0.4, 0.9])])
    row = summarize(results, "base").row(1, named=True)
    assert row["mean"] == pytest.approx(1.6 / 3)
    assert row["difference"] == pytest.approx(0.2)


def test_seeds_that_no_choice_has_seen_stand_apart():
    results = pl.DataFrame([*rows_of("base", [0.1] * 7), *rows_of("other", [0.9] * 5 + [0.2, 0.4])])
    row = summarize(results, "base").row(1, named=True)
    assert row["difference"] == pytest.approx((5 * 0.8 + 0.1 + 0.3) / 7)
    # Seeds 5 and 6: differences 0.1 and 0.3, and t(0.975, 1) = 12.706 times their standard error 0.1.
    assert row["untouched"] == pytest.approx(0.2)
    assert row["untouched_interval"] == pytest.approx(1.27062, rel=1e-4)
    few = summarize(results.filter(pl.col("seed") < 5), "base").row(1, named=True)
    assert (few["untouched"], few["untouched_interval"]) == (None, None)


def test_what_one_seed_cannot_say_is_null():
    results = pl.DataFrame([*rows_of("base", [0.1]), *rows_of("other", [0.3])])
    row = summarize(results, "base").row(1, named=True)
    assert (row["interval"], row["difference_interval"], row["p"], row["p_holm"]) == (None,) * 4
    assert row["difference"] == pytest.approx(0.2)


def test_a_metric_that_the_reference_lacks():
    results = pl.DataFrame([*rows_of("base", [0.1, 0.2]), *rows_of("reader", [0.3, 0.5], metric="movement_map")])
    row = summarize(results, "base").filter(metric="movement_map").row(0, named=True)
    assert (row["mean"], row["difference"]) == (pytest.approx(0.4), None)


def test_an_arm_that_is_not_there():
    with pytest.raises(KgclipError, match="'best': has no results"):
        summarize(pl.DataFrame(rows_of("base", [0.1])), "best")
