"""Prediction on video files, with what supports it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kgclip.data.dataset import VIDEO_EXTENSIONS
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import FrameEncoder, backbone_encoder, check_encoder
from kgclip.engine.scoring import Scorer, Scores
from kgclip.errors import KgclipError
from kgclip.video.frames import read_clip

# A movement is looked for in windows of this many of the sampled frames, since many are visible only over time.
WINDOW = 4
MAX_MOVEMENTS = 10
MAX_TRIPLETS = 8


class Recognizer:
    """Recognizes actions in video files and says why.

    Args:
        checkpoint: a trained model.
        encoder: the encoder of a model that takes features; models with an image tower bring their own.
        device: where the model runs.
    """

    def __init__(self, checkpoint: Checkpoint, *, encoder: FrameEncoder | None = None, device: str = "cpu"):
        self.checkpoint = checkpoint
        self.scorer = Scorer(checkpoint, device)
        backbone = checkpoint.model.backbone
        if encoder is None:
            if "image" not in backbone.towers():
                raise KgclipError(
                    "the model takes features of frames, not pixels; give the encoder that made them with --encoder"
                )
            encoder = backbone_encoder(backbone)
        else:
            check_encoder(encoder, backbone)
        self.encoder = encoder
        self.shares = checkpoint.shares()

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> "Recognizer":
        """Load the folder that training wrote.

        Raises:
            KgclipError: it is not a model folder, or damaged.
        """
        return cls(Checkpoint.load(Path(folder)), **options)

    def predict(self, file: str | Path, *, frames: int | None = None, top: int = 5) -> dict[str, Any]:
        """The ranked actions of one video file and what supports the first.

        Args:
            file: a video.
            frames: T, from equal segments; None takes the number of training.
            top: how many actions.

        Returns:
            ``file``; ``actions`` (``action``, ``probability``, ``s_mm``, ``s_tri``, ``s_path`` …, ranked);
            ``movements`` seen (``movement``, its ``evidence``: estimated share of the clip, ``time_s`` where it is
            strongest);
            ``triplets`` that support the first action, with their ``contribution`` to its value.

        Raises:
            KgclipError: the file cannot be read.
        """
        num_frames = frames or self.checkpoint.config.frames
        clip = read_clip(Path(file), num_frames, threads=torch.get_num_threads())
        return self.predict_frames(str(file), clip.images, clip.times_s.tolist(), top=top)

    def predict_frames(
        self, file: str, images: UInt8[np.ndarray, "T H W 3"], times: Sequence[float], *, top: int = 5
    ) -> dict[str, Any]:
        """As :meth:`predict`, of frames that are decoded already (RGB) and their times in seconds."""
        features = self.encoder.encode(images)
        scores = self.scorer.score(self.scorer.embed(features[None]))
        result: dict[str, Any] = {"file": file, "actions": self._actions(scores, top)}
        if self.checkpoint.movements:
            windows = self._windows(features)
            result["movements"] = self._movements(scores, windows, times)
            result["triplets"] = self._triplets(scores, result["actions"][0]["action"], file)
        else:
            result |= {"movements": [], "triplets": []}
        return result

    def _actions(self, scores: Scores, top: int) -> list[dict[str, Any]]:
        probability = self.scorer.probability(scores.fused)[0]
        rows = []
        for k in probability.argsort(descending=True)[:top].tolist():
            row: dict[str, Any] = {"action": self.checkpoint.actions[k], "probability": float(probability[k])}
            row["s_mm"] = float(scores.mm[0, k])
            row["s_tri"] = None if scores.tri is None else float(scores.tri[0, k])
            row["s_path"] = None if scores.path is None else float(scores.path[0, k])
            row["fused"] = float(scores.fused[0, k])
            rows.append(row)
        return rows

    def _windows(self, features: Float[Tensor, "T F"]) -> list[tuple[int, int, Tensor]]:
        """Evidence of every movement in windows of the sampled frames: (first, last, [M])."""
        length = min(WINDOW, len(features))
        starts = range(0, len(features) - length + 1, max(1, length // 2))
        windows = self.scorer.embed(torch.stack([features[s : s + length] for s in starts]))
        evidence = self.scorer.movement_evidence(windows)
        return [(s, s + length - 1, row) for s, row in zip(starts, evidence, strict=True)]

    def _movements(self, scores: Scores, windows: list, times: Sequence[float]) -> list[dict[str, Any]]:
        evidence = scores.evidence[0]
        rows = []
        for m in evidence.argsort(descending=True)[:MAX_MOVEMENTS].tolist():
            first, last, _ = max(windows, key=lambda window: float(window[2][m]))
            rows.append(
                {
                    "movement": self.checkpoint.movements[m],
                    "evidence": float(evidence[m]),
                    "time_s": [round(times[first], 2), round(times[last], 2)],
                }
            )
        return rows

    def _triplets(self, scores: Scores, action: str, file: str) -> list[dict[str, Any]]:
        """The two-step paths clip –shows→ movement ←consists_of– action, by what they add to the action's value.

        Where path evidence is part of the fusion, all contributions (not only these) sum to what it adds.
        """
        k = self.checkpoint.actions.index(action)
        contribution = self.scorer.contributions(scores, k)[0]
        known = self.shares[k] > 0
        ranked = contribution.cpu().masked_fill(~known, float("-inf")).argsort(descending=True)
        return [
            {
                "head": Path(file).name,
                "relation": "shows",
                "movement": self.checkpoint.movements[m],
                "evidence": float(scores.evidence[0, m]),
                "action": action,
                "share": float(self.shares[k, m]),
                "contribution": float(contribution[m]),
            }
            for m in ranked[: min(MAX_TRIPLETS, int(known.sum()))].tolist()
        ]

    def predict_many(self, files: Sequence[str | Path], **options: Any) -> Iterator[dict[str, Any]]:
        """Predictions of files and folders; a file that cannot be read gives ``{"file", "error"}`` and is skipped."""
        for file in find_videos(files):
            try:
                yield self.predict(file, **options)
            except KgclipError as error:
                yield {"file": str(file), "error": str(error)}


def find_videos(files: Sequence[str | Path]) -> Iterator[Path]:
    """Files as they are, folders as the videos in them (recursively, sorted); an empty folder stands for itself."""
    for file in map(Path, files):
        inside = sorted(p for p in file.rglob("*") if p.suffix.lower() in VIDEO_EXTENSIONS) if file.is_dir() else []
        yield from inside or [file]
