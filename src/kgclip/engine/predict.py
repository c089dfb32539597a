"""Prediction on video files, with what supports it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kgclip.config import ModelConfig, PromptConfig, TrainConfig
from kgclip.data.clip import id_of_file
from kgclip.data.listing import find_videos
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint, choose_device
from kgclip.engine.encoder import FrameEncoder, backbone_encoder, check_encoder
from kgclip.engine.explain import explain, read_windows
from kgclip.engine.explanation import ClipFacts, Explanation
from kgclip.engine.hub import model_folder, push_folder, save_model
from kgclip.engine.poses import numbers_of, pose_source
from kgclip.engine.videos import Videos
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.names import did_you_mean, spelling_key
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import embed_texts, unsolved_model
from kgclip.pose.annotate import PoseSource
from kgclip.pose.keypoints import ClipPose
from kgclip.remains import scratch_folder
from kgclip.video.cut import VideoPath, video_at
from kgclip.video.decode import DEFAULT_FPS
from kgclip.video.frames import ClipFrames

# Backbones whose texts and frames were learned together, so that a text says what frames show.
TEXT_KINDS = ("clip", "siglip")


@dataclass(frozen=True)
class Reading:
    """All that a recognizer needs of a clip; another of the same encoder can explain it too.

    Attributes:
        file: as explanations are to name it.
        facts: of the clip and the T frames that were read.
        features: of these frames.
        pose: of the clip; None where none was read.
    """

    file: str
    facts: ClipFacts
    features: Float[Tensor, "T F"]
    pose: ClipPose | None = None


class Recognizer:
    """Recognizes actions in video files and says why.

    Args:
        checkpoint: a trained model.
        encoder: the encoder of a model that takes features; models with an image tower bring their own.
        pose: where poses come from; None leaves pose out.
        device: where the model runs.
        videos: makes what opens files, by where poses come from; `kgclip.engine.apart.Apart` is for strangers' files.

    Attributes:
        folder: that the model was loaded from; None where it was made otherwise.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        encoder: FrameEncoder | None = None,
        pose: PoseSource | None = None,
        device: str = "cpu",
        videos: Callable[[PoseSource | None], Videos] = Videos,
    ):
        self.checkpoint, self.pose, self.videos, self.device = checkpoint, pose, videos(pose), choose_device(device)
        self.model = checkpoint.model.to(self.device).eval()
        if encoder is not None:
            check_encoder(encoder, self.model.backbone)
        self.encoder = backbone_encoder(self.model.backbone) if encoder is None else encoder
        self.folder: Path | None = None

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, revision: str | None = None, pose: str | None = None, **options: Any
    ) -> "Recognizer":
        """Load the folder that training wrote, or a model of a hub by its name.

        Args:
            name: of the folder, or where there is none, on the hub.
            revision: of a model on the hub: a branch, a tag or a commit.
            pose: of a model that reads pose: its estimator, or keypoints of the clips; "none" leaves pose out, None
                takes the estimator in the folder.
            options: as of the class.

        Raises:
            KgclipError: it is not a model folder, or damaged, or its estimator is not there; or the hub has no such
                model.
        """
        folder = model_folder(name, revision)
        checkpoint = Checkpoint.load(folder)
        recognizer = cls(checkpoint, pose=pose_source(checkpoint.pose, pose, folder), **options)
        recognizer.folder = folder
        return recognizer

    def save_pretrained(self, folder: str | Path, *, license: str | None = None) -> None:
        """Write the model's folder with its card, README.md: as it was loaded, or a new one.

        Args:
            folder: to write; it must not be there.
            license: identifier of the license for a new card, such as "mit"; None keeps the card that there is.

        Raises:
            KgclipError: something is there already.
        """
        save_model(self.checkpoint, Path(folder), self.folder, license)

    def push_to_hub(
        self,
        name: str,
        *,
        license: str | None = None,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload a kgclip model",
    ) -> str:
        """Put the model on the hub, as :meth:`save_pretrained` writes it: names of clips and paths go with it.

        Args:
            name: "user/model"; it is made if it is not there.
            license: as of :meth:`save_pretrained`.
            private: whether a new one is for you alone.
            token: of the hub; None takes the one that you are logged in with.
            message: of the commit.

        Returns:
            The address of the model.

        Raises:
            KgclipError: the hub cannot be reached, or refuses.
        """
        with scratch_folder("push") as temporary:
            self.save_pretrained(temporary / "model", license=license)
            return push_folder(temporary / "model", name, private=private, token=token, message=message)

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
        file: str | VideoPath,
        *,
        frames: int | None = None,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """The ranked actions of one video file and what supports the first.

        Args:
            file: a video, or a cut of one: ``film.mp4#t=12.5,15``.
            frames: T, from equal segments; None takes the number of training.
            actions: the only candidates; none takes all actions of the model.
            pose: of the clip, where it is at hand; else it is read, if the recognizer knows from where.

        Raises:
            KgclipError: the file cannot be read, or an action is none of the model's.
        """
        return self.explain(self.read(file, frames=frames, pose=pose), actions=actions)

    def read(self, file: str | VideoPath, *, frames: int | None = None, pose: ClipPose | None = None) -> Reading:
        """Decode and encode a video file, and find its pose if the recognizer knows from where; as :meth:`predict`."""
        num_frames = self.checkpoint.config.frames if frames is None else frames
        path = video_at(file)
        clip = self.videos.read_clip(path, num_frames, threads=torch.get_num_threads())
        if pose is None and self.pose is not None:
            pose = self.videos.observe(id_of_file(path), path)
        return self.encoded(str(file), clip, pose)

    def predict_frames(
        self,
        file: str,
        images: UInt8[np.ndarray, "T H W 3"],
        times: Sequence[float],
        *,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """As :meth:`predict`, of frames that are decoded already (RGB), their times in seconds, and the clip's pose.

        They stand for the clip: its length and rate are theirs.
        """
        times_s, count = np.asarray(times, dtype=np.float64), len(images)
        step_s = (float(times_s[-1] - times_s[0]) / (count - 1) if count > 1 else 0.0) or 1 / DEFAULT_FPS
        clip = ClipFrames(images, np.arange(count), times_s, float(times_s[-1]) + step_s, 1 / step_s, count)
        return self.explain(self.encoded(file, clip, pose), actions=actions)

    @torch.no_grad()
    def encoded(self, file: str, clip: ClipFrames, pose: ClipPose | None) -> Reading:
        """As :meth:`read`, of a clip that is decoded already."""
        return Reading(file, ClipFacts.of(clip), self.encoder.encode(clip.images), pose)

    def explain(self, reading: Reading, *, actions: Sequence[str] = ()) -> Explanation:
        """As :meth:`predict`, of a clip that was read already."""
        return self.explain_features(reading.file, reading.facts, reading.features, actions=actions, pose=reading.pose)

    @torch.no_grad()
    def explain_features(
        self,
        file: str,
        facts: ClipFacts,
        features: Float[Tensor, "T F"],
        *,
        actions: Sequence[str] = (),
        pose: ClipPose | None = None,
    ) -> Explanation:
        """As :meth:`predict`, of frames that are encoded already."""
        chosen, given = self.candidates(actions), features.to(self.device).float()
        score = self.model(given[None], self.pose_numbers(pose))
        windows = None if score.path is None else read_windows(self.model, given)
        return explain(self.checkpoint, file, facts, score, windows, chosen, pose)

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

    def predict_many(self, files: Sequence[str | VideoPath], **options: Any) -> Iterator[Explanation | dict[str, str]]:
        """Predictions of files and folders; a file that cannot be read gives ``{"file", "error"}`` and is skipped.

        Raises:
            KgclipError: an action is none of the model's.
        """
        self.candidates(options.get("actions", ()))  # a wrong name is no fault of a file
        for file in find_videos(files):
            try:
                yield self.predict(file, **options)
            except KgclipError as error:
                yield {"file": str(file), "error": str(error)}


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
