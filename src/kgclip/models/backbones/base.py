"""The contract of a backbone: frames and texts become vectors of one space."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.identity import Identity, digest_tensors


@dataclass(frozen=True)
class Tower:
    """One encoder of a backbone, as tuning sees it.

    Args:
        modules: every module of the tower, from its input to its projection; each is called as a whole, and none has a
            parameter without dimensions, so that processes can share the weights out.
        blocks: its blocks in order, first to last.
        head: what follows the last block: final normalization, pooling, projection.
        frozen: it is used as it is, and cannot be tuned.
    """

    modules: tuple[nn.Module, ...]
    blocks: tuple[nn.Module, ...]
    head: tuple[nn.Module, ...]
    frozen: bool = False


class Backbone(nn.Module, ABC):
    """Encodes frames and texts into one space of D dimensions.

    Attributes:
        spec: JSON-able dict from which `build_backbone` makes the same module without its weights.
        image_size: side of the square frames in pixels; 0 if the backbone takes no pixels.
        mean, std: per-channel statistics by which frames in [0, 1] are normalized.
        embedding_dim: D, the length of a text's embedding.
        frame_dim: length of one frame's embedding: D, but F for ready-made features.
        logit_scale_init: log of the scale on cosines at which training starts.
        in_bf16: whether `embed_images` computes in bf16: several times faster on many processors, and what a model
            that was trained so has seen.
    """

    in_bf16 = False

    spec: dict[str, Any]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    embedding_dim: int
    frame_dim: int
    logit_scale_init: float

    @abstractmethod
    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """Return one embedding per frame, not normalized; `pixels` are normalized by `mean` and `std`."""

    def embed_images(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """`encode_image` in the precision of this backbone; the embeddings are not rounded to bf16 once more."""
        if not self.in_bf16:
            return self.encode_image(pixels)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            return self.encode_image(pixels).float()

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """Return one embedding per text, not normalized."""

    @abstractmethod
    def towers(self) -> dict[str, Tower]:
        """Return the encoders by name: "image", if the backbone takes pixels, and "text"."""

    @cached_property
    def image_identity(self) -> Identity | None:
        """Which encoder the frames have, by its weights when this is first read.

        Of ready-made features it is None until it is set to that of the encoder they are of.
        """
        tower = self.towers().get("image")
        if tower is None:
            return None
        how = f"{self.image_size} px, mean {list(self.mean)}, std {list(self.std)}"
        return Identity(name=self.spec.get("name", self.spec["kind"]), weights=digest_tower(tower), preprocessing=how)

    @property
    def identity(self) -> dict[str, Any]:
        """JSON-able: `image_identity` as "image", and as "text" the SHA-256 of the text tower's weights now."""
        return {"image": self.image_identity, "text": digest_tower(self.towers()["text"])}


def digest_tower(tower: Tower) -> str:
    """SHA-256 of a tower's weights."""
    modules = enumerate(tower.modules)
    return digest_tensors((f"{i}.{name}", tensor) for i, m in modules for name, tensor in m.state_dict().items())
