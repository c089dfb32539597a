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
from kgclip.engine.explain import explain, read_windows
from kgclip.engine.explanation import ClipFacts, Explanation
from kgclip.engine.poses import numbers_of, pose_source
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.names import did_you_mean, spelling_key
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import embed_texts, unsolved_model
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.keypoints import ClipPose
from kgclip.video.decode import DEFAULT_FPS
from kgclip.video.frames import ClipFrames, read_clip

# Backbones whose texts and frames were learned together, so that a text says what frames show.
TEXT_KINDS = ("clip", "siglip")


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
        self,
        file: str | Path,
        *,
        frames: int | None = None,
        top: int = 5,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """The ranked actions of one video file and what supports the first.

        Args:
            file: a video.
            frames: T, from equal segments; None takes the number of training.
            top: how many actions the short form lists.
            actions: the only candidates; none takes all actions of the model.
            pose: of the clip, where it is at hand; else it is read, if the recognizer knows from where.

        Raises:
            KgclipError: the file cannot be read, or an action is none of the model's.
        """
        num_frames = self.checkpoint.config.frames if frames is None else frames
        path = Path(file)
        clip = read_clip(path, num_frames, threads=torch.get_num_threads())
        if pose is None and self.pose is not None:
            pose = observe(clip_id(path.name), path, self.pose)
        return self._explain(str(file), clip, top, actions, pose)

    def predict_frames(
        self,
        file: str,
        images: UInt8[np.ndarray, "T H W 3"],
        times: Sequence[float],
        *,
        top: int = 5,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """As :meth:`predict`, of frames that are decoded already (RGB), their times in seconds, and the clip's pose.

        They stand for the clip: its length and rate are theirs.
        """
        times_s, count = np.asarray(times, dtype=np.float64), len(images)
        step_s = float(times_s[-1] - times_s[0]) / (count - 1) if count > 1 else 0.0
        step_s = step_s or 1 / DEFAULT_FPS
        clip = ClipFrames(images, np.arange(count), times_s, float(times_s[-1]) + step_s, 1 / step_s, count)
        return self._explain(file, clip, top, actions, pose)

    @torch.no_grad()
    def _explain(
        self, file: str, clip: ClipFrames, top: int, actions: Sequence[str], pose: ClipPose | None
    ) -> Explanation:
        features = self.encoder.encode(clip.images)
        height, width = clip.images.shape[1:3]
        times, indices = tuple(clip.times_s.tolist()), tuple(clip.indices.tolist())
        facts = ClipFacts(clip.fps, clip.num_frames, clip.duration_s, width, height, times, indices)
        return self.explain_features(file, facts, features, top=top, actions=actions, pose=pose)

    @torch.no_grad()
    def explain_features(
        self,
        file: str,
        facts: ClipFacts,
        features: Float[Tensor, "T F"],
        *,
        top: int = 5,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """As :meth:`predict`, of frames that are encoded already."""
        chosen, given = self.candidates(actions), features.to(self.device).float()
        score = self.model(given[None], self.pose_numbers(pose))
        windows = None if score.path is None else read_windows(self.model, given)
        return explain(self.checkpoint, file, facts, score, windows, chosen, top, pose)

    @torch.no_grad()
    def probabilities(
        self, features: Float[Tensor, "T F"], chosen: Bool[Tensor, " K"] | None = None, pose: ClipPose | None = None
    ) -> Float[Tensor, " K"]:
        """The stated probability of each action for frames that are encoded already, on the CPU."""
        score = self.model(features.to(self.device).float()[None], self.pose_numbers(pose))
        return self.model.probability(score, chosen)[0].cpu()

    def pose_numbers(self, pose: ClipPose | None) -> Float[Tensor, "1 S"] | None:
        """The numbers of one clip's pose, as the model takes them."""
        return None if pose is None else numbers_of([pose]).to(self.device)

    def candidates(self, actions: Sequence[str]) -> Bool[Tensor, " K"] | None:
        """Which actions are to be chosen from; None for all, where none is named.

        Raises:
            KgclipError: one is none of the model's.
        """
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

    def predict_many(self, files: Sequence[str | Path], **options: Any) -> Iterator[Explanation | dict[str, str]]:
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
    if tower.spec["kind"] not in TEXT_KINDS:
        raise KgclipError(
            f"--backbone {backbone}: its text tower does not know what names mean; give a CLIP or SigLIP model"
        )
    config = TrainConfig(Path(), Path(), model=ModelConfig(backbone, head="gradient", graph=False))
    head = GradientHead(tower.frame_dim, tower.embedding_dim, tower.logit_scale_init, HeadOptions(subspace=None))
    with torch.no_grad():
        model = unsolved_model(tower, head, embed_texts(tower, PromptConfig().around("action", names)))
        model.temperature.fill_(float(1 / head.scale()))
    return Checkpoint(model, config, names, KnowledgeGraph.from_edges([]), Split((), (), (), ()), {})
