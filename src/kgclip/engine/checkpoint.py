"""A trained model on disk: weights, configuration, graph, labels and split in one folder, without pickle."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from kgclip.config import TrainConfig, from_json, to_json
from kgclip.data.splits import Split
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, read_json, save_tensors, write_json
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.movement import part_index
from kgclip.models.backbone import Backbone, build_backbone
from kgclip.models.kgclip import KGCLIP

FORMAT = 1
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.json"


def build_model(config: TrainConfig, backbone: Backbone, graph: KnowledgeGraph) -> KGCLIP:
    """The model of that configuration around a backbone, with a readout of the graph's movements."""
    model = config.model
    # What is trained in bf16 is also validated, extracted and used in it.
    backbone.in_bf16 = config.optim.precision == "bf16-mixed"
    return KGCLIP(
        backbone,
        model.pooling,
        model.subspace if model.graph else None,
        model.epsilon,
        model.dropout,
        num_movements=len(graph.entities("movement")) if model.graph else 0,
    )


@dataclass(frozen=True)
class Checkpoint:
    """Everything that prediction needs, and what is known of how it was made.

    Attributes:
        model: in evaluation mode.
        config: of the run that made it.
        actions: names, in the order of the outputs.
        graph: of the training clips.
        split: who was used for what.
        path_weight: weight of path evidence in the fusion; 0 leaves it out.
        temperature: what logits are divided by before they become probabilities, fitted on the validation clips.
        summary: what training measured (best epoch, validation accuracy, time).
    """

    model: KGCLIP
    config: TrainConfig
    actions: tuple[str, ...]
    graph: KnowledgeGraph
    split: Split
    path_weight: float
    temperature: float
    summary: dict[str, Any]

    @cached_property
    def movements(self) -> tuple[str, ...]:
        """The graph's movements, in the order of the outputs; none for a model without graph."""
        return tuple(self.graph.entities("movement")) if self.config.model.graph else ()

    def shares(self) -> Float[Tensor, "K M"]:
        """The share of each movement in each action, from the graph."""
        return torch.from_numpy(self.graph.adjacency("consists_of", self.actions, self.movements))

    def shown(self) -> Float[Tensor, "N M"]:
        """The share of each movement in each annotated training clip, from the graph."""
        return torch.from_numpy(self.graph.adjacency("shows", self.graph.heads("shows"), self.movements))

    def parts(self) -> Int[Tensor, " M"]:
        """The body part of each movement."""
        return torch.from_numpy(part_index(self.movements))

    def save(self, folder: Path, extra: Path | None = None) -> None:
        """Write the folder in one step: it is there complete, or not at all.

        Args:
            folder: must not exist.
            extra: a file to take along (the training log).
        """
        with atomic_folder(folder) as temporary:
            save_tensors(self.model.state_dict(), temporary / MODEL_FILE)
            self.graph.save(temporary / "graph.parquet")
            self.split.save(temporary / "split.json")
            write_json(
                temporary / CONFIG_FILE,
                {
                    "format": FORMAT,
                    "backbone": self.model.backbone.spec,
                    "actions": list(self.actions),
                    "path_weight": self.path_weight,
                    "temperature": self.temperature,
                    "split_hash": self.split.hash,
                    "graph_hash": self.graph.hash,
                    "summary": self.summary,
                    "config": to_json(self.config),
                },
            )
            if extra is not None:
                shutil.copy(extra, temporary / extra.name)

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Read the folder.

        Raises:
            KgclipError: it is not a model folder, or a file in it is missing or damaged.
        """
        file = folder / CONFIG_FILE
        if not file.is_file():
            raise KgclipError(f"{folder}: not a model folder, it has no {CONFIG_FILE}; give what `kgclip train` wrote")
        stored = read_json(file)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise KgclipError(f"{file}: not the configuration of a kgclip model of format {FORMAT}; train it again")
        missing = {
            "config",
            "backbone",
            "actions",
            "path_weight",
            "temperature",
            "graph_hash",
            "summary",
        } - stored.keys()
        if missing:
            raise KgclipError(f"{file}: lacks {', '.join(sorted(missing))}; restore the file or train again")
        config = from_json(TrainConfig, stored["config"])
        graph = KnowledgeGraph.load(folder / "graph.parquet")
        if graph.hash != stored["graph_hash"]:
            raise KgclipError(f"{folder}: graph.parquet is not the graph this model was trained on; restore the file")
        model = build_model(config, build_backbone(stored["backbone"], empty=True), graph)
        load_weights(model, folder / MODEL_FILE)
        return cls(
            model.eval(),
            config,
            tuple(stored["actions"]),
            graph,
            Split.load(folder / "split.json"),
            stored["path_weight"],
            stored["temperature"],
            stored["summary"],
        )


def check_device(device: str | torch.device) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        KgclipError: CUDA is asked for, and there is none.
    """
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise KgclipError(f"--device {device}: torch finds no CUDA device here; give --device cpu")


def choose_device(device: str) -> str:
    """The device that "auto" stands for, or the given one if this machine has it.

    Raises:
        KgclipError: CUDA is asked for, and there is none.
    """
    check_device(device)
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load(folder: str | Path) -> Checkpoint:
    """The trained model in a folder that training wrote.

    Raises:
        KgclipError: it is not a model folder, or damaged.
    """
    return Checkpoint.load(Path(folder))


def load_weights(model: torch.nn.Module, file: Path) -> None:
    """Load a state dict strictly; its tensors become the model's own, which may hold none yet.

    Raises:
        KgclipError: the file is missing, damaged, or of another model.
    """
    try:
        types = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        # A file that somebody has halved to save space is taken too.
        weights = {name: tensor.to(types.get(name, tensor.dtype)) for name, tensor in load_file(file).items()}
        model.load_state_dict(weights, assign=True)
    except (OSError, SafetensorError) as error:
        raise KgclipError(f"{file}: cannot be read ({error}); restore the file or train again") from error
    except RuntimeError as error:
        raise KgclipError(f"{file}: holds the weights of another model than its configuration says; train again") from (
            error
        )
