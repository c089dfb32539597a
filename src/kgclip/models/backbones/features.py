"""Ready-made features of frames in place of an image encoder, with a small text tower beside them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Tower
from kgclip.models.backbones.small_text import SmallTextBackbone
from kgclip.synthetic.encoders import TextConfig, TextEncoder

NAMES = "features:.*"
KINDS = ("features",)


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

    def image_tower(self) -> Tower | None:
        """None: the features' encoder is not here."""
        return None


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
