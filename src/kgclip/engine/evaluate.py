"""Evaluation on clips that training never saw."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.loader import Source, VideoSource, in_order
from kgclip.engine.calibration import area_under_risk_coverage, coverage_deciles, expected_calibration_error
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import pixels_of
from kgclip.engine.metrics import classification_report
from kgclip.engine.prepare import feature_source
from kgclip.engine.scoring import Scorer, Scores
from kgclip.errors import KgclipError, LeakageError

Part = Literal["test", "val"]


@dataclass(frozen=True)
class Evaluation:
    """Clips to evaluate on, their labels, and where their frames come from."""

    clips: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: Int[Tensor, " B"]
    features: FeatureFile | None


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
    trained = set(split.train) & set(chosen)
    if trained:
        raise LeakageError(
            f"{dataset.root}: {len(trained)} of its clips trained this model, such as {sorted(trained)[0]}; evaluate "
            "on clips it never saw"
        )
    checkpoint.graph.check_no_leakage(chosen, "evaluated")
    return tuple(chosen)


def open_evaluation(
    checkpoint: Checkpoint, data: Path, part: Part | None = None, features: Path | None = None
) -> Evaluation:
    """Open the clips to evaluate on and their labels.

    Raises:
        KgclipError: the data cannot be read, or a label is not among the model's actions.
    """
    # The annotations of the training may lie inside a folder of class folders; they are no class.
    annotations = checkpoint.config.annotations
    dataset = open_dataset(data, annotations if annotations is not None and annotations.is_dir() else None)
    clips = choose_clips(checkpoint, dataset, part)
    position = {name: index for index, name in enumerate(checkpoint.actions)}
    unknown = sorted({str(dataset.by_id[c].action) for c in clips} - position.keys())
    if unknown:
        raise KgclipError(
            f"{data}: {len(unknown)} of its labels are no actions of the model, such as {unknown[0]!r}; the model "
            f"knows {', '.join(checkpoint.actions[:5])} …"
        )
    labels = torch.tensor([position[str(dataset.by_id[c].action)] for c in clips])
    paths = tuple(dataset.by_id[c].path for c in clips)
    return Evaluation(clips, paths, labels, None if features is None else FeatureFile(features))


def frames_source(checkpoint: Checkpoint, evaluation: Evaluation, num_frames: int, workers: int) -> Source:
    """The clips' frames: cached features where given, else decoded pixels.

    Raises:
        KgclipError: the model takes features and none are given, or they are of another width, or lack a clip.
    """
    features, backbone = evaluation.features, checkpoint.model.backbone
    if features is not None:
        features.check_encoder(backbone.image_identity, backbone.frame_dim)
        return feature_source(features, evaluation.clips, num_frames)
    if "image" not in backbone.towers():
        raise KgclipError("the model takes features of frames, not pixels; give --features FILE (kgclip data features)")
    return VideoSource(evaluation.paths, num_frames, pixels_of(backbone), workers=workers)


def evaluate(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    *,
    frames: int | None = None,
    workers: int = 2,
    device: str = "cpu",
) -> tuple[dict[str, Any], Scores]:
    """Metrics of the fused output, with the probabilities as they are stated, and of both halves alone.

    Args:
        checkpoint: the model.
        evaluation: the clips.
        frames: T at test; None takes the number of training.
        workers: processes that decode.
        device: where the model runs.

    Returns:
        The report (fractions in [0, 1]) and the scores it was made from.
    """
    num_frames = frames or checkpoint.config.frames
    scorer = Scorer(checkpoint, device)
    source = frames_source(checkpoint, evaluation, num_frames, workers)
    started = time.monotonic()
    scores = scorer.score(scorer.embed_batches(source.batches(in_order(len(source), 16))))
    wall_s = time.monotonic() - started
    report = classification_report(scores.fused.cpu(), evaluation.labels, checkpoint.actions)
    probability = scorer.probability(scores.fused).cpu()

    def half(values: Float[Tensor, "B K"] | None) -> float | None:
        return None if values is None else float((values.argmax(dim=1).cpu() == evaluation.labels).float().mean())

    report |= {
        "ece": expected_calibration_error(probability, evaluation.labels),
        # Accuracy of the tenth, two tenths … of the clips that the model is surest of.
        "risk_coverage": coverage_deciles(probability, evaluation.labels),
        "aurc": area_under_risk_coverage(probability, evaluation.labels),
        "halves": {"mm": half(scores.mm), "tri": half(scores.tri)},
        "output": half(scores.output),
        "path": half(scores.path),
        "frames": num_frames,
        "path_weight": checkpoint.path_weight,
        "split_hash": checkpoint.split.hash,
        "graph_hash": checkpoint.graph.hash,
        "clips_per_s": len(source) / max(wall_s, 1e-9),
        "ms_per_clip": 1000 * wall_s / len(source),
    }
    return report, scores
