"""The experiments by name."""

from kgclip.experiments.protocol import Experiment, Point

PRESETS: dict[str, Experiment] = {
    "few-labels": Experiment(
        name="few-labels",
        title="Action labels on a part of the training clips, movements on all of them",
        arms=("ridge",),
        points=tuple(
            Point(f"labels on {percent} %", x=percent, label_fraction=percent / 100) for percent in (5, 10, 20, 40)
        ),
        against="ridge",
    ),
}
