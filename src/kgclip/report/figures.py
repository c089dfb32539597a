"""Pictures of results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

# A picture of more would be too large to read, or to be held in memory.
MOST_ACTIONS = 100


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure that needs no display and no global state (inches)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def confusion_figure(recognized_as: Mapping[str, Mapping[str, int]], actions: Sequence[str]) -> Any:
    """The confusion matrix, colored by shares of the true action.

    Args:
        recognized_as: number of clips of each true action by the action they were given.
        actions: in their order; of more than :data:`MOST_ACTIONS` those that are confused most often are shown.
    """
    num_actions = len(actions)
    actions = _most_confused(recognized_as, actions)
    confusion = [[recognized_as.get(true, {}).get(given, 0) for given in actions] for true in actions]
    clips = [sum(recognized_as.get(true, {}).values()) for true in actions]
    side = 3 + 0.28 * len(actions)
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot()
    shares = [[n / max(1, all_clips) for n in row] for row, all_clips in zip(confusion, clips, strict=True)]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            if count:
                color = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, str(count), ha="center", va="center", fontsize=6, color=color)
    # A name with dollar signs is no formula.
    axes.set_xticks(range(len(actions)), actions, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(range(len(actions)), actions, fontsize=7, parse_math=False)
    axes.set_xlabel("recognized as")
    axes.set_ylabel("true action")
    if len(actions) < num_actions:
        axes.set_title(f"the {len(actions)} of {num_actions:,} actions that are confused most often")
    figure.colorbar(image, shrink=0.6, label="share of the true action")
    return figure


def _most_confused(recognized_as: Mapping[str, Mapping[str, int]], actions: Sequence[str]) -> Sequence[str]:
    """At most :data:`MOST_ACTIONS`, in their order."""
    wrong: Counter[str] = Counter()
    for true, row in recognized_as.items():
        for given, count in row.items():
            if given != true:
                wrong[true] += count
                wrong[given] += count
    shown = set(sorted(actions, key=lambda action: -wrong[action])[:MOST_ACTIONS])
    return [action for action in actions if action in shown]
