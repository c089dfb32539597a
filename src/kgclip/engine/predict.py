"""Prediction on video files, with what supports it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kgclip.config import ModelConfig, PromptConfig, TrainConfig
from kgclip.data.clip import VIDEO_EXTENSIONS, clip_id
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint, choose_device
from kgclip.engine.encoder import FrameEncoder, backbone_encoder, check_encoder
from kgclip.engine.poses import numbers_of, pose_source
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.names import did_you_mean, spelling_key
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import Score, embed_texts, unsolved_model
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.keypoints import ClipPose
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
        pose: where poses come from; None leaves pose out.
        device: where the model runs.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        encoder: FrameEncoder | None = None,
        pose: PoseSource | None = None,
        device: str = "cpu",
    ):
        self.checkpoint, self.device, self.pose = checkpoint, choose_device(device), pose
        self.model = checkpoint.model.to(self.device).eval()
        if encoder is not None:
            check_encoder(encoder, self.model.backbone)
        self.encoder = backbone_encoder(self.model.backbone) if encoder is None else encoder

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, pose: str | None = None, **options: Any) -> "Recognizer":
        """Load the folder that training wrote.

        Args:
            folder: of the model.
            pose: of a model that reads pose: its estimator, or keypoints of the clips; "none" leaves pose out, None
                takes the estimator in the folder.
            options: as of the class.

        Raises:
            KgclipError: it is not a model folder, or damaged, or its estimator is not there.
        """
        checkpoint = Checkpoint.load(Path(folder))
        return cls(checkpoint, pose=pose_source(checkpoint.pose, pose, Path(folder)), **options)

    @classmethod
    def from_names(cls, backbone: str, actions: Sequence[str], **options: Any) -> "Recognizer":
        """A recognizer of actions by their names alone, nothing trained: a CLIP's cosines of clip and prompt.

        Args:
            backbone: name or folder of a CLIP or SigLIP model.
            actions: names.
            options: as of the class.

        Raises:
            KgclipError: the backbone cannot be loaded, does not know names, or there are fewer than two of them.
        """
        return cls(_named_checkpoint(backbone, actions), **options)

    def predict(
        self, file: str | Path, *, frames: int | None = None, top: int = 5, actions: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The ranked actions of one video file and what supports the first.

        Args:
            file: a video.
            frames: T, from equal segments; None takes the number of training.
            top: how many actions.
            actions: the only candidates; none takes all actions of the model.

        Returns:
            ``file``; ``actions`` (``action``, ``probability``, ``s_mm``, ``s_tri``, ``s_pose``, ``s_path``, ``score``,
            ranked); ``movements`` read (``movement``, its ``share`` of the clip, the share of the average clip,
            ``time_s`` where it is strongest); ``triplets`` that support the first action, with their ``contribution``
            to its score. The last two are empty where the model cannot read movements.

        Raises:
            KgclipError: the file cannot be read, or an action is none of the model's.
        """
        num_frames = self.checkpoint.config.frames if frames is None else frames
        path = Path(file)
        clip = read_clip(path, num_frames, threads=torch.get_num_threads())
        pose = None if self.pose is None else observe(clip_id(path.name), path, self.pose)
        return self.predict_frames(str(file), clip.images, clip.times_s.tolist(), top=top, actions=actions, pose=pose)

    @torch.no_grad()
    def predict_frames(
        self,
        file: str,
        images: UInt8[np.ndarray, "T H W 3"],
        times: Sequence[float],
        *,
        top: int = 5,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> dict[str, Any]:
        """As :meth:`predict`, of frames that are decoded already (RGB), their times in seconds, and the clip's pose."""
        chosen = self._chosen(actions)
        features = self.encoder.encode(images).to(self.device)
        numbers = None if pose is None else numbers_of([pose]).to(self.device)
        score = self.model(features[None].float(), numbers)
        result: dict[str, Any] = {"file": file, "actions": self._actions(score, chosen, top)}
        if score.path is None:
            return result | {"movements": [], "triplets": []}
        result["movements"] = self._movements(score, features.float(), times)
        result["triplets"] = self._triplets(score, result["actions"][0]["action"], file)
        return result

    def _chosen(self, actions: Sequence[str]) -> Bool[Tensor, " K"] | None:
        if not actions:
            return None
        known = self.checkpoint.actions
        keys = {spelling_key(name) for name in known}
        unknown = [name for name in actions if spelling_key(name) not in keys]
        if unknown:
            raise KgclipError(
                f"--actions {unknown[0]}: is no action of the model, which knows {', '.join(known[:8])}"
                f"{', …' * (len(known) > 8)}{did_you_mean(unknown[0], known)}"
            )
        wanted = {spelling_key(name) for name in actions}
        return torch.tensor([spelling_key(name) in wanted for name in known], device=self.device)

    def _actions(self, score: Score, chosen: Bool[Tensor, " K"] | None, top: int) -> list[dict[str, Any]]:
        probability = self.model.probability(score, chosen)[0]
        count = len(probability) if chosen is None else int(chosen.sum())
        defined = self.model.path.defined

        def value(part: Float[Tensor, "B K"] | None, k: int) -> float | None:
            return None if part is None else float(part[0, k])

        return [
            {
                "action": self.checkpoint.actions[k],
                "probability": float(probability[k]),
                # Nothing but its movements speaks for an action that is known by its definition alone.
                "s_mm": None if defined[k] else value(score.mm, k),
                "s_tri": None if defined[k] else value(score.tri, k),
                "s_pose": None if defined[k] else value(score.pose, k),
                "s_path": value(score.path, k),
                "score": value(score.total, k),
            }
            for k in probability.argsort(descending=True)[: min(top, count)].tolist()
        ]

    def _movements(self, score: Score, features: Float[Tensor, "T F"], times: Sequence[float]) -> list[dict[str, Any]]:
        """The movements whose share is most above that of the average training clip, and when each is strongest."""
        length = min(WINDOW, len(features))
        starts = range(0, len(features) - length + 1, max(1, length // 2))
        windows = self.model(torch.stack([features[s : s + length] for s in starts])).shares
        baseline = self.model.path.baseline
        rows = []
        above = score.shares[0] - baseline
        for m in above.argsort(descending=True)[: min(MAX_MOVEMENTS, int((above > 0).sum()))].tolist():
            first = list(starts)[int(windows[:, m].argmax())]
            rows.append(
                {
                    "movement": self.checkpoint.movements[m],
                    "share": float(score.shares[0, m]),
                    "average": float(baseline[m]),
                    "time_s": [round(times[first], 2), round(times[first + length - 1], 2)],
                }
            )
        return rows

    def _triplets(self, score: Score, action: str, file: str) -> list[dict[str, Any]]:
        """The two-step paths clip –shows→ movement ←consists_of– action, by what they add to the action's score.

        All contributions, not only these, sum to what the path adds to S_output.
        """
        k = self.checkpoint.actions.index(action)
        contribution = self.model.contributions(score, k)
        if contribution is None:
            return []
        definition = self.model.path.definitions[k]
        ranked = contribution[0].masked_fill(definition <= 0, float("-inf")).argsort(descending=True)
        return [
            {
                "head": Path(file).name,
                "relation": "shows",
                "movement": self.checkpoint.movements[m],
                "share": float(score.shares[0, m]),
                "action": action,
                "definition": float(definition[m]),
                "contribution": float(contribution[0, m]),
            }
            for m in ranked[: min(MAX_TRIPLETS, int((definition > 0).sum()))].tolist()
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


def _named_checkpoint(backbone: str, actions: Sequence[str]) -> Checkpoint:
    """A model of names alone."""
    names = tuple(dict.fromkeys(actions))
    if len(names) < 2:
        raise KgclipError(f"--actions: gives {len(names)} names, at least 2 are needed to choose between; add names")
    tower = load_backbone(backbone)
    if tower.spec["kind"] not in ("clip", "siglip"):
        raise KgclipError(
            f"--backbone {backbone}: its text tower does not know what names mean; give a CLIP or SigLIP model"
        )
    config = TrainConfig(Path(), Path(), model=ModelConfig(backbone, head="gradient", graph=False))
    head = GradientHead(tower.frame_dim, tower.embedding_dim, tower.logit_scale_init, HeadOptions(subspace=None))
    with torch.no_grad():
        model = unsolved_model(tower, head, embed_texts(tower, PromptConfig().around("action", names)))
        model.temperature.fill_(float(1 / head.scale()))
    return Checkpoint(model, config, names, KnowledgeGraph.from_edges([]), Split((), (), (), ()), {})
