"""Results as pictures: a metric against the protocol's axis, or against the number of frames."""

from pathlib import Path

import polars as pl

from experiments.tables import label_of, scale_of
from kgclip.files import atomic_path

_MARKERS = "osD^vP*X<>"


def save_plot(summary: pl.DataFrame, metric: str, axis: str, file: Path) -> bool:
    """Draw one line an arm, with its intervals, as PNG; equal results give equal bytes.

    Args:
        summary: of :func:`experiments.summary.summarize`.
        metric: which.
        axis: what the horizontal axis is.
        file: the picture.

    Returns:
        Whether there was anything to draw: values at more than one x, or at more than one number of frames.
    """
    rows = summary.filter(pl.col("metric") == metric)
    column = next((name for name in ("x", "frames") if rows[name].drop_nulls().n_unique() > 1), None)
    if column is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes, scale = figure.subplots(), scale_of(metric)
    values = sorted(rows[column].drop_nulls().unique().to_list())
    for number, (arm, line) in enumerate(rows.group_by("arm", maintain_order=True)):
        line = line.sort(column)
        axes.errorbar(
            line[column].to_list(),
            (line["mean"] * scale).to_list(),
            yerr=(line["interval"].fill_null(0.0) * scale).to_list(),
            label=str(arm[0]),
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1.2,
            capsize=2,
        )
    if values[0] > 0 and values[-1] / values[0] >= 8:
        axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_xlabel(axis)
    axes.set_ylabel(label_of(metric))
    figure.legend(loc="outside right upper", fontsize=8)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    return True
