"""Which encoder made an embedding: its name, the digest of its weights, and how it takes its input."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from torch import Tensor


class Identity(TypedDict):
    """One encoder of frames.

    Attributes:
        name: for people; it tells encoders apart only where the weights are unknown.
        weights: SHA-256 of its weights, in hex digits; empty if they are unknown.
        preprocessing: what is done to frames before, or the SHA-256 of the code that does it.
    """

    name: str
    weights: str
    preprocessing: str


def is_same(first: Identity, second: Identity) -> bool:
    """Whether both make the same features of the same frames."""
    keys = [(identity["weights"] or identity["name"], identity["preprocessing"]) for identity in (first, second)]
    return keys[0] == keys[1]


def describe(identity: Identity) -> str:
    """The encoder in a message."""
    return f"{identity['name']} ({identity['weights'][:8] or 'unknown weights'}; {identity['preprocessing'][:60]})"


def digest_tensors(tensors: "Iterable[tuple[str, Tensor]]") -> str:
    """SHA-256 of named tensors as float32, whatever their order and device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().data)
    return digest.hexdigest()
