"""What a run is made of: typed, immutable, saved as JSON with every run."""

import dataclasses
import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from msgspec import ValidationError, convert

from kgclip.data.splits import SplitOptions
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule
from kgclip.models.options import Epsilon, HeadKind, LossWeights, PoolingKind, Subspace, Tuning
from kgclip.video.augmentation import Augmentation


@dataclass(frozen=True)
class ModelConfig:
    """The architecture.

    Attributes:
        backbone: "synthetic", "efficientnet-lite0", the name or folder of a CLIP or SigLIP model, "features:<F>" for
            features of another encoder with F numbers a frame, or "auto" for the best of these that is at hand.
        text: the local folder of a sentence encoder (layout of sentence-transformers) whose embeddings of names take
            the place of the text tower of "synthetic", "efficientnet-lite0" or "features:<F>"; it stays frozen.
        head: "closed_form" solves for the scores from statistics of the frames; "gradient" trains embeddings and
            triplet encoder, as the paper does.
        graph: learn from the graph; without it the model is CLIP only.
        pooling: how frames become a clip in what is trained by gradient.
        subspace: form of the triplet encoder that is trained by gradient; None leaves it out, so that movements count
            as texts alone.
        epsilon: its deviation compensation: per relation, shared or none.
        tuning: which part of the backbone trains by gradient; beneath a solved head none of its text tower.
        lora_rank: rank of the LoRA adapters (tuning "lora").
        partial_layers: how many of the last blocks train (tuning "partial").
    """

    backbone: str = "synthetic"
    text: str | None = None
    head: HeadKind = "closed_form"
    graph: bool = True
    pooling: PoolingKind = "mean"
    subspace: Subspace | None = "diagonal"
    epsilon: Epsilon = "relation"
    tuning: Tuning = "frozen"
    lora_rank: int = 8
    partial_layers: int = 2


@dataclass(frozen=True)
class PromptConfig:
    """The sentences around names; each holds {name} once.

    Attributes:
        action: around an action's name.
        movement: around a movement's name.
    """

    action: str = "a video of a person doing {name}"
    movement: str = "a video of a person whose {name}"

    def __post_init__(self) -> None:
        for option, text in (("action", self.action), ("movement", self.movement)):
            if text.count("{") != 1 or text.count("}") != 1 or "{name}" not in text:
                raise KgclipError(f"--prompts.{option} {text!r}: needs {{name}} once, and no other braces")

    def around(self, kind: str, names: Sequence[str]) -> list[str]:
        """The prompts of entities of a kind, "action" or "movement"."""
        template = getattr(self, kind)
        return [template.format(name=name) for name in names]


@dataclass(frozen=True)
class OptimConfig:
    """Optimization.

    Attributes:
        epochs: passes over the training clips.
        batch_size: clips a step.
        accumulate: steps whose gradients are summed before an update.
        lr_backbone: peak learning rate of pre-trained weights.
        lr_new: peak learning rate of new modules.
        weight_decay: of AdamW, on matrices only.
        betas: of AdamW.
        warmup_epochs: epochs of linear warm-up before the cosine to 0; may be a fraction.
        clip_norm: largest gradient norm.
        precision: "32-true", or "bf16-mixed" for bf16 autocast.
        texts: which texts are encoded a step: "batch" the actions and movements of the step's clips, "all" every one.
    """

    epochs: int = 30
    batch_size: int = 64
    accumulate: int = 1
    lr_backbone: float = 3e-4
    lr_new: float = 1e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    warmup_epochs: float = 2.0
    clip_norm: float = 1.0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    texts: Literal["batch", "all"] = "all"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("accumulate", 1)):
            value = getattr(self, name)
            if value < least:
                option = name.replace("_", "-")
                raise KgclipError(f"--optim.{option} {value}: is too small; give {least} or more")


# Frames a clip, of which twice as many are encoded.
MOST_FRAMES = 1024


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: a folder of class folders, a Kinetics-TPS root, or a list (docs/data.md).
        out: the model folder to write; with the tensorboard extra installed, curves go to a folder beside it.
        graph: a graph built before, from the same split; None builds it from the training clips.
        definitions: a YAML file of definitions of actions to merge into the graph (`kgclip define` writes one), or the
            word shipped for those that come with kgclip; actions without clips are learned from it alone.
        annotations: part annotations of a folder or CSV data set.
        source_pattern: a regular expression whose group `source`, or else its first, is the source in a clip's id.
        keypoints: keypoints.parquet that `kgclip annotate` wrote: the model then reads pose beside the frames.
        features: cached features in place of pixels (see `kgclip data features`).
        frames: T, frames a clip.
        seed: of initialization, order and augmentation.
        workers: processes that decode.
        device: "auto", "cpu" or "cuda".
        shard: share the towers that train out over torchrun's processes (FSDP2); without it each has all weights.
        keep_going: skip broken annotations, and where the image tower is frozen clips that cannot be encoded, with a
            warning.
        save_every_s: seconds between the states that --resume goes on from; 0 saves after every epoch.
        path_weight: weight of path evidence against S_output, both as z-scores; 0 leaves it out.
    """

    data: Path
    out: Path
    graph: Path | None = None
    definitions: Path | None = None
    annotations: Path | None = None
    source_pattern: str | None = None
    keypoints: Path | None = None
    features: Path | None = None
    frames: int = 8
    seed: int = 0
    workers: int = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    shard: bool = False
    keep_going: bool = False
    save_every_s: float = 10.0
    path_weight: float = 0.5
    model: ModelConfig = field(default_factory=ModelConfig)
    prompts: PromptConfig = field(default_factory=PromptConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optim: OptimConfig = field(default_factory=OptimConfig)
    split: SplitOptions = field(default_factory=SplitOptions)
    rule: MovementRule = field(default_factory=MovementRule)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not 0 <= self.path_weight < math.inf:
            raise KgclipError(f"--path-weight {self.path_weight:g}: is no weight; give a number from 0")
        if not 1 <= self.frames <= MOST_FRAMES:
            raise KgclipError(f"--frames {self.frames}: cannot be; give a number from 1 to {MOST_FRAMES:,}")

    @property
    def trains(self) -> bool:
        """Whether anything is trained by gradient."""
        return self.model.head == "gradient" or self.model.tuning != "frozen"


def without_graph(config: TrainConfig) -> TrainConfig:
    """The same run as CLIP only: no triplet encoder, no movements, no path."""
    return dataclasses.replace(config, model=dataclasses.replace(config.model, graph=False))


def to_json(config: Any) -> Any:
    """A configuration as plain JSON values; :func:`from_json` reads it back."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple):
        return [to_json(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def from_json(kind: Any, values: Any) -> Any:
    """The configuration of that type from JSON values.

    Raises:
        KgclipError: a name that the type does not have, one missing, or a value of another type.
    """
    if dataclasses.is_dataclass(kind):
        name, hints = getattr(kind, "__name__", "?"), typing.get_type_hints(kind)
        if not isinstance(values, dict):
            raise KgclipError(f"config: {name} is {type(values).__name__}, expected an object of its fields")
        unknown = sorted(set(values) - set(hints))
        if unknown:
            raise KgclipError(f"config: {name} has no field {unknown[0]!r}; it has {', '.join(hints)}")
        try:
            return kind(**{key: from_json(hints[key], value) for key, value in values.items()})  # pyright: ignore[reportCallIssue]
        except (TypeError, ValidationError) as error:
            raise KgclipError(f"config: {name}: {error}") from error
    return convert(values, kind, dec_hook=lambda _, value: Path(value))
