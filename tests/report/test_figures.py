"""Pictures of results."""

import io
import itertools

from kgclip.report.figures import MOST_ACTIONS, confusion_figure, new_figure


def test_the_confusion_matrix_holds_counts_and_names():
    figure = confusion_figure({"push up": {"push up": 3, "squat": 1}}, ["push up", "squat"])
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["push up", "squat"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]


def test_of_many_actions_the_most_confused_are_shown():
    actions = [f"action {index}" for index in range(MOST_ACTIONS + 2)]
    recognized_as = {true: {true: 9, given: 2} for true, given in itertools.pairwise(actions)}
    recognized_as[actions[50]] = {actions[50]: 11}
    figure = confusion_figure(recognized_as, actions)
    axes = figure.axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    # Actions 0, 50, 51 and 101 are in two mistakes each, all others in four.
    missing = {"action 51", f"action {MOST_ACTIONS + 1}"}
    assert shown == [action for action in actions if action not in missing]
    assert axes.get_title() == "the 100 of 102 actions that are confused most often"
    assert axes.images[0].get_array()[0].tolist()[:2] == [9 / 11, 2 / 11]


def test_a_figure_needs_no_display():
    buffer = io.BytesIO()
    new_figure(2.0, 1.0).savefig(buffer, dpi=50)
    assert buffer.getvalue().startswith(b"\x89PNG")
