"""An experiment as data: which clips, which points of a protocol, which arms, how many seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kgclip.synthetic.actions import actions as scripts

DEFAULT_FRAMES = 8
# Validation clips are carved only where the image tower trains: all else is chosen on left-out training clips.
TOWER_VAL_FRACTION = 0.15
# The seeds below were looked at while the defaults were chosen; the synthetic clips of the others were not.
FIRST_UNTOUCHED_SEED = 5


@dataclass(frozen=True)
class Point:
    """One condition under which all arms of an experiment are compared.

    Attributes:
        name: as it stands in tables, such as "labels on 20 %".
        x: its place on the horizontal axis of a plot; None for a point that stands alone.
        label_fraction, train_fraction, shots: see :class:`kgclip.data.splits.SplitOptions`.
        frames: T in training.
        test_frames: every T that the trained arms are tested with.
        novel_fraction: share of the actions that lose all training clips (unseen actions).
        published: the published Kinetics-TPS split of that percentage, whose test part moves with it; needs
            ``DataSpec.splits``.
    """

    name: str
    x: float | int | None = None
    label_fraction: float = 1.0
    train_fraction: float = 1.0
    shots: int | None = None
    frames: int = DEFAULT_FRAMES
    test_frames: tuple[int, ...] = (DEFAULT_FRAMES,)
    novel_fraction: float = 0.0
    published: int | None = None


@dataclass(frozen=True)
class DataSpec:
    """Where the clips of an experiment come from.

    Attributes:
        name: as it stands in tables and file names.
        root: a data set on disk; None generates figures, another set for every seed.
        features: cached features of its frames; None makes them once, with the backbone's image tower.
        keypoints: keypoints of its clips, for the arms that read pose.
        annotations: part annotations that take the place of the data set's own.
        backbone: the model's backbone (see :class:`kgclip.config.ModelConfig`).
        text: folder of a sentence encoder for the names; None keeps the backbone's own text tower.
        pixels: train on pixels, image tower included, rather than on cached features.
        negative: figures are in negative, a look that no tower was pre-trained on (only without ``root``).
        splits: folder of published splits, split_20_train.txt and so on.
        folds: number of source-grouped folds, each the test part once; 0 takes the data set's own test part.
        part_noise: how often a figure's body part departs from its action's script (only without ``root``).
        clips_per_action: training clips of a synthetic action (only without ``root``).
        test_per_action: test clips of a synthetic action (only without ``root``).
    """

    name: str
    root: Path | None = None
    features: Path | None = None
    keypoints: Path | None = None
    annotations: Path | None = None
    backbone: str = "synthetic"
    text: str | None = None
    pixels: bool = False
    negative: bool = False
    splits: Path | None = None
    folds: int = 0
    part_noise: float = 0.2
    clips_per_action: int = 20
    test_per_action: int = 20

    @property
    def definitions(self) -> Mapping[str, frozenset[str]]:
        """The movements that somebody has written down for actions: the scripts of generated figures, and of no others.

        Real data may have actions of the same names, which do not follow these scripts.
        """
        if self.root is not None:
            return {}
        return {
            action: frozenset(" ".join(filter(None, (part, *doing))) for part, doing in script.items())
            for action, script in scripts().items()
        }


@dataclass(frozen=True)
class Experiment:
    """Data × arms × points × seeds.

    Attributes:
        name: of the preset.
        title: one line on what it asks.
        arms: names in :data:`experiments.arms.ARMS`.
        points: the protocol.
        against: the arm that all others are compared with, paired by seed.
        seeds: how many.
        metrics: the main ones, with differences in tables and plots; the rest is listed below them.
        axis: what x of the points is, with its unit.
        pixels: its arms train the image tower, on figures of few clips an action.
        negative: the frames of these figures are in negative.
        pose: its arms read pose, from ``DataSpec.keypoints``.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    points: tuple[Point, ...]
    against: str
    seeds: int = 10
    metrics: tuple[str, ...] = ("top1",)
    axis: str = ""
    pixels: bool = False
    negative: bool = False
    pose: bool = False

    @property
    def novel(self) -> bool:
        """Whether actions are without clips in it."""
        return any(point.novel_fraction > 0 for point in self.points)

    @property
    def published(self) -> bool:
        """Whether it takes published splits."""
        return any(point.published is not None for point in self.points)
