"""A trained model on disk: weights, configuration, graph, labels and split in one folder, without pickle."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kgclip.config import TrainConfig, from_json, to_json
from kgclip.data.splits import Split
from kgclip.engine.folder_hash import FolderHash, write_hashes
from kgclip.engine.left_out import LeftOutClip
from kgclip.engine.poses import width
from kgclip.engine.stored import Stored, no_larger_than, read_left_out, read_stored
from kgclip.engine.unknown import Threshold
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, load_tensors, save_tensors, write_json
from kgclip.identity import digest_tensors
from kgclip.kg.graph import KnowledgeGraph
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone
from kgclip.models.closed_form import ClosedForm, HeadShape
from kgclip.models.evidence import PathEvidence
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import KGCLIP
from kgclip.models.pose_stream import PoseSolution
from kgclip.reading import one_sentence

FORMAT = 4
MODEL_FILE, CONFIG_FILE, GRAPH_FILE, SPLIT_FILE = "model.safetensors", "config.json", "graph.parquet", "split.json"
LEFT_OUT_FILE = "left_out.json"
_FILES = (MODEL_FILE, CONFIG_FILE, GRAPH_FILE, SPLIT_FILE, LEFT_OUT_FILE)


def new_head(config: TrainConfig, backbone: Backbone) -> GradientHead:
    """The head of a configuration that is trained by gradient."""
    model = config.model
    options = HeadOptions(model.pooling, model.subspace if model.graph else None, model.epsilon)
    return GradientHead(backbone.frame_dim, backbone.embedding_dim, backbone.logit_scale_init, options)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that prediction needs, and what is known of how it was made.

    Attributes:
        model: in evaluation mode.
        config: of the run that made it.
        actions: names, in the order of the outputs.
        graph: of the training clips.
        split: who was used for what.
        summary: what training measured (best epoch, accuracy on clips left out, time).
        unknown: the probability below which an action is unknown; None where no clips were there to choose it on.
        pose: where the keypoints of a model that reads pose come from (``pose``, ``sha256``, ``detector``, ``every``).
        left_out: what training clips are given by a solution that never saw their sources; none of a trained head.
        folder_hash: SHA-256, in hex, of all files of the folder that it was loaded from.
    """

    model: KGCLIP
    config: TrainConfig
    actions: tuple[str, ...]
    graph: KnowledgeGraph
    split: Split
    summary: dict[str, Any]
    unknown: Threshold | None = None
    pose: dict[str, Any] | None = None
    left_out: tuple[LeftOutClip, ...] = ()
    folder_hash: str | None = None

    @cached_property
    def hash(self) -> str:
        """SHA-256, in hex, of what was learned: the head's weights, the encoder of frames, the graph and the split."""
        own = ((n, t) for n, t in self.model.state_dict().items() if not n.startswith("backbone."))
        parts = (digest_tensors(own), self.model.backbone.image_identity, self.graph.hash, self.split.hash)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def movements(self) -> tuple[str, ...]:
        """The graph's movements, in the order of the outputs; none for a model without graph."""
        return tuple(self.graph.entities("movement")) if self.config.model.graph else ()

    def save(self, folder: Path, extra: Sequence[Path] = ()) -> None:
        """Write the folder in one step, with other files such as the training's log: complete, or not at all."""
        with atomic_folder(folder) as temporary:
            save_tensors(self.model.state_dict(), temporary / MODEL_FILE)
            self.graph.save(temporary / GRAPH_FILE)
            self.split.save(temporary / SPLIT_FILE)
            write_json(temporary / LEFT_OUT_FILE, [asdict(clip) for clip in self.left_out])
            write_json(
                temporary / CONFIG_FILE,
                {
                    "format": FORMAT,
                    "backbone": self.model.backbone.spec,
                    "identity": self.model.backbone.identity,
                    "landmarks": self.model.solved.landmarks,
                    "pose": self._stored_pose(),
                    "actions": list(self.actions),
                    "split_hash": self.split.hash,
                    "graph_hash": self.graph.hash,
                    "summary": self.summary,
                    "unknown": None if self.unknown is None else asdict(self.unknown),
                    "config": to_json(self.config),
                },
            )
            for file in extra:
                shutil.copy(file, temporary / file.name)
            write_hashes(temporary)

    def _stored_pose(self) -> dict[str, Any] | None:
        stream = self.model.pose
        return None if stream is None else {"origin": self.pose, "landmarks": len(stream.landmarks)}

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Read the folder.

        Raises:
            KgclipError: it is not a model folder, or a file in it is missing or damaged.
        """
        file = folder / CONFIG_FILE
        if not file.exists():
            inside = folder / "model"
            what = f"give {inside}" if (inside / CONFIG_FILE).is_file() else "give what `kgclip train` wrote"
            raise KgclipError(f"{folder}: not a model folder, it has no {CONFIG_FILE}; {what}")
        stored = read_stored(file, FORMAT)
        hashes = FolderHash(folder, _FILES)
        with _named(file):
            config = from_json(TrainConfig, stored.config)
        graph, split = KnowledgeGraph.load(folder / GRAPH_FILE), Split.load(folder / SPLIT_FILE)
        for what, found, expected in (
            ("graph", graph.hash, stored.graph_hash),
            ("split", split.hash, stored.split_hash),
        ):
            if found != expected:
                raise KgclipError(f"{folder}: its {what} is not the one this model was trained on; restore the file")
        weights = load_tensors(folder / MODEL_FILE)
        with one_sentence(folder, "a model"), _named(file), no_larger_than(weights, folder / MODEL_FILE):
            model = _empty_model(config, stored, graph)
        load_weights(model, weights, folder / MODEL_FILE)
        # What the features were made by, also where the weights here have been halved or features are ready-made.
        model.backbone.image_identity = stored.identity.image
        left_out = read_left_out(folder / LEFT_OUT_FILE)
        pose, actions = stored.pose and stored.pose.origin, tuple(stored.actions)
        files = hashes.verified()
        return cls(model.eval(), config, actions, graph, split, stored.summary, stored.unknown, pose, left_out, files)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Have errors of what a file holds begin with its name."""
    try:
        yield
    except KgclipError as error:
        if str(file.parent) in str(error):
            raise
        raise KgclipError(f"{file}: {error}") from error


def _empty_model(config: TrainConfig, stored: Stored, graph: KnowledgeGraph) -> KGCLIP:
    """The model that a checkpoint holds the weights of."""
    num_actions = len(stored.actions)
    backbone = build_backbone(stored.backbone, empty=True)
    backbone.in_bf16 = config.optim.precision == "bf16-mixed"
    gradient = config.model.head == "gradient"
    num_movements = len(graph.entities("movement")) if config.model.graph else 0
    num_solved = 0 if gradient else num_actions
    shape = HeadShape(num_solved, num_solved if config.model.graph else 0, num_movements)
    landmarks = {int(count): size for count, size in stored.landmarks.items()}
    with torch.device("meta"):  # no memory for sizes that nobody has checked yet; all their tensors are stored
        solved = ClosedForm(backbone.frame_dim, landmarks, shape)
        path = PathEvidence(num_actions, num_movements)
        pose = stored.pose and PoseSolution(width(), stored.pose.landmarks, shape)
    return KGCLIP(backbone, solved, path, new_head(config, backbone) if gradient else None, num_actions, pose)


def choose_device(device: str) -> str:
    """The device that "auto" stands for, or the given one if this machine has it.

    Raises:
        KgclipError: CUDA is asked for, and there is none.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise KgclipError(f"--device {device}: torch finds no CUDA device here; give --device cpu")
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_weights(model: torch.nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Load a state dict strictly; its tensors become the model's own, which may hold none yet.

    Raises:
        KgclipError: they are those of another model; the message names the file they were read from.
    """
    types = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    try:
        # A file that somebody has halved to save space is taken too.
        cast = {name: tensor.to(types.get(name, tensor.dtype)) for name, tensor in weights.items()}
        model.load_state_dict(cast, assign=True)
    except RuntimeError as error:
        raise KgclipError(f"{file}: holds the weights of another model than its configuration says; train again") from (
            error
        )
