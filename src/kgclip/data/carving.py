"""Takes clips out of a pool a source at a time, so that every action comes close to its share."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from kgclip.data.clip import Clip


def groups_of(clips: Iterable[Clip], by_source: bool) -> list[list[Clip]]:
    """The clips of each source, or each clip alone, in the order of their names."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.source if by_source else clip.id].append(clip)
    return [groups[name] for name in sorted(groups)]


def without(clips: Sequence[Clip], taken: Iterable[Clip]) -> list[Clip]:
    """The clips that are not among those taken."""
    ids = {clip.id for clip in taken}
    return [clip for clip in clips if clip.id not in ids]


def share_of(fraction: float, total: int) -> int:
    """``fraction * total``, halves rounded up; the small term makes 0.15 * 10 such a half on every machine."""
    return int(np.floor(fraction * total + 0.5 + 1e-9))


def carve(
    pool: Sequence[Clip], fraction: float, by_source: bool, rng: np.random.Generator
) -> tuple[list[Clip], list[Clip]]:
    """Take about ``fraction`` of each action's clips, whole groups at a time, and leave every action one; and the rest.

    Groups come in random order; one is taken if that brings the actions' counts closer to their targets (relative
    squares), which are at least one clip for every action that has two. An action that this leaves without any gets
    its smallest group, if that is at most half of it.
    """
    groups = groups_of((clip for clip in pool if clip.action is not None), by_source)
    # A source with an unlabeled clip would be on two sides.
    if by_source:
        unlabeled = {clip.source for clip in pool if clip.action is None}
        groups = [group for group in groups if group[0].source not in unlabeled]
    totals = Counter(clip.action for clip in pool)
    targets = {action: max(1, share_of(fraction, total)) if total > 1 else 0 for action, total in totals.items()}
    taken: Counter = Counter()
    carved: list[Clip] = []

    def take(group: Sequence[Clip]) -> None:
        carved.extend(group)
        taken.update(clip.action for clip in group)

    rest = []
    for group in (groups[i] for i in rng.permutation(len(groups))):
        sizes = Counter(clip.action for clip in group)
        gain = sum(n * (2 * (targets[a] - taken[a]) - n) / max(targets[a], 1) ** 2 for a, n in sizes.items())
        if gain > 0 and all(taken[a] + n < totals[a] for a, n in sizes.items()):
            take(group)
        else:
            rest.append(group)
    for group in sorted(rest, key=len):
        sizes = Counter(clip.action for clip in group)
        missing = any(targets[a] and not taken[a] and 2 * n <= totals[a] for a, n in sizes.items())
        if missing and all(taken[a] + n < totals[a] for a, n in sizes.items()):
            take(group)
    return carved, without(pool, carved)


def deal(groups: Sequence[Sequence[Clip]], num_folds: int, rng: np.random.Generator) -> list[list[Clip]]:
    """Deal groups into folds, so that each fold has about its share of every action.

    The largest groups are placed first, each in the fold that has least of its actions. This is the greedy minimum of
    the sum over folds f and actions a of (count_fa / total_a)^2.
    """
    totals = Counter(clip.action for group in groups for clip in group)
    folds: list[list[Clip]] = [[] for _ in range(num_folds)]
    counts = [Counter() for _ in range(num_folds)]
    for group in sorted((groups[i] for i in rng.permutation(len(groups))), key=len, reverse=True):
        sizes = Counter(clip.action for clip in group)

        def crowding(fold: int, sizes: Counter = sizes) -> tuple[float, int]:
            return sum(n * counts[fold][a] / totals[a] ** 2 for a, n in sizes.items()), len(folds[fold])

        best = min(range(num_folds), key=crowding)
        folds[best] += group
        counts[best] += sizes
    return folds
