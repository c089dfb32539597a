"""Evaluation on clips that training never saw."""

import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.loader import Source, VideoSource, in_order, worker_deaths
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import pixels_of
from kgclip.engine.metrics import (
    area_under_risk_coverage,
    classification_report,
    coverage_deciles,
    expected_calibration_error,
    top_k,
)
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import feature_source
from kgclip.engine.unknown import Threshold, rates_at
from kgclip.errors import KgclipError, LeakageError
from kgclip.kg.names import did_you_mean
from kgclip.models.kgclip import KGCLIP, Score
from kgclip.video.cut import VideoPath, ends_of, interval_of

Part = Literal["test", "val"]


@dataclass(frozen=True)
class Evaluation:
    """Clips to evaluate on, their labels, the sources they were cut from, where their frames come from, their poses."""

    clips: tuple[str, ...]
    sources: tuple[str, ...]
    paths: tuple[VideoPath, ...]
    labels: Int[Tensor, " B"]
    features: FeatureFile | None
    poses: Poses | None = None

    @property
    def numbers(self) -> Float[Tensor, "B S"] | None:
        """Pose numbers of the clips, for a model that reads pose."""
        return None if self.poses is None else self.poses.numbers(self.clips)


def choose_clips(checkpoint: Checkpoint, dataset: DataSet, part: Part | None) -> tuple[str, ...]:
    """The clips of a data set to evaluate on.

    ``part`` None takes the test part of the model's split; where that has none, its validation part; where the data
    set is another one altogether, all its clips.

    Raises:
        KgclipError: the part is empty.
        LeakageError: a clip that the model was trained on is among them.
    """
    split = checkpoint.split
    here = dataset.by_id.keys()
    candidates = {"test": [c for c in split.test if c in here], "val": [c for c in split.val if c in here]}
    chosen = candidates[part] if part else candidates["test"] or candidates["val"] or list(here)
    if not chosen:
        raise KgclipError(
            f"{dataset.root}: holds no clip of the model's {part} part; leave --part out or give its data"
        )
    trained = seen_in_training(split, chosen)
    if trained:
        raise LeakageError(
            f"{dataset.root}: {len(trained)} of its clips trained this model, such as {sorted(trained)[0]}; give clips "
            "it never saw, or train with --split.test-fraction to hold some out"
        )
    checkpoint.graph.check_no_leakage(chosen, "evaluated")
    return tuple(chosen)


def seen_in_training(split: Split, clips: Collection[str]) -> set[str]:
    """Those of the clips that trained a model.

    A clip is known by its id. The same file may have more folders in its id here than there: then the last parts of the
    longer id must be the shorter one. Of a film that was cut by time, what overlaps was seen.
    """
    trained: dict[str, list[tuple[float, float]]] = defaultdict(list)
    by_end: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in split.train:
        film, *interval = interval_of(clip)
        trained[film].append((interval[0], interval[1]))
        for end in ends_of(film)[1:]:
            by_end[end].append((interval[0], interval[1]))

    def was_seen(clip: str) -> bool:
        film, start_s, end_s = interval_of(clip)
        same = [*trained.get(film, ()), *by_end.get(film, ())]
        same += [interval for end in ends_of(film)[1:] for interval in trained.get(end, ())]
        return any(start_s < end and start < end_s for start, end in same)

    return {clip for clip in clips if was_seen(clip)}


def open_evaluation(
    checkpoint: Checkpoint,
    data: Path,
    part: Part | None = None,
    features: Path | None = None,
    keypoints: Path | None = None,
) -> Evaluation:
    """Open the clips to evaluate on and their labels.

    Raises:
        KgclipError: the data cannot be read, a label is missing or not among the model's actions, or the model reads
            pose and the keypoints are missing or of another estimator.
    """
    poses = open_poses(checkpoint, keypoints)
    # The annotations of the training may lie inside a folder of class folders; they are no class.
    annotations = checkpoint.config.annotations
    annotations = annotations if annotations is not None and annotations.is_dir() else None
    dataset = open_dataset(data, annotations, checkpoint.config.source_pattern, checkpoint.actions)
    dataset.warn()
    clips = choose_clips(checkpoint, dataset, part)
    unlabeled = [c for c in clips if dataset.by_id[c].action is None]
    if unlabeled:
        raise KgclipError(f"{data}: {len(unlabeled)} of its clips have no label, such as {unlabeled[0]}; label them")
    position = {name: index for index, name in enumerate(checkpoint.actions)}
    unknown = sorted({str(dataset.by_id[c].action) for c in clips} - position.keys())
    if unknown:
        raise KgclipError(
            f"{data}: {len(unknown)} of its labels are no actions of the model, such as {unknown[0]!r}; the model "
            f"knows {', '.join(checkpoint.actions[:5])} …{did_you_mean(unknown[0], checkpoint.actions)}"
        )
    labels = torch.tensor([position[str(dataset.by_id[c].action)] for c in clips])
    paths = tuple(dataset.by_id[c].path for c in clips)
    if poses is not None:
        poses.check(clips)
    sources = tuple(dataset.by_id[c].source for c in clips)
    file = None if features is None else FeatureFile(features)
    return Evaluation(clips, sources, paths, labels, file, poses)


def open_poses(checkpoint: Checkpoint, keypoints: Path | None) -> Poses | None:
    """The keypoints that a model which reads pose asks for; None for one that does not.

    Raises:
        KgclipError: they are missing, or of another estimator; or the model reads no pose.
    """
    if keypoints is None:
        if checkpoint.pose is not None:
            raise KgclipError(
                f"--keypoints: this model reads pose by {checkpoint.pose['pose']}; give the keypoints.parquet that "
                "`kgclip annotate` wrote for these clips"
            )
        return None
    if checkpoint.pose is None:
        raise KgclipError(f"--keypoints {keypoints}: this model reads no pose; leave the option out")
    poses = Poses(keypoints)
    poses.check_origin(checkpoint.pose)
    return poses


def frames_source(checkpoint: Checkpoint, evaluation: Evaluation, num_frames: int, workers: int) -> Source:
    """The clips' frames: cached features where given, else decoded pixels.

    Raises:
        KgclipError: the model takes features and none are given, or they are of another encoder, or lack a clip.
    """
    features, backbone = evaluation.features, checkpoint.model.backbone
    if features is not None:
        features.check_encoder(backbone.image_identity, backbone.frame_dim)
        return feature_source(features, evaluation.clips, num_frames)
    return VideoSource(evaluation.paths, num_frames, pixels_of(backbone), workers=workers)


@worker_deaths()
@torch.no_grad()
def score_source(
    model: KGCLIP,
    source: Source,
    device: str | torch.device = "cpu",
    numbers: Float[Tensor, "B S"] | None = None,
) -> Score:
    """The scores of all clips of a source, with their pose numbers if they have any, on the CPU."""
    model = model.to(device).eval()
    scores = [
        model(batch.frames.to(device), None if numbers is None else numbers[batch.index].to(device))
        for batch in source.batches(in_order(len(source), 16))
    ]

    def joined(name: str) -> Any:
        values = [getattr(score, name) for score in scores]
        return None if values[0] is None else torch.cat(values).cpu()

    return Score(**{field.name: joined(field.name) for field in fields(Score)})


def evaluate(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    *,
    frames: int | None = None,
    workers: int = 2,
    device: str = "cpu",
) -> tuple[dict[str, Any], Score]:
    """Metrics of the score, with the probabilities as they are stated, and of each part alone.

    Args:
        frames: T at test; None takes the number of training.

    Returns:
        The report (fractions in [0, 1]) and the scores it was made from.
    """
    num_frames = checkpoint.config.frames if frames is None else frames
    source = frames_source(checkpoint, evaluation, num_frames, workers)
    started = time.monotonic()
    score = score_source(checkpoint.model, source, device, evaluation.numbers)
    wall_s = time.monotonic() - started
    labels = evaluation.labels
    probability = checkpoint.model.cpu().probability(score)

    def alone(values: Float[Tensor, "B K"] | None) -> float | None:
        return None if values is None else top_k(values, labels)

    report = classification_report(score.total, labels, checkpoint.actions)
    report |= {
        "ece": expected_calibration_error(probability, labels),
        "unknown": _unknown(checkpoint.unknown, probability, labels),
        # Accuracy of the tenth, two tenths … of the clips that the model is surest of.
        "risk_coverage": coverage_deciles(probability, labels),
        "aurc": area_under_risk_coverage(probability, labels),
        "parts": {name: alone(getattr(score, name)) for name in ("mm", "tri", "pose", "path")},
        "output": alone(score.output),
        "frames": num_frames,
        "split_hash": checkpoint.split.hash,
        "graph_hash": checkpoint.graph.hash,
        "model_hash": checkpoint.folder_hash or checkpoint.hash,
        "clips_per_s": len(source) / max(wall_s, 1e-9),
        "ms_per_clip": 1000 * wall_s / len(source),
    }
    return report, score


def _unknown(
    threshold: Threshold | None, probability: Float[Tensor, "B K"], labels: Int[Tensor, " B"]
) -> dict[str, Any] | None:
    """The model's threshold of "unknown", where it was chosen, and what it does on these clips."""
    if threshold is None:
        return None
    return {
        "below": threshold.value,
        "chosen_as": str(threshold),
        **asdict(rates_at(threshold.value, probability, labels)),
    }
