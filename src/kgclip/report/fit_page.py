"""The page of a fitted model: what it makes of training clips whose recordings it did not see."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from kgclip.data.dataset import DataSet
from kgclip.data.wording import printable
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.left_out import LeftOutClip, summarize
from kgclip.engine.provenance import provenance
from kgclip.kg.inspect import Finding
from kgclip.report.clusters import page_groups
from kgclip.report.compose import compose, write_page
from kgclip.report.evaluation_page import TILE_HEIGHT, TILE_WIDTH, TILES, film_sheet, headline
from kgclip.report.intervals import NOTE
from kgclip.report.pictures import fitted
from kgclip.video.frames import read_clip

PAGE = "report.html"


def write_report(file: Path, checkpoint: Checkpoint, dataset: DataSet, findings: Sequence[Finding]) -> None:
    """Write the page: what the model tells apart and confuses, which labels are doubtful, what would help most.

    Args:
        file: to write.
        checkpoint: the model.
        dataset: its clips.
        findings: what a check of the clips found.

    Raises:
        KgclipError: a clip cannot be read any more.
    """
    said = summarize(checkpoint.left_out).sentences(completed=checkpoint.summary["completed_clips"] > 0)
    notes = [*said, *(f"{f.severity}: {f.message}" for f in findings)]
    judged = [clip for clip in checkpoint.left_out if clip.judged]
    data = report_data(checkpoint, judged, {clip.id: clip.source for clip in dataset.clips})
    paths = {clip.id: clip.path for clip in dataset.clips}
    tiles = [fitted(read_clip(paths[clip.clip], TILES).images, TILE_HEIGHT, TILE_WIDTH) for clip in judged]
    data |= {"strips": film_sheet(tiles) if tiles else None, "notes": [printable(note) for note in notes]}
    write_page(file, compose("evaluation", "Fitted model", data))


def report_data(checkpoint: Checkpoint, judged: Sequence[LeftOutClip], sources: Mapping[str, str]) -> dict[str, Any]:
    """What the page draws, but for pictures and notes, in the format ``kgclip.evaluation/1`` (docs/explanation.md)."""
    position = {action: k for k, action in enumerate(checkpoint.actions)}
    clips = [
        [printable(clip.clip), position[str(clip.action)], [[position[name], p] for name, p in clip.guesses]]
        for clip in judged
    ]
    threshold = checkpoint.unknown
    figures = []
    if judged:
        confidence = torch.tensor([clip.probability for clip in judged])
        right = torch.tensor([clip.action == clip.recognized_as for clip in judged])
        figures = headline([sources[clip.clip] for clip in judged], confidence, right, threshold)
    return {
        "format": "kgclip.evaluation/1",
        "title": f"{printable(Path(checkpoint.config.data).name)}, each clip by a model that never saw its recording",
        "actions": list(checkpoint.actions),
        "headline": figures,
        "interval_note": NOTE,
        "threshold": None if threshold is None else {"value": round(threshold.value, 4), "from": str(threshold)},
        "clips": clips,
        "groups": page_groups(len(checkpoint.actions), clips),
        "frames_accuracy": [],
        "frames_used": checkpoint.config.frames,
        "provenance": provenance(checkpoint)
        | {
            "clips": len(clips),
            "sources": len({sources[clip.clip] for clip in judged}),
            "frames_read": checkpoint.config.frames,
        },
    }
