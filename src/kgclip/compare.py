"""Does the graph help on these clips? The same source-grouped splits for a plain baseline, CLIP only and KG-CLIP."""

import dataclasses
import logging
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor
from torch.nn import functional as F

from kgclip.config import TrainConfig, without_graph
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import Split, SplitOptions, group_folds
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.extract import extract_features
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import feature_source, prepare
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.completion import z_score
from kgclip.models.pooling import frame_statistics
from kgclip.models.pose_stream import has_pose, known_scales, standardized
from kgclip.progress import progress_bar
from kgclip.remains import scratch_folder

log = logging.getLogger(__name__)

PLAIN, CLIP_ONLY, KG_CLIP = "plain baseline", "CLIP only", "KG-CLIP"
CACHED_FRAMES = 16  # of each clip
# Candidate penalties of the plain baseline, as somebody gives them to scikit-learn: np.logspace(0, 5, 11).
PENALTIES = tuple(10.0 ** (power / 2) for power in range(11))


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the half-width of its 95 % confidence interval by Student's t; NaN for a single value."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        return float(array.mean()), math.nan
    quantile = stdtrit(len(array) - 1, 0.975)
    return float(array.mean()), float(quantile * array.std(ddof=1) / math.sqrt(len(array)))


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        top1: of each arm, one share of right answers a seed, over the test clips of all folds.
        folds: test parts a seed; together they hold every clip once.
        clips, actions: how many there are.
    """

    top1: dict[str, tuple[float, ...]]
    folds: int
    clips: int
    actions: int

    def difference(self, arm: str, other: str) -> tuple[float, float]:
        """Mean and 95 % half-width of one arm minus another, paired by seed."""
        return mean_and_interval([a - b for a, b in zip(self.top1[arm], self.top1[other], strict=True)])

    def verdict(self) -> str:
        """The answer in words."""
        seeds = len(self.top1[KG_CLIP])
        words = {other: in_words(*self.difference(KG_CLIP, other), "+") for other in (CLIP_ONLY, PLAIN)}
        best = max((CLIP_ONLY, PLAIN), key=lambda name: float(np.mean(self.top1[name])))
        mean, half = self.difference(KG_CLIP, best)
        if math.isnan(half):
            answer = "One seed says nothing about chance; give --seeds 5"
        elif abs(mean) <= half:
            answer = "On these clips the graph makes no difference beyond chance"
        elif mean > 0:
            answer = "On these clips the graph helps"
        else:
            answer = "On these clips the graph hurts: recognize without it (kgclip train --model.no-graph)"
        return (
            f"{answer}. KG-CLIP minus CLIP only: {words[CLIP_ONLY]} points; minus the plain baseline: {words[PLAIN]} "
            f"({seeds} seeds of {self.folds} folds). All seeds share these {self.clips} clips: the intervals say "
            "nothing about other data."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; shares in [0, 1], an interval of a single seed is null."""
        arms = {name: _pair(*mean_and_interval(values)) | {"seeds": values} for name, values in self.top1.items()}
        differences = {other: _pair(*self.difference(KG_CLIP, other)) for other in (CLIP_ONLY, PLAIN)}
        counts = {"folds": self.folds, "clips": self.clips, "actions": self.actions}
        return counts | {"top1": arms, "kg_clip_minus": differences, "verdict": self.verdict()}


def in_words(mean: float, half: float, sign: str = "") -> str:
    """A share and its half-width in percent, such as 61.0 ± 2.8."""
    return f"{100 * mean:{sign}.1f}" if math.isnan(half) else f"{100 * mean:{sign}.1f} ± {100 * half:.1f}"


def _pair(mean: float, half: float) -> dict[str, float | None]:
    return {"mean": mean, "interval": None if math.isnan(half) else half}


def solve_ridge(x: Float[Tensor, "N S"], y: Float[Tensor, "N P"]) -> tuple[Float[Tensor, "P S"], Float[Tensor, " P"]]:
    """Weight and bias of ridge regression, with the penalty of the least squared leave-one-out error.

    The error without row i is ``(y_i − ŷ_i) / (1 − H_ii)`` with the hat matrix H, so that one eigendecomposition of the
    rows' products serves every penalty.
    """
    x_mean, y_mean = x.double().mean(dim=0), y.double().mean(dim=0)
    rows, target = x.double() - x_mean, y.double() - y_mean
    squares, vectors = torch.linalg.eigh(rows @ rows.T)
    squares, projected = squares.clamp(min=0), vectors.T @ target
    best, least = target, math.inf
    for penalty in PENALTIES:
        # y - ŷ is the penalty times the dual solution; 1/N of the leverage is that of the mean.
        dual = vectors @ (projected / (squares + penalty)[:, None])
        leverage = (vectors.square() * (squares / (squares + penalty))).sum(dim=1) + 1 / len(x)
        error = float((penalty * dual / (1 - leverage)[:, None]).square().mean())
        if error < least:
            best, least = dual, error
    weight = best.T @ rows
    return weight.to(x.dtype), (y_mean - weight @ x_mean).to(x.dtype)


def plain_baseline(
    train: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"], test: Float[Tensor, "B S"]
) -> Float[Tensor, "B K"]:
    """What ``make_pipeline(StandardScaler(), RidgeClassifierCV(alphas))`` of scikit-learn says of test clips."""
    mean, scale = train.mean(dim=0), train.std(dim=0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    return F.linear((test - mean) / scale, *solve_ridge((train - mean) / scale, onehot))


def clip_frames(features: FeatureFile, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B T F"]:
    """Features of T frames of each clip, from the centers of equal segments."""
    source = feature_source(features, clips, num_frames)
    return next(iter(source.batches([list(range(len(clips)))]))).frames


@torch.no_grad()
def scores_of(
    checkpoint: Checkpoint, frames: Float[Tensor, "B T F"], numbers: Float[Tensor, "B S"] | None = None
) -> tuple[Tensor, Tensor]:
    """Logits [B, K] of the model's actions, and the estimated shares [B, M] of its movements.

    Args:
        checkpoint: the model.
        frames: features of frames of the clips.
        numbers: pose numbers of the clips, for a model that reads pose.
    """
    score = checkpoint.model(frames, numbers)
    return score.total / checkpoint.model.temperature, score.shares


def encode_clips(
    dataset: DataSet, backbone: str, out: Path, *, workers: int, keep_going: bool = False, show_progress: bool
) -> None:
    """Write features of the frames of all clips by the image tower of a backbone.

    Raises:
        KgclipError: the backbone has no image tower, or a video cannot be read (unless ``keep_going``).
    """
    model = load_backbone(backbone)
    if "image" not in model.towers():
        raise KgclipError(f"--backbone {backbone}: takes features, not pixels; give --features FILE")
    paths = {clip.id: clip.path for clip in dataset.clips}
    options = {"workers": workers, "keep_going": keep_going, "progress": show_progress}
    extract_features(backbone_encoder(model), paths, CACHED_FRAMES, out, **options)


def compare(config: TrainConfig, seeds: int, folds: int, *, show_progress: bool = True) -> Comparison:
    """Train and test every arm on the same source-grouped folds, once a seed.

    The plain baseline learns from all clips outside the fold; the others carve their validation clips from these. With
    keypoints every arm reads pose too; the plain baseline then adds the z-scores of a second one, on pose numbers. A
    test part that the data set prescribes is left alone.

    Args:
        config: of KG-CLIP; ``out`` and ``split`` are not used, and without ``features`` the frames are encoded once.
        seeds, folds: how many splits, and test parts of each (at least 2).
        show_progress: progress bars on stderr.

    Raises:
        KgclipError: the data cannot be read or cut so, or nothing is known of its movements.
    """
    if seeds < 1:
        raise KgclipError(f"--seeds {seeds}: is too small; give 1 or more")
    dataset = open_dataset(config.data, config.annotations, config.source_pattern)
    if dataset.annotations is None and config.definitions is None:
        raise KgclipError(
            f"{config.data}: no movement is known for these clips, so that there is no graph to compare with; give "
            "--annotations (`kgclip annotate` makes them) or --definitions"
        )
    _check_repeated(dataset)
    group_folds(dataset, folds, 0)
    poses = None if config.keypoints is None else Poses(config.keypoints)
    right: dict[str, list[float]] = {PLAIN: [], CLIP_ONLY: [], KG_CLIP: []}
    with scratch_folder("compare") as folder:
        if config.features is None:
            file = folder / "features.safetensors"
            options = {"keep_going": config.keep_going, "show_progress": show_progress}
            encode_clips(dataset, config.model.backbone, file, workers=2, **options)
            config = dataclasses.replace(config, features=file)
        if config.keep_going:
            dataset = _encoded(dataset, config)
        with progress_bar("comparing", seeds * folds, "folds", show=show_progress) as advance:
            for seed in range(seeds):
                counts, total = dict.fromkeys(right, 0), 0
                for split in group_folds(dataset, folds, seed):
                    for arm, count in _one_fold(config, dataset, split, seed, folder, poses):
                        counts[arm] += count
                    total += len(split.test)
                    advance(1)
                for arm, count in counts.items():
                    right[arm].append(count / total)
    clips = sum(clip.part != "test" and clip.action is not None for clip in dataset.clips)
    return Comparison({arm: tuple(values) for arm, values in right.items()}, folds, clips, len(dataset.actions))


def _check_repeated(dataset: DataSet) -> None:
    """Refuse data in which no test clip's action could have a training clip: sources are never cut."""
    sources: dict[str, set[str]] = defaultdict(set)
    for clip in dataset.clips:
        if clip.action is not None and clip.part != "test":
            sources[clip.action].add(clip.source)
    if all(len(of_action) < 2 for of_action in sources.values()):
        raise KgclipError(
            f"{dataset.root}: no action has labeled clips of two recordings, so that none can be learned from one and "
            "tested on another; add clips of other recordings"
        )


def _encoded(dataset: DataSet, config: TrainConfig) -> DataSet:
    """The clips that have features; the others are warned of."""
    assert config.features is not None
    skipped = FeatureFile(config.features).skipped
    for clip, reason in skipped.items():
        log.warning("%s: left out: %s", clip, reason)
    return dataclasses.replace(dataset, clips=tuple(clip for clip in dataset.clips if clip.id not in skipped))


def _one_fold(
    config: TrainConfig, dataset: DataSet, split: Split, seed: int, folder: Path, poses: Poses | None
) -> Iterator[tuple[str, int]]:
    """How many test clips of a fold each arm gets right."""
    split.save(folder / "split.json")
    config = dataclasses.replace(config, split=SplitOptions(file=folder / "split.json", seed=seed), seed=seed)
    actions, frames = dataset.actions, config.frames
    assert config.features is not None
    features = FeatureFile(config.features)

    def labels(clips: tuple[str, ...]) -> Tensor:
        return torch.tensor([actions.index(str(dataset.by_id[clip].action)) for clip in clips])

    answers, test = labels(split.test), clip_frames(features, split.test, frames)
    known = (*split.labelled, *split.val)
    onehot = F.one_hot(labels(known), len(actions)).float()
    statistics = frame_statistics(clip_frames(features, known, frames))
    plain, numbers = plain_baseline(statistics, onehot, frame_statistics(test)), None
    if poses is not None:
        numbers = poses.numbers(split.test)
        plain = z_score(plain) + z_score(_plain_by_pose(poses.numbers(known), onehot, numbers))
    yield PLAIN, _right(plain, answers)
    for arm, changed in ((CLIP_ONLY, without_graph(config)), (KG_CLIP, config)):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            changed = dataclasses.replace(changed, out=Path(place) / "model")
            checkpoint = train(changed, prepared=prepare(changed), poses=poses, show_progress=False)
        # An action may be known by its definition alone, or have no clip outside the fold.
        places = {action: place for place, action in enumerate(checkpoint.actions)}
        own = torch.tensor([places.get(actions[answer], -1) for answer in answers.tolist()])
        yield arm, _right(scores_of(checkpoint, test, numbers)[0], own)


def _plain_by_pose(
    train: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"], test: Float[Tensor, "B S"]
) -> Float[Tensor, "B K"]:
    """The plain baseline on pose numbers, unknown ones at their mean; nothing is said of clips without a pose."""
    scales = known_scales(train)
    values = plain_baseline(standardized(train, *scales), onehot, standardized(test, *scales))
    return values * has_pose(test)[:, None]


def _right(scores: Float[Tensor, "B K"], answers: Tensor) -> int:
    return int((scores.argmax(dim=1) == answers).sum())
