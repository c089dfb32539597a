"""SqueezeNet v1.0 as an encoder of frames: `kgclip data features --encoder benchmarks/squeezenet.py:squeezenet`.

Architecture: arXiv 1602.07360. Weights: Caffe convention (BGR, 0–255 less the channel means, 227 px), a safetensors
file with ``conv1``, ``fire2`` … ``fire9`` (``squeeze``, ``expand1x1``, ``expand3x3``) and ``conv10``.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

SIZE = 227
MEAN_BGR = (104.0, 117.0, 123.0)


def forward(weights: dict[str, Tensor], images: Float[Tensor, "N 3 227 227"]) -> Float[Tensor, "N 512"]:
    """The spatial mean of fire9's maps, for BGR images less the channel means."""

    def conv(x: Tensor, name: str, padding: int = 0, stride: int = 1) -> Tensor:
        return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))

    def fire(x: Tensor, name: str) -> Tensor:
        x = conv(x, f"{name}.squeeze")
        return torch.cat([conv(x, f"{name}.expand1x1"), conv(x, f"{name}.expand3x3", padding=1)], dim=1)

    x = F.max_pool2d(conv(images, "conv1", stride=2), 3, 2, ceil_mode=True)
    for number in range(2, 10):
        x = fire(x, f"fire{number}")
        if number in (4, 8):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return x.mean(dim=(2, 3))


def squeezenet(file: Path) -> Callable[[UInt8[np.ndarray, "T H W 3"]], Float[Tensor, "T F"]]:
    """The encoder with the weights of that file: from RGB frames to 512 features each."""
    weights = load_file(file)
    mean = torch.tensor(MEAN_BGR)[:, None, None]

    @torch.no_grad()
    def encode(frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "T F"]:
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
        return forward(weights, images.flip(1) - mean)

    return encode
