"""Pictures of results."""

import io

from kgclip.report.figures import confusion_figure, new_figure


def test_the_confusion_matrix_holds_counts_and_names():
    figure = confusion_figure([[3, 1], [0, 0]], ["push up", "squat"])
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["push up", "squat"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]


def test_a_figure_needs_no_display():
    buffer = io.BytesIO()
    new_figure(2.0, 1.0).savefig(buffer, dpi=50)
    assert buffer.getvalue().startswith(b"\x89PNG")
