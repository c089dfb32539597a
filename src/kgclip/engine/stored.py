"""What a model's folder says of itself, checked before anything is made of it: types, sizes, shapes of the weights."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from msgspec import Meta, Struct, ValidationError, convert
from safetensors import safe_open
from torch import nn

from kgclip.engine.left_out import LeftOutClip
from kgclip.engine.unknown import Threshold
from kgclip.errors import KgclipError
from kgclip.files import read_json
from kgclip.identity import Identity
from kgclip.reading import check_file, one_sentence
from kgclip.visible import HIDDEN

MOST_LAYERS, MOST_ACTIONS = 500, 100_000
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


def check_shapes(make: Callable[[], nn.Module], file: Path) -> None:
    """Refuse a configuration whose model has other weights than the file, before memory is taken for it.

    Args:
        make: makes the model.
        file: its weights; their names and shapes are read, nothing else.

    Raises:
        KgclipError: they differ, or the file cannot be read.
    """
    check_file(file)
    try:
        with safe_open(file, framework="pt") as weights:
            found = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118 (not a dict)
    except Exception as error:
        raise KgclipError(f"{file}: cannot be read ({error}); restore the file or train again") from error
    with one_sentence(file.parent, "a model"), torch.device("meta"):
        expected = {name: list(tensor.shape) for name, tensor in make().state_dict().items()}
    if found != expected:
        raise KgclipError(f"{file}: holds the weights of another model than its configuration says; train again")


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
