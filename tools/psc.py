"""The official Kinetics-TPS metric: accuracy conditioned on part-state correctness (PSC), as its 2021 evaluator counts.

docs/metrics.md defines it. The order of operations follows the evaluator, so that no comparison of floats falls
out another way.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment

from kgclip.errors import KgclipError
from tools.submission import Box, Frames, Human, read_annotations, read_submission

HUMAN_IOU = 0.5
PART_IOU = 0.3
STEPS = 10_000


@dataclass(frozen=True)
class PscReport:
    """The official score beside plain accuracy, which is another quantity.

    Attributes:
        score: area under accuracy with PSC ≥ t, over t; in [0, 0.9999].
        top1: share of videos with the right action, whatever their parts.
        mean_psc: mean PSC of all videos.
        num_videos, num_frames: that were scored.
    """

    score: float
    top1: float
    mean_psc: float
    num_videos: int
    num_frames: int


def evaluate_submission(submission: Path, annotations: Path, labels: Path | None = None) -> PscReport:
    """Score a submission against annotations.

    Args:
        submission: a zip file with ``pred_vid_result.json`` and ``pred_part_result.json``.
        annotations: a folder ``[<class>/]<video>/img_00001.json``.
        labels: a CSV of video,label; None takes the class folders of the annotations.

    Raises:
        KgclipError: either cannot be read, or the submission lacks an annotated video.
    """
    truth, predicted = read_annotations(annotations, labels), read_submission(submission)
    for what, held in (("action", predicted.actions), ("parts", predicted.frames)):
        missing = sorted(truth.actions.keys() - held.keys())
        if missing:
            raise KgclipError(
                f"{submission}: says nothing on the {what} of {len(missing)} of {len(truth.actions)} annotated videos, "
                f"such as {missing[0]!r}; the official evaluator takes complete submissions only"
            )
    videos = sorted(truth.actions)
    right = np.array([truth.actions[video] == predicted.actions[video] for video in videos])
    psc = np.array([part_state_correctness(truth.frames[video], predicted.frames[video]) for video in videos])
    return PscReport(
        score=float((right * steps_reached(psc)).sum() / (STEPS * len(videos))),
        top1=float(right.mean()),
        mean_psc=float(psc.mean()),
        num_videos=len(videos),
        num_frames=sum(len(frames) for frames in truth.frames.values()),
    )


def steps_reached(psc: Float64[np.ndarray, " V"]) -> Float64[np.ndarray, " V"]:
    """How many of the thresholds 1e-4 … 9999e-4 each PSC reaches: min(⌊1e4 · PSC⌋, 9999), free of rounding.

    The product may round across a whole number; comparing with the thresholds themselves does not.
    """
    return np.searchsorted(np.arange(1, STEPS) / STEPS, psc, side="right").astype(np.float64)


def part_state_correctness(truth: Frames, predicted: Frames) -> float:
    """PSC of a video: the mean over its annotated frames of the share of parts that are right, in [0, 1].

    A frame without annotated humans does not count, nor does one without annotated parts, unless its prediction is
    missing. A video without any frame that counts has 1.
    """
    total, count = 0.0, 0
    for number, humans in truth.items():
        if not humans:
            continue
        count += 1
        if number not in predicted:
            continue
        matches = match_humans(humans, predicted[number])
        num_parts = sum(len(human.parts) for human in humans)
        if num_parts == 0:
            count -= 1
            continue
        right = sum(_right_parts(human, matches[i]) if i in matches else 0.0 for i, human in enumerate(humans))
        total += right / num_parts
    return total / count if count else 1.0


def match_humans(truth: list[Human], predicted: list[Human]) -> dict[int, Human]:
    """The predicted human of each annotated one: the assignment with the largest sum of IoU, then those above 0.5.

    Boxes that do not meet count −1 in the sum, as they do in the official evaluator.
    """
    overlap = np.array([[iou(t.box, p.box) for p in predicted] for t in truth]).reshape(len(truth), len(predicted))
    rows, columns = linear_sum_assignment(1 - overlap)
    return {int(i): predicted[j] for i, j in zip(rows, columns, strict=True) if overlap[i, j] > HUMAN_IOU}


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes of whole pixels, both ends included; −1 if they have no pixel in common."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return -1.0
    areas = sum((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return width * height / (areas - width * height)


def _right_parts(truth: Human, predicted: Human) -> float:
    """Sum over the annotated parts of 1/N, N the number of proposals, where one of them is right."""
    total = 0.0
    for name, annotated in truth.parts.items():
        proposals = predicted.parts.get(name, ())
        if any(iou(box, b) >= PART_IOU and state == s for box, state in annotated for b, s in proposals):
            total += 1 / len(proposals)
    return total
