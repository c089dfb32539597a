"""Backbones whose texts have a small tower that a sentence encoder may replace."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from kgclip.models.backbones.base import Backbone, Tower
from kgclip.synthetic.encoders import TextEncoder


class SmallTextBackbone(Backbone):
    """Texts are encoded by the synthetic CLIP's text encoder.

    Attributes:
        text_encoder: gone where a sentence encoder has taken its place.
    """

    text_encoder: TextEncoder
    logit_scale_init = math.log(1 / 0.07)  # CLIP's initial temperature (arXiv 2103.00020, section 2.5)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`."""
        return self.text_encoder(texts)

    def text_tower(self) -> Tower:
        """See `Backbone.text_tower`."""
        encoder = self.text_encoder
        return Tower((encoder,), tuple(encoder.blocks), (encoder.norm, encoder.projection))
