"""What a model's folder says of itself, checked before anything is made of it: its types and sizes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from kgclip.engine.left_out import LeftOutClip
from kgclip.engine.unknown import Threshold
from kgclip.errors import KgclipError
from kgclip.files import read_json
from kgclip.identity import Identity
from kgclip.models.backbones.pretrained import MOST_LAYERS
from kgclip.reading import one_sentence
from kgclip.visible import HIDDEN

MOST_ACTIONS = 100_000
_LAYERS = ("depth", "depths", "num_hidden_layers", "n_layers")
_Count = Annotated[int, Meta(ge=0, le=2**24)]


class StoredIdentity(Struct, frozen=True):
    """Which encoders a model has; the text's is the SHA-256 of its weights."""

    image: Identity | None
    text: str | None = None


class StoredPose(Struct, frozen=True):
    """The pose stream of a model: its landmarks, and where keypoints come from."""

    landmarks: _Count
    origin: dict[str, str | int | float | None]


class Stored(Struct, frozen=True):
    """The configuration file of a model."""

    backbone: dict[str, Any]
    identity: StoredIdentity
    landmarks: dict[str, _Count]
    pose: StoredPose | None
    actions: Annotated[list[str], Meta(min_length=1, max_length=MOST_ACTIONS)]
    split_hash: str
    graph_hash: str
    summary: dict[str, Any]
    unknown: Threshold | None
    config: dict[str, Any]


def read_stored(file: Path, version: int) -> Stored:
    """Read a model's configuration file.

    Raises:
        KgclipError: it is of another format, lacks a field, or has one of another type or size.
    """
    values = read_json(file)
    if not isinstance(values, dict) or values.get("format") != version:
        raise KgclipError(f"{file}: not the configuration of a kgclip model of format {version}; train it again")
    missing = [name for name in Stored.__struct_fields__ if name not in values]
    if missing:
        raise KgclipError(f"{file}: lacks {', '.join(missing)}; restore the file or train again")
    stored = _converted(file, values, Stored)
    odd = next((name for name in stored.actions if not name or HIDDEN.search(name)), None)
    if odd is not None or len(set(stored.actions)) < len(stored.actions):
        what = "an action twice" if odd is None else f"the action {odd[:80]!r}"
        raise KgclipError(f"{file}: is not as training wrote it (it has {what}); restore the file or train again")
    with one_sentence(file, "sizes of a model"):
        _check_layers(stored.backbone)
    return stored


def read_left_out(file: Path) -> tuple[LeftOutClip, ...]:
    """Read what training clips were given; raises KgclipError."""
    return tuple(_converted(file, read_json(file), list[LeftOutClip]))


def _converted(file: Path, values: Any, kind: Any) -> Any:
    try:
        return convert(values, kind)
    except ValidationError as error:
        raise KgclipError(f"{file}: is not as training wrote it ({error}); restore the file or train again") from error


# Numbers of parts that are made and not stored: positions of tokens, the text tower that a sentence encoder replaces.
SPARE = 4_000_000


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor], file: Path) -> Iterator[None]:
    """While the block makes a model, refuse one of more numbers than the weights have that were read for it, and SPARE.

    A tensor that has just been made empty or zero takes no memory yet when it is given to its module.

    Raises:
        KgclipError: the model is larger; the message names the file.
    """
    left = SPARE + sum(tensor.numel() for tensor in weights.values())

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= 0 if tensor is None else tensor.numel()
        if left < 0:
            raise KgclipError(f"{file}: holds the weights of another model than its configuration says; train again")

    hooks = register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _check_layers(spec: Any) -> None:
    """Layers are made one by one, whatever the size of the weights."""
    for key, value in _items(spec):
        if key in _LAYERS:
            counts = value if isinstance(value, list) else [value]
            if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) > MOST_LAYERS:
                raise ValueError(f"{key} {str(value)[:40]}")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, at any depth."""
    if isinstance(value, dict):
        yield from value.items()
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _items(child)
