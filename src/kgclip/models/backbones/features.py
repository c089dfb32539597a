"""Backbones with a small text tower, and ready-made features of frames in place of an image encoder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone, Tower
from kgclip.synthetic.encoders import TextConfig, TextEncoder

NAMES = "features:.*"
KINDS = ("features",)


class SmallTextBackbone(Backbone):
    """Texts are encoded by the synthetic CLIP's text encoder, or by a sentence encoder that has taken its place."""

    text_encoder: nn.Module
    logit_scale_init = math.log(1 / 0.07)  # CLIP's initial temperature (arXiv 2103.00020, section 2.5)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`."""
        return self.text_encoder(texts)

    def towers(self) -> dict[str, Tower]:
        """The text tower; no tuning reaches a sentence encoder."""
        encoder = self.text_encoder
        if not isinstance(encoder, TextEncoder):
            return {"text": Tower((encoder,), (), (), frozen=True)}
        return {"text": Tower((encoder,), tuple(encoder.blocks), (encoder.norm, encoder.projection))}


class FeaturesBackbone(SmallTextBackbone):
    """Per-frame features of F dimensions from any encoder stand for the image tower; texts have a small tower.

    The text tower is the synthetic CLIP's, untrained, and the same for the same spec.
    """

    def __init__(self, frame_dim: int, text: TextConfig, seed: int):
        super().__init__()
        self.spec = {"kind": "features", "frame_dim": frame_dim, "text": asdict(text), "seed": seed}
        self.image_size = 0
        self.mean = self.std = (0.0, 0.0, 0.0)
        self.frame_dim = frame_dim
        self.embedding_dim = text.embedding_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.text_encoder = TextEncoder(text)

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """Raise KgclipError: there is no image tower."""
        raise KgclipError(
            f"features:{self.frame_dim}: this backbone has no image encoder, got pixels {tuple(pixels.shape)}; "
            "give features of frames, or use another backbone"
        )


def load(name: str) -> FeaturesBackbone:
    """Make the backbone of "features:F".

    Raises:
        KgclipError: F is no positive whole number.
    """
    frame_dim = name.removeprefix("features:")
    if not frame_dim.isdecimal() or int(frame_dim) == 0:
        raise KgclipError(f"{name}: the size of the features must be a whole number, e.g. features:512")
    return FeaturesBackbone(int(frame_dim), TextConfig(), seed=0)


def build(spec: Mapping[str, Any], *, empty: bool = False) -> FeaturesBackbone:
    """Make the module of that spec; its weights follow from the seed, also where `empty` would allow none."""
    return FeaturesBackbone(spec["frame_dim"], TextConfig(**spec["text"]), spec["seed"])
