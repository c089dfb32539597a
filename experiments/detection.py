"""How well spans of actions are found: mean average precision at overlaps, and errors of their boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stretch:
    """An action in a film, as it is or as it was found.

    Attributes:
        start_s, end_s: where it lies, in seconds.
        probability: of what was found; 1 for what is.
    """

    action: str
    start_s: float
    end_s: float
    probability: float = 1.0


def overlap(one: Stretch, other: Stretch) -> float:
    """Intersection over union of two stretches of time, in [0, 1]."""
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    union = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
    return max(0.0, shared / union)


def matched(found: Sequence[Stretch], true: Sequence[Stretch], least: float) -> list[Stretch | None]:
    """What each found stretch is: a true one of its action with at least that overlap, each at most once, or None.

    The most probable chooses first, and takes the one it overlaps most.
    """
    free = set(range(len(true)))
    matches: list[Stretch | None] = [None] * len(found)
    for i in sorted(range(len(found)), key=lambda i: -found[i].probability):
        mine = [(overlap(found[i], true[j]), j) for j in free if true[j].action == found[i].action]
        best = max(mine, default=(0.0, -1))
        if best[0] >= least and best[1] >= 0:
            matches[i] = true[best[1]]
            free.remove(best[1])
    return matches


def mean_average_precision(found: Sequence[Stretch], true: Sequence[Stretch], least: float) -> float:
    """Mean over the true actions of the average precision at that overlap: the area under the interpolated curve.

    As in THUMOS and ActivityNet: precision at a recall is the highest at it or beyond.
    """
    matches = matched(found, true, least)
    values = []
    for action in sorted({stretch.action for stretch in true}):
        mine = [i for i, stretch in enumerate(found) if stretch.action == action]
        mine.sort(key=lambda i: -found[i].probability)
        right = np.array([matches[i] is not None for i in mine], dtype=float)
        if not len(right):
            values.append(0.0)
            continue
        precision = right.cumsum() / np.arange(1, len(right) + 1)
        best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
        total = sum(stretch.action == action for stretch in true)
        values.append(float((best_beyond * right).sum() / total))
    return float(np.mean(values))


@dataclass(frozen=True)
class Matches:
    """What is found of films at one overlap.

    Attributes:
        boundary_error_s: mean distance of starts and ends of matched stretches in seconds; NaN of none.
        recall: share of the true stretches that are matched.
        f1: harmonic mean of recall and the share of found stretches that are matched.
    """

    boundary_error_s: float
    recall: float
    f1: float


def matches_at(found: Sequence[Stretch], true: Sequence[Stretch], least: float) -> Matches:
    """Errors and counts of the stretches that match at an overlap."""
    pairs = [(f, t) for f, t in zip(found, matched(found, true, least), strict=True) if t is not None]
    errors = [abs(f.start_s - t.start_s) / 2 + abs(f.end_s - t.end_s) / 2 for f, t in pairs]
    return Matches(
        float(np.mean(errors)) if errors else np.nan,
        len(pairs) / len(true),
        2 * len(pairs) / (len(found) + len(true)),
    )
