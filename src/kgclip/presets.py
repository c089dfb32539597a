"""The named presets, and the refusal of options that cannot act beside the others."""

from pathlib import Path
from typing import Any

from kgclip.config import ModelConfig, OptimConfig, TrainConfig, to_json
from kgclip.errors import KgclipError


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


def check_options(config: TrainConfig, default: TrainConfig) -> None:
    """Refuse options that differ from the default, which is that of the run's preset, and cannot act.

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
    of_head = (
        *("model.subspace", "model.epsilon", "model.pooling", "optim.lr_new", "optim.texts"),
        *("loss.consists_of", "loss.mm", "loss.margin"),
    )
    of_graph = ("graph", "definitions", "annotations", "rule.", "path_weight", "model.subspace", "model.epsilon")
    return [
        (not config.trains, trained, solved),
        (
            model.head == "closed_form" and model.tuning == "text",
            ("model.tuning",),
            "no name passes the text tower where the head is solved; add --model.head gradient",
        ),
        (config.trains and model.head == "closed_form", of_head, "the head is solved; add --model.head gradient"),
        (model.head == "gradient", ("keypoints",), "only the solved head reads pose; leave one of the two out"),
        (not model.graph, (*of_graph, "loss.shows", "loss.consists_of", "loss.margin"), graph),
        (model.tuning != "lora", ("model.lora_rank",), "is of LoRA adapters; add --model.tuning lora"),
        (model.tuning != "partial", ("model.partial_layers",), "is of partial tuning; add --model.tuning partial"),
        (
            model.tuning in ("frozen", "text"),
            ("augmentation.",),
            "a frozen image tower sees each frame once; train it with --model.tuning, or leave this out",
        ),
        (model.tuning == "frozen", ("optim.lr_backbone", "shard"), "the backbone is frozen; add --model.tuning"),
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
