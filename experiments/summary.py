"""What the seeds of an experiment say: means, intervals, and differences that are paired by seed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from scipy.special import stdtr

from experiments.protocol import FIRST_UNTOUCHED_SEED
from kgclip.compare import mean_and_interval
from kgclip.errors import KgclipError

# What stands in one column of a table: the arms under one condition.
COLUMN = ("experiment", "data", "point", "frames", "metric")
# Of the rows that :func:`summarize` gives.
SCHEMA = {
    "experiment": pl.String,
    "data": pl.String,
    "point": pl.String,
    "x": pl.Float64,
    "frames": pl.Int64,
    "metric": pl.String,
    "arm": pl.String,
    "seeds": pl.Int64,
    "mean": pl.Float64,
    "interval": pl.Float64,
    "difference": pl.Float64,
    "difference_interval": pl.Float64,
    "p": pl.Float64,
    "p_holm": pl.Float64,
    "untouched": pl.Float64,
    "untouched_interval": pl.Float64,
}


def paired_p(differences: Sequence[float]) -> float:
    """The two-sided p value of a t test that the mean of paired differences is zero; NaN for a single one."""
    array = np.asarray(differences, dtype=float)
    if len(array) < 2:
        return math.nan
    error = array.std(ddof=1) / math.sqrt(len(array))
    if error == 0:
        return 1.0 if array.mean() == 0 else 0.0
    return float(2 * stdtr(len(array) - 1, -abs(array.mean()) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number by Holm's step-down method (Scand. J. Stat. 6, 1979); NaN stays."""
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected, least = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(known) - rank) * p_values[i]))
        corrected[i] = least
    return corrected


def by_seed(results: pl.DataFrame) -> pl.DataFrame:
    """One value a seed: the mean over its folds, weighted by their numbers of test clips."""
    return results.group_by(*COLUMN, "x", "arm", "seed", maintain_order=True).agg(
        value=(pl.col("value") * pl.col("num_test")).sum() / pl.col("num_test").sum()
    )


def summarize(results: pl.DataFrame, against: str) -> pl.DataFrame:
    """One row an arm under each condition.

    Args:
        results: tidy rows, as :func:`experiments.runner.run` gives them.
        against: the arm that the others are compared with, on the seeds that both have.

    Returns:
        ``mean`` and ``interval`` over seeds; for all arms but ``against`` also ``difference`` and
        ``difference_interval``, ``p`` of the paired t test, and ``p_holm``, corrected over the arms of the column;
        ``untouched`` and its interval are the difference over the seeds that no choice has looked at. What a single
        seed cannot say is null.

    Raises:
        KgclipError: there is no such arm.
    """
    if against not in results["arm"]:
        raise KgclipError(
            f"against {against!r}: has no results; compare with one of {', '.join(results['arm'].unique())}"
        )
    rows = []
    for condition, table in by_seed(results).group_by(*COLUMN, maintain_order=True):
        values: dict[str, dict[int, float]] = {}
        for arm, seed, value in table.select("arm", "seed", "value").iter_rows():
            values.setdefault(arm, {})[seed] = value
        shared = dict(zip(COLUMN, condition, strict=True)) | {"x": table["x"][0]}
        rows += [shared | row for row in _column(values, against)]
    return pl.DataFrame(rows, schema=SCHEMA).with_columns(pl.selectors.float().fill_nan(None))


def _column(values: Mapping[str, Mapping[int, float]], against: str) -> list[dict[str, float | int | str]]:
    """The rows of all arms under one condition; ``values`` are of each arm and seed."""
    rows = []
    reference = values.get(against, {})
    for arm, of_seed in values.items():
        mean, interval = mean_and_interval(list(of_seed.values()))
        row: dict[str, float | int | str] = {"arm": arm, "seeds": len(of_seed), "mean": mean, "interval": interval}
        differences = {seed: value - reference[seed] for seed, value in of_seed.items() if seed in reference}
        if arm != against and differences:
            row["difference"], row["difference_interval"] = mean_and_interval(list(differences.values()))
            row["p"] = paired_p(list(differences.values()))
            untouched = [value for seed, value in differences.items() if seed >= FIRST_UNTOUCHED_SEED]
            if untouched:
                row["untouched"], row["untouched_interval"] = mean_and_interval(untouched)
        rows.append(row)
    corrected = holm([float(row.get("p", math.nan)) for row in rows])
    return [row | {"p_holm": p} for row, p in zip(rows, corrected, strict=True)]
