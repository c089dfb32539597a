"""From decoded frames to the pixels a backbone takes: CLIP's preprocessing and the training augmentation."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from kgclip.video.augmentation import Augmentation

# Luma of ITU-R BT.601, the gray that PIL and torchvision use.
LUMA = (0.299, 0.587, 0.114)


def preprocess(
    frames: UInt8[Tensor, "T H W C"], image_size: int, mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "T C image_size image_size"]:
    """CLIP's evaluation preprocessing: short side to `image_size` (bicubic, antialias), center crop, normalize.

    The frames are RGB; mean and standard deviation those of the channels in [0, 1]. Equals PIL's resize within one
    gray level before the normalization; sizes are rounded as in torchvision and the crop as in transformers, both
    downwards.
    """
    height, width = frames.shape[1:3]
    short, long = min(height, width), max(height, width)
    other = image_size * long // short
    size = (other, image_size) if height > width else (image_size, other)
    resized = _resize(frames, size)
    top, left = (size[0] - image_size) // 2, (size[1] - image_size) // 2
    return _normalize(resized[:, :, top : top + image_size, left : left + image_size], mean, std)


def shrunk(image: UInt8[np.ndarray, "_ _ 3"], width: int) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of even sides and at most that width."""
    scale = min(1.0, width / image.shape[1])
    size = tuple(max(2, 2 * round(scale * side / 2)) for side in image.shape[:2])
    if size == image.shape[:2]:
        return image
    return scaled(image, *size)


def scaled(image: UInt8[np.ndarray, "_ _ 3"], height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of that size."""
    pixels = torch.from_numpy(np.ascontiguousarray(image))[None].permute(0, 3, 1, 2)
    resized = interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def augment(
    frames: UInt8[Tensor, "T H W C"],
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    options: Augmentation,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "T C image_size image_size"], bool]:
    """Crop, flip and recolor a clip at random, then normalize as `preprocess` does; tell whether it was flipped.

    After a flip the caller must swap left and right in the movements. Every call draws the same number of values from
    the generator.
    """
    draws = torch.rand(9, generator=generator).tolist()
    top, left, height, width = _crop_box(frames.shape[1], frames.shape[2], options.scales, draws[:3])
    pixels = _resize(frames[:, top : top + height, left : left + width], (image_size, image_size))
    flipped = draws[3] < options.flip
    if flipped:
        pixels = pixels.flip(3)
    return _normalize(_recolor(pixels, options, draws[4:]), mean, std), flipped


def _resize(frames: UInt8[Tensor, "T H W C"], size: tuple[int, int]) -> UInt8[Tensor, "T C h w"]:
    pixels = frames.permute(0, 3, 1, 2)
    if pixels.shape[2:] == size:
        return pixels
    return interpolate(pixels, size, mode="bicubic", antialias=True)


def _normalize(
    pixels: Shaped[Tensor, "T C H W"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "T C H W"]:
    """Take values from 0 to 255 of any type to ``(value / 255 - mean) / std``."""
    scale = 1 / (255 * torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))
    shift = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1) * 255 * scale
    # The channels are moved to the front while they are still bytes, which is a quarter of the traffic.
    return pixels.contiguous().float().mul_(scale).sub_(shift)


def _crop_box(height: int, width: int, scales: Sequence[float], draws: Sequence[float]) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop, from three draws in [0, 1)."""
    steps = len(scales)
    pairs = [(i, j) for i in range(steps) for j in range(steps) if abs(i - j) <= 1]
    row, column = pairs[int(draws[0] * len(pairs))]
    short = min(height, width)
    crop_height = max(1, round(short * scales[row]))
    crop_width = max(1, round(short * scales[column]))
    top = int(draws[1] * (height - crop_height + 1))
    left = int(draws[2] * (width - crop_width + 1))
    return top, left, crop_height, crop_width


def _recolor(
    pixels: UInt8[Tensor, "T 3 H W"], options: Augmentation, draws: Sequence[float]
) -> Float[Tensor, "T 3 H W"]:
    """Jitter and gray as one affine map of the colors, clamped to 0 to 255."""
    values = pixels.contiguous().float()
    matrix, offset = _color_map(values, options, draws)
    return (matrix @ values.flatten(2)).add_(offset).clamp_(0, 255).view_as(values)


def _color_map(
    pixels: Float[Tensor, "T 3 H W"], options: Augmentation, draws: Sequence[float]
) -> tuple[Float[Tensor, "3 3"], float]:
    """The 3 x 3 matrix and the offset of brightness, contrast, saturation, hue and gray, in this order."""
    brightness = 1 + options.brightness * (2 * draws[0] - 1)
    contrast = 1 + options.contrast * (2 * draws[1] - 1)
    saturation = 1 + options.saturation * (2 * draws[2] - 1)
    angle = 2 * math.pi * options.hue * (2 * draws[3] - 1)
    luma = torch.tensor(LUMA)
    to_gray = torch.ones(3, 1) * luma
    if draws[4] < options.gray:
        chroma = to_gray
    else:
        chroma = _hue_rotation(angle) @ (saturation * torch.eye(3) + (1 - saturation) * to_gray)
    mean_luma = float(luma @ pixels.mean((0, 2, 3)))
    # Contrast blends with the mean after brightness; rows of `chroma` sum to 1, so the offset passes through it.
    return brightness * contrast * chroma, (1 - contrast) * brightness * mean_luma


def _hue_rotation(angle: float) -> Float[Tensor, "3 3"]:
    """Turn colors about the gray axis by `angle` in radians (Rodrigues' formula): grays stay as they are."""
    axis = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -axis, axis], [axis, 0.0, -axis], [-axis, axis, 0.0]])
    outer = torch.full((3, 3), 1 / 3)
    return math.cos(angle) * torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * outer
