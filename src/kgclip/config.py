"""What a run is made of: typed, immutable, saved as JSON with every run; and the named presets."""

import dataclasses
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgclip.data.splits import SplitOptions
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule
from kgclip.models.options import Epsilon, HeadKind, LossWeights, PoolingKind, Subspace, Tuning
from kgclip.video.augmentation import Augmentation


@dataclass(frozen=True)
class ModelConfig:
    """The architecture.

    Attributes:
        backbone: "synthetic", "efficientnet-lite0", the name or folder of a CLIP or SigLIP model, or "features:<F>" for
            features of another encoder with F numbers a frame.
        text: the local folder of a sentence encoder (layout of sentence-transformers) whose embeddings of names take
            the place of the text tower of "synthetic", "efficientnet-lite0" or "features:<F>"; it stays frozen.
        head: "closed_form" solves for the scores from statistics of the frames; "gradient" trains embeddings and
            triplet encoder, as the paper does.
        graph: learn from the graph; without it the model is CLIP only.
        pooling: how frames become a clip in what is trained by gradient.
        subspace: form of the triplet encoder that is trained by gradient; None leaves it out, so that movements count
            as texts alone.
        epsilon: its deviation compensation: per relation, shared or none.
        tuning: which part of the backbone trains by gradient.
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


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: a folder of class folders, a Kinetics-TPS root, or a list (docs/data.md).
        out: the model folder to write; with the tensorboard extra installed, curves go to a folder beside it.
        graph: a graph built before, from the same split; None builds it from the training clips.
        definitions: a YAML file of definitions of actions to merge into the graph; actions without clips are learned
            from it alone.
        annotations: part annotations of a folder or CSV data set.
        source_pattern: a regular expression whose group `source`, or else its first, is the source in a clip's id.
        features: cached features in place of pixels (see `kgclip data features`).
        frames: T, frames a clip.
        seed: of initialization, order and augmentation.
        workers: processes that decode.
        device: "auto", "cpu" or "cuda".
        keep_going: skip broken annotations, and clips that cannot be encoded, with a warning.
        save_every_s: seconds between the states that --resume goes on from; 0 saves after every epoch.
        path_weight: weight of path evidence against S_output, both as z-scores; 0 leaves it out.
    """

    data: Path
    out: Path
    graph: Path | None = None
    definitions: Path | None = None
    annotations: Path | None = None
    source_pattern: str | None = None
    features: Path | None = None
    frames: int = 8
    seed: int = 0
    workers: int = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
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

    @property
    def trains(self) -> bool:
        """Whether anything is trained by gradient."""
        return self.model.head == "gradient" or self.model.tuning != "frozen"


def _published(backbone: str) -> dict[str, Any]:
    """The published settings (docs/method.md, section 6)."""
    return {
        "frames": 16,
        "seed": 1024,
        "model": ModelConfig(backbone=backbone, head="gradient", tuning="full"),
        "path_weight": 0.0,
        "optim": OptimConfig(
            epochs=50,
            batch_size=15,
            lr_backbone=1e-5,
            lr_new=1e-4,
            weight_decay=0.2,
            warmup_epochs=5.0,
            precision="bf16-mixed",
            texts="batch",
        ),
    }


# What each preset changes against the defaults above.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The paper's design at the default's scale: the frames stay frozen, so that a linear map of their mean must learn.
    "paper": {"model": ModelConfig(head="gradient", pooling="projected"), "path_weight": 0.0},
    "paper-b16": _published("openai/clip-vit-base-patch16"),
    "paper-b32": _published("openai/clip-vit-base-patch32"),
}


def preset(name: str, data: Path, out: Path) -> TrainConfig:
    """The training configuration of that preset.

    Raises:
        KgclipError: there is no such preset.
    """
    if name not in PRESETS:
        raise KgclipError(f"--preset {name}: there is no such preset; choose one of {', '.join(PRESETS)}")
    return TrainConfig(data=data, out=out, **PRESETS[name])


def without_graph(config: TrainConfig) -> TrainConfig:
    """The same run as CLIP only: no triplet encoder, no movements, no path."""
    return dataclasses.replace(config, model=dataclasses.replace(config.model, graph=False))


def check_options(config: TrainConfig, default: TrainConfig) -> None:
    """Refuse options that differ from their defaults and cannot act.

    Args:
        config: the run.
        default: of its preset.

    Raises:
        KgclipError: the first such option, and what would let it act.
    """
    values, defaults = _flat(to_json(config)), _flat(to_json(default))
    given = [name for name, value in values.items() if value != defaults[name]]
    for applies, prefixes, why in _idle(config):
        idle = [name for name in given if applies and name.startswith(prefixes)]
        if idle:
            raise KgclipError(f"--{idle[0].replace('_', '-')}: {why}")


def _idle(config: TrainConfig) -> list[tuple[bool, tuple[str, ...], str]]:
    """Conditions under which options cannot act: when, which (by how their names begin), and what to do."""
    model = config.model
    solved = "this head is solved, not trained; add --model.head gradient, or --model.tuning to train the tower"
    graph = "CLIP only takes no graph; leave it out, or leave --model.no-graph out"
    trained = ("loss.", "optim.", "model.subspace", "model.epsilon", "model.pooling", "augmentation.", "save_every_s")
    of_graph = ("graph", "definitions", "annotations", "rule.", "path_weight", "model.subspace", "model.epsilon")
    return [
        (not config.trains, trained, solved),
        (not model.graph, (*of_graph, "loss.shows", "loss.consists_of", "loss.margin"), graph),
        (model.tuning != "lora", ("model.lora_rank",), "is of LoRA adapters; add --model.tuning lora"),
        (model.tuning != "partial", ("model.partial_layers",), "is of partial tuning; add --model.tuning partial"),
        (
            model.tuning in ("frozen", "text"),
            ("augmentation.",),
            "a frozen image tower sees each frame once; train it with --model.tuning, or leave this out",
        ),
        (model.tuning == "frozen", ("optim.lr_backbone",), "the backbone is frozen; add --model.tuning"),
        (model.subspace is None, ("model.epsilon", "loss.margin"), "is of the triplet encoder; give it a subspace"),
        (
            config.loss.mm == 0 and (model.subspace is None or not model.graph),
            ("loss.mm",),
            "is all that trains without a triplet encoder; give a positive weight",
        ),
        (config.graph is not None, ("rule.",), "the graph of --graph is built already; leave one of the two out"),
        (
            config.split.file is not None,
            ("split.val_fraction", "split.test_fraction"),
            "the split of --split.file has its parts already; leave one of the two out",
        ),
        (
            model.text is not None and model.tuning == "text",
            ("model.tuning",),
            "the sentence encoder of --model.text stays frozen; leave one of the two out",
        ),
    ]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by their names on the command line."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


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
        KgclipError: a name that the type does not have, or one missing.
    """
    if dataclasses.is_dataclass(kind):
        name, hints = getattr(kind, "__name__", "?"), typing.get_type_hints(kind)
        unknown = sorted(set(values) - set(hints))
        if unknown:
            raise KgclipError(f"config: {name} has no field {unknown[0]!r}; it has {', '.join(hints)}")
        try:
            return kind(**{key: from_json(hints[key], value) for key, value in values.items()})  # pyright: ignore[reportCallIssue]
        except TypeError as error:
            raise KgclipError(f"config: {name}: {error}") from error
    if value_is_path(kind) and values is not None:
        return Path(values)
    return tuple(values) if isinstance(values, list) else values


def value_is_path(kind: Any) -> bool:
    """Whether a field of that type holds a path."""
    return kind is Path or Path in typing.get_args(kind)
