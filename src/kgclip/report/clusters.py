"""Actions in groups of those that are taken for each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.cluster.hierarchy import linkage, to_tree
from scipy.spatial.distance import squareform

MOST_TOGETHER = 60
"""Of more actions than this, a page begins with groups."""
MOST_IN_GROUP = 16
LEAST_CONFUSED = 0.02
"""Of the clips of an action, at least this share is given to another of its group, on average."""


def page_groups(actions: int, clips: Sequence[Sequence[Any]]) -> list[list[int]]:
    """The groups of a page's clips, as `kgclip.evaluation/1` has them; none where all actions fit together.

    Args:
        actions: their number, K.
        clips: id, action, and the first guesses with their probabilities.
    """
    if actions <= MOST_TOGETHER:
        return []
    given = np.zeros((actions, actions))
    for _, action, guesses in clips:
        for guess, probability in guesses:
            given[action, guess] += probability
    return confused_groups(given)


def confused_groups(given: Float[np.ndarray, "K K"]) -> list[list[int]]:
    """Groups of actions that are taken for each other, those with most confusion first.

    Actions are joined by average linkage: two are as near as the larger share of their clips that is given to the
    other. Groups are the largest of the tree with at most `MOST_IN_GROUP` actions and at least `LEAST_CONFUSED` between
    the two branches. An action that is confused with none is in no group.

    Args:
        given: how much of the clips of an action (row) is given to each (column).
    """
    shares = given / np.maximum(given.sum(axis=1, keepdims=True), 1e-9)
    near = np.maximum(shares, shares.T)
    distance = 1 - near.clip(0, 1)
    np.fill_diagonal(distance, 0)
    groups = list[list[int]]()
    waiting: list[Any] = [to_tree(linkage(squareform(distance, checks=False), "average"))]
    while waiting:
        node = waiting.pop()
        if node.is_leaf():
            continue
        if node.get_count() <= MOST_IN_GROUP and node.dist <= 1 - LEAST_CONFUSED:
            # In the order of the tree, those that are confused most are side by side.
            groups.append([int(leaf) for leaf in node.pre_order()])
        else:
            waiting += [node.get_left(), node.get_right()]
    confusion = given * (1 - np.eye(len(given)))
    return sorted(groups, key=lambda group: (-float(confusion[np.ix_(group, group)].sum()), group))
