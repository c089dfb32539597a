"""The synthetic CLIP as a backbone: 64-pixel frames, D = 256, pre-trained weights inside the package."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Tower
from kgclip.models.backbones.small_text import SmallTextBackbone
from kgclip.synthetic.encoders import ImageConfig, ImageEncoder, TextConfig, TextEncoder

NAMES = "synthetic"
KINDS = ("synthetic",)
WEIGHTS = Path(__file__).parents[2] / "synthetic" / "weights" / "synthetic_clip.safetensors"


class SyntheticBackbone(SmallTextBackbone):
    """The synthetic CLIP behind the contract."""

    def __init__(self, image: ImageConfig, text: TextConfig):
        super().__init__()
        sizes = {"widths": list(image.widths), "depths": list(image.depths)}  # as they come back from JSON
        self.spec = {"kind": "synthetic", "image": asdict(image) | sizes, "text": asdict(text)}
        self.image_size = image.image_size
        self.mean = self.std = (0.5, 0.5, 0.5)
        self.embedding_dim = self.frame_dim = image.embedding_dim
        self.image_encoder = ImageEncoder(image)
        self.text_encoder = TextEncoder(text)

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """See `Backbone.encode_image`."""
        return self.image_encoder(pixels)

    def image_tower(self) -> Tower:
        """The image encoder; its blocks are the convolution stages."""
        image = self.image_encoder
        return Tower((image,), tuple(image.stages), (image.norm, image.projection))


def build(spec: Mapping[str, Any], *, empty: bool = False) -> SyntheticBackbone:
    """Make the module of that spec with random weights, also where `empty` would allow none."""
    image = dict(spec["image"])
    image |= {key: tuple(image[key]) for key in ("widths", "depths")}
    return SyntheticBackbone(ImageConfig(**image), TextConfig(**spec["text"]))


def load(name: str) -> SyntheticBackbone:
    """Load the weights inside the package.

    Raises:
        KgclipError: they are missing or damaged.
    """
    try:
        with safe_open(WEIGHTS, framework="pt") as file:
            spec = json.loads(file.metadata()["spec"])
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise KgclipError(f"{WEIGHTS}: cannot be read ({error}); reinstall kgclip") from error
    backbone = build(spec)
    backbone.load_state_dict(weights)
    return backbone.eval()
