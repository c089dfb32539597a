"""Which encoder made an embedding: its name, the digest of its weights, and how it takes its input."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from torch import Tensor


class Identity(TypedDict):
    """One encoder. The name is for people; two encoders are the same if the rest is equal.

    Attributes:
        name: of the encoder.
        weights: SHA-256 of its weights, in hex digits.
        preprocessing: what is done to frames before, or the SHA-256 of the code that does it; empty for texts.
    """

    name: str
    weights: str
    preprocessing: str


def is_same(first: Identity, second: Identity) -> bool:
    """Whether both make the same embeddings of the same input."""
    return all(first[key] == second[key] for key in ("weights", "preprocessing"))


def describe(identity: Identity) -> str:
    """The encoder in a message."""
    return f"{identity['name']} (weights {identity['weights'][:8]}, {identity['preprocessing'][:40]})"


def digest_tensors(tensors: "Iterable[tuple[str, Tensor]]") -> str:
    """SHA-256 of named tensors as float32, whatever their order and device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.detach().cpu().float().contiguous().numpy()).cast("B"))
    return digest.hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
