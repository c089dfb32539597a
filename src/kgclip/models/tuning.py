"""Which weights of a backbone train: none, the text tower, the last blocks, low-rank adapters, or all."""

from typing import Any

from torch import nn

from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone, Tower
from kgclip.models.options import Tuning


def set_trainable(
    backbone: Backbone, tuning: Tuning, lora_rank: int = 8, partial_layers: int = 2, *, names: bool = True
) -> None:
    """Choose, in place, the weights of the backbone that train.

    Weights outside the towers (the published logit_scale) never train: the loss has its own.

    Args:
        backbone: adapters it may still have from an earlier "lora" are merged into its weights first.
        tuning: "frozen": none; "text": the text tower; "partial": of both towers the last `partial_layers` blocks and
            what follows them; "lora": low-rank adapters (arXiv 2106.09685) on the linear layers of the blocks and what
            follows them, drawn from torch's global generator; "full": both towers.
        lora_rank: rank of an adapter; its output is scaled by 2 (alpha = 2 rank).
        partial_layers: number of blocks, at least 1.
        names: whether names pass the text tower in training; where they do not, it stays frozen.

    Raises:
        KgclipError: the rank or the number of blocks is less than 1, or this tuning has nothing to act on.
    """
    if min(lora_rank, partial_layers) < 1:
        raise KgclipError(f"tuning: rank {lora_rank} and layers {partial_layers} must be at least 1; raise them")
    merge_lora(backbone)
    backbone.requires_grad_(False)
    if tuning == "frozen":
        return
    towers = _tunable_towers(backbone, tuning, names=names)
    vars(backbone).pop("image_identity", None)  # of weights that now change
    if tuning == "lora":
        _add_adapters(backbone, towers, lora_rank)
        return
    for tower in towers:
        modules = (*tower.blocks[-partial_layers:], *tower.head) if tuning == "partial" else tower.modules
        for module in modules:
            module.requires_grad_(True)


def _tunable_towers(backbone: Backbone, tuning: Tuning, *, names: bool) -> list[Tower]:
    towers = {name: tower for name, tower in backbone.towers().items() if name == "text" or tuning != "text"}
    if "image" in towers and towers["image"].frozen:
        raise KgclipError(
            f"--model.tuning {tuning}: the image encoder of the backbone {backbone.spec['kind']} is used as it is; "
            f"set it to frozen{' or text' if names else ''}"
        )
    tunable = [tower for name, tower in towers.items() if not tower.frozen and (names or name != "text")]
    if not tunable:
        raise KgclipError(f"--model.tuning {tuning}: nothing of this backbone can be tuned; set it to frozen")
    return tunable


def merge_lora(backbone: Backbone) -> None:
    """Add every adapter to the weight it adapts, W + 2BA, and remove it, in place; nothing happens without adapters."""
    for name, layer in _adapted_layers(backbone).items():
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, layer.get_base_layer())


def _add_adapters(backbone: Backbone, towers: list[Tower], rank: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    adaptable = {
        module
        for tower in towers
        for part in (*tower.blocks, *tower.head)
        for module in part.modules()
        if type(module) is nn.Linear  # not its subclass inside nn.MultiheadAttention, which never calls it
    }
    names = [name for name, module in backbone.named_modules() if module in adaptable]
    if not names:
        raise KgclipError("tuning: this backbone has no linear layer to adapt; use another tuning than lora")
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), backbone)


def _adapted_layers(backbone: Backbone) -> dict[str, Any]:
    """Return peft's layers by name; known by their attributes, because importing peft takes seconds."""
    return {name: module for name, module in backbone.named_modules() if hasattr(module, "lora_A")}
