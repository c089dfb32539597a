"""The page of an evaluation, and the explanation of each of its clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kgclip.data.wording import printable
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation
from kgclip.engine.metrics import NUM_BINS
from kgclip.engine.predict import Recognizer
from kgclip.engine.provenance import provenance
from kgclip.engine.unknown import Threshold
from kgclip.files import atomic_folder
from kgclip.models.kgclip import Score
from kgclip.progress import progress_bar
from kgclip.report.clusters import page_groups
from kgclip.report.compose import compose, write_page
from kgclip.report.explanation_page import Links, explanation_page
from kgclip.report.intervals import NOTE, Bootstrap, top
from kgclip.report.pictures import fitted, webp
from kgclip.video.frames import read_clip

PAGE, CLIPS = "evaluation.html", "clips"
NUM_GUESSES = 3
TILE_WIDTH, TILE_HEIGHT, TILES = 72, 54, 4
# A picture in WebP is no larger; this is room for some 16,000 clips.
MOST_PIXELS = 16_383
LEAST_IN_A_ROW, MOST_IN_A_ROW = 4, MOST_PIXELS // (TILES * TILE_WIDTH)


def write_evaluation(
    folder: Path, checkpoint: Checkpoint, evaluation: Evaluation, scores: Mapping[int, Score], num_frames: int
) -> None:
    """Write ``evaluation.html`` and, in ``clips``, the explanation of every clip, into a folder that is not there yet.

    Args:
        folder: to write.
        checkpoint: the model, with its own image tower: clips are explained from their pixels.
        evaluation: the clips.
        scores: of all clips, by the number of frames that were read.
        num_frames: which of these the page is about.

    Raises:
        KgclipError: a clip cannot be read, or the model has no image tower.
    """
    recognizer = Recognizer(checkpoint)
    count = len(evaluation.clips)
    tiles = []
    with atomic_folder(folder) as temporary, progress_bar("explaining", count, "clips") as advance:
        for i, (clip, path) in enumerate(zip(evaluation.clips, evaluation.paths, strict=True)):
            links = Links(f"../{PAGE}", f"{i - 1}.html" if i else None, f"{i + 1}.html" if i + 1 < count else None)
            truth = checkpoint.actions[int(evaluation.labels[i])]
            pose = None if evaluation.poses is None else evaluation.poses.of(clip)
            explanation = recognizer.predict(path, frames=num_frames, pose=pose)
            page = explanation_page(explanation, clip_id=printable(clip), truth=truth, links=links)
            write_page(temporary / CLIPS / f"{i}.html", page)
            tiles.append(fitted(read_clip(path, TILES).images, TILE_HEIGHT, TILE_WIDTH))
            advance(1)
        data = evaluation_data(checkpoint, evaluation, scores, num_frames)
        data |= {"strips": film_sheet(tiles), "pages": f"{CLIPS}/"}
        write_page(temporary / PAGE, compose("evaluation", "Evaluation", data))


def evaluation_data(
    checkpoint: Checkpoint, evaluation: Evaluation, scores: Mapping[int, Score], num_frames: int
) -> dict[str, Any]:
    """What the page draws, but for its pictures: the format ``kgclip.evaluation/1`` (docs/explanation.md)."""
    labels, threshold = evaluation.labels, checkpoint.unknown
    bootstrap = Bootstrap(evaluation.sources)
    probability = checkpoint.model.probability(scores[num_frames])
    guesses = probability.topk(min(NUM_GUESSES, probability.shape[1]), dim=1)
    clips = [
        [printable(clip), int(label), [[k, round(p, 4)] for k, p in zip(ks, ps, strict=True)]]
        for clip, label, ks, ps in zip(
            evaluation.clips, labels, guesses.indices.tolist(), guesses.values.tolist(), strict=True
        )
    ]
    points = []
    for frames, score in sorted(scores.items()):
        value, interval = bootstrap.share(top(score.total, labels, 1))
        points.append([frames, *(round(number, 4) for number in (value, *interval))])
    return {
        "format": "kgclip.evaluation/1",
        "title": printable(Path(checkpoint.config.data).name),
        "actions": list(checkpoint.actions),
        "headline": measured_figures(checkpoint, evaluation, scores[num_frames]),
        "interval_note": NOTE,
        "threshold": None if threshold is None else {"value": round(threshold.value, 4), "from": str(threshold)},
        "clips": clips,
        "groups": page_groups(len(checkpoint.actions), clips),
        "frames_accuracy": [{"arm": "this model", "points": points}] if len(points) > 1 else [],
        "frames_used": num_frames,
        "provenance": provenance(checkpoint)
        | {"clips": len(clips), "sources": len(set(evaluation.sources)), "frames_read": num_frames},
    }


def measured_figures(checkpoint: Checkpoint, evaluation: Evaluation, score: Score) -> list[dict[str, Any]]:
    """The figures of an evaluation, each with its interval (see :func:`headline`)."""
    labels = evaluation.labels
    confidence = checkpoint.model.probability(score).max(dim=1).values
    among_five = top(score.total, labels, 5)
    return headline(evaluation.sources, confidence, top(score.total, labels, 1), checkpoint.unknown, among_five)


def headline(
    sources: Sequence[str],
    confidence: Float[Tensor, " B"],
    right: Bool[Tensor, " B"],
    threshold: Threshold | None,
    among_five: Bool[Tensor, " B"] | None = None,
) -> list[dict[str, Any]]:
    """The figures at the top of a page, each with its interval.

    Args:
        sources: of the clips.
        confidence: probability of their first action.
        right: whether that is their label.
        threshold: of "unknown", where the model has one.
        among_five: whether the label is among the first five, where that is known.
    """
    bootstrap = Bootstrap(sources)
    rows = [("top1", "Right first time", bootstrap.share(right), "share of clips whose action is ranked first")]
    if among_five is not None:
        what = "share of clips whose action is among the five highest"
        rows.append(("top5", "Among the first five", bootstrap.share(among_five), what))
    if threshold is not None:
        answered = confidence >= threshold.value
        what = "top-1 of the clips at or above the threshold"
        rows.append(("answered_top1", "Right when it answers", bootstrap.share(right, answered), what))
        what = "share of clips at or above the threshold; the rest is “unknown”"
        rows.append(("coverage", "Answers given", bootstrap.share(answered), what))
    what = f"mean distance of stated and true accuracy, {NUM_BINS} bins (ECE)"
    rows.append(("ece", "Calibration error", bootstrap.calibration_error(confidence, right), what))
    return [
        {
            "key": key,
            "label": label,
            "value": round(value, 4),
            "interval": [round(x, 4) for x in interval],
            "what": what,
        }
        for key, label, (value, interval), what in rows
    ]


def film_sheet(tiles: Sequence[UInt8[np.ndarray, "V H W 3"]]) -> dict[str, Any] | None:
    """All clips' frames in one picture, clips in rows, each clip's frames side by side; None where it has no room."""
    per_row = max(LEAST_IN_A_ROW, -(-len(tiles) * TILE_HEIGHT // MOST_PIXELS))
    if per_row > MOST_IN_A_ROW:
        return None
    rows = -(-len(tiles) // per_row)
    sheet = np.zeros((rows * TILE_HEIGHT, per_row * TILES * TILE_WIDTH, 3), dtype=np.uint8)
    for i, clip in enumerate(tiles):
        top_, left = i // per_row * TILE_HEIGHT, i % per_row * TILES * TILE_WIDTH
        sheet[top_ : top_ + TILE_HEIGHT, left : left + TILES * TILE_WIDTH] = np.concatenate(list(clip), axis=1)
    return {"src": webp(sheet), "tile": [TILE_WIDTH, TILE_HEIGHT], "frames": TILES, "per_row": per_row, "rows": rows}
