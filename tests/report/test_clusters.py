"""Groups of actions that are taken for each other."""

import numpy as np

from kgclip.report.clusters import MOST_IN_GROUP, MOST_TOGETHER, confused_groups, page_groups


def test_what_is_confused_is_together_and_most_confusion_first():
    given = np.diag([10.0] * 8)
    given[0, 1] = given[1, 0] = 2
    given[4, 5] = given[5, 6] = given[6, 4] = 4
    assert [sorted(group) for group in confused_groups(given)] == [[4, 5, 6], [0, 1]]


def test_groups_are_small_whatever_is_confused():
    given = np.ones((30, 30)) + np.diag([5.0] * 30)
    groups = confused_groups(given)
    assert max(map(len, groups)) <= MOST_IN_GROUP
    assert len({k for group in groups for k in group}) == sum(map(len, groups))


def test_actions_that_nothing_is_given_to_are_in_no_group():
    assert confused_groups(np.diag([3.0] * 5)) == []
    assert confused_groups(np.zeros((3, 3))) == []


def test_few_actions_are_shown_together():
    clips = [["a.mp4", 0, [[1, 0.9], [0, 0.1]]]]
    assert page_groups(MOST_TOGETHER, clips) == []
    assert [sorted(group) for group in page_groups(MOST_TOGETHER + 1, clips)] == [[0, 1]]
