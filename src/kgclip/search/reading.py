"""Reads clips for an index, as `kgclip predict` does; longer ones in stretches of the length of training clips."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch.nn import functional as F

from kgclip.data.clip import id_of_file
from kgclip.engine.explain import read_windows, seen_spans
from kgclip.engine.explanation import ClipFacts
from kgclip.engine.film_pose import pose_between
from kgclip.engine.pose_reading import read_by_rule
from kgclip.engine.predict import TEXT_KINDS, Recognizer
from kgclip.models.kgclip import embed_texts
from kgclip.pose.annotate import observe
from kgclip.pose.keypoints import ClipPose
from kgclip.search.rows import Reading, Seen
from kgclip.video.decode import Video, open_video
from kgclip.video.sampling import segment_bounds, segment_indices

# Frames of a stretch that a sketch has, and pixels along their sides.
SKETCH_FRAMES, SKETCH_SIDE = 4, 8


class ClipReader:
    """Reads clips with one model.

    Args:
        recognizer: the model, with its encoder and its pose.
    """

    def __init__(self, recognizer: Recognizer):
        self.recognizer = recognizer
        self._frames = recognizer.checkpoint.config.frames
        self._clip_s: float | None = recognizer.checkpoint.summary.get("clip_s")

    @property
    def identity(self) -> dict[str, Any]:
        """What readings depend on, as plain JSON values: the model's hash, and where poses come from."""
        pose = self.recognizer.pose
        return {"model": self.recognizer.checkpoint.hash, "pose": None if pose is None else Path(pose.pose).name}

    def vocabulary(self) -> dict[str, Any]:
        """What can be asked of what this model reads, as plain JSON values (see :class:`search.query.Vocabulary`)."""
        checkpoint, path = self.recognizer.checkpoint, self.recognizer.model.path
        posed = self.recognizer.pose is not None
        by_rule = [posed and read_by_rule(name) is not None for name in checkpoint.movements]
        told = [path.readable and (s or r) for s, r in zip(path.seen_from.isfinite().tolist(), by_rule, strict=True)]
        return {
            "actions": list(checkpoint.actions),
            "movements": list(checkpoint.movements),
            "told": told,
            "definitions": [row.nonzero().flatten().tolist() for row in path.definitions],
            "text": self.recognizer.model.backbone.spec["kind"] in TEXT_KINDS,
        }

    @torch.no_grad()
    def read(self, path: Path) -> list[Reading]:
        """The stretches of a clip, in order of time.

        Raises:
            KgclipError: the file cannot be read.
        """
        source = self.recognizer.pose
        pose = None if source is None else observe(id_of_file(path), path, source)
        with open_video(path, threads=torch.get_num_threads()) as video:
            wanted = max(1, round(video.duration_s / self._clip_s)) if self._clip_s else 1
            starts, ends = segment_bounds(video.num_frames, min(wanted, video.num_frames))
            bounds = [*video.times_s(starts).tolist(), video.duration_s]
            return [
                self._stretch(
                    video,
                    first + segment_indices(last - first, self._frames),
                    (start_s, end_s),
                    _part(pose, start_s, end_s, len(starts)),
                )
                for first, last, start_s, end_s in zip(starts.tolist(), ends.tolist(), bounds, bounds[1:], strict=False)
            ]

    def _stretch(
        self, video: Video, rows: Int64[np.ndarray, " T"], stretch_s: tuple[float, float], pose: ClipPose | None
    ) -> Reading:
        images, times = video.read(rows), tuple(video.times_s(rows).tolist())
        recognizer, model = self.recognizer, self.recognizer.model
        features = recognizer.encoder.encode(images).to(recognizer.device).float()
        score = model(features[None], recognizer.pose_numbers(pose))
        seen: tuple[Seen, ...] = ()
        if score.path is not None:
            height, width = images.shape[1:3]
            facts = ClipFacts(video.fps, video.num_frames, video.duration_s, width, height, times, tuple(rows.tolist()))
            spans = seen_spans(recognizer.checkpoint, read_windows(model, features), facts, pose)
            seen = tuple(Seen(m, s.start_s, s.end_s, s.strength) for m, found in spans.items() for s in found)
        vector = F.normalize(features.mean(dim=0), dim=0).cpu().numpy()
        return Reading(*stretch_s, vector, model.probability(score)[0].cpu().numpy(), sketch(images), seen)

    @torch.no_grad()
    def text_vector(self, text: str) -> Float32[np.ndarray, " F"]:
        """The embedding of a text, at unit length, of a model that reads text."""
        return embed_texts(self.recognizer.model.backbone, [text])[0].cpu().numpy()


def _part(pose: ClipPose | None, start_s: float, end_s: float, count: int) -> ClipPose | None:
    """The pose of a stretch; of a clip that is one stretch, all of it."""
    if pose is None or count == 1:
        return pose
    part = pose_between(pose, start_s, end_s)
    return None if part is None else part.pose


def sketch(images: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, " P"]:
    """A few of these frames, gray, each the means of equal areas."""
    some = images[segment_indices(len(images), SKETCH_FRAMES)]
    gray = torch.from_numpy(some).float().mean(dim=-1)[:, None]
    return F.adaptive_avg_pool2d(gray, SKETCH_SIDE).round().to(torch.uint8).flatten().numpy()
