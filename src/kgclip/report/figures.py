"""Pictures of results."""

from collections.abc import Sequence
from typing import Any


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure that needs no display and no global state (inches)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def confusion_figure(confusion: Sequence[Sequence[int]], actions: Sequence[str]) -> Any:
    """The confusion matrix, colored by shares of the true action."""
    side = 3 + 0.28 * len(actions)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot()
    shares = [[n / max(1, sum(row)) for n in row] for row in confusion]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            if count:
                color = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, str(count), ha="center", va="center", fontsize=6, color=color)
    axes.set_xticks(range(len(actions)), actions, rotation=90, fontsize=7)
    axes.set_yticks(range(len(actions)), actions, fontsize=7)
    axes.set_xlabel("recognized as")
    axes.set_ylabel("true action")
    figure.colorbar(image, shrink=0.6, label="share of the true action")
    return figure
