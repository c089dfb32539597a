"""Small pictures inside pages, as data addresses."""

import base64
import io

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch.nn.functional import interpolate

QUALITY = 40


def data_address(mime: str, content: bytes) -> str:
    """``data:`` with the content in it."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def webp(image: UInt8[np.ndarray, "H W 3"]) -> str:
    """The data address of a picture as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "webp", quality=QUALITY)
    return data_address("image/webp", buffer.getvalue())


def resized(images: UInt8[np.ndarray, "T _ _ 3"], height: int, width: int) -> UInt8[np.ndarray, "T H W 3"]:
    """Pictures of another size; made smaller, each pixel is the mean of those it stands for."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    scaled = interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).numpy())


def fitted(images: UInt8[np.ndarray, "T _ _ 3"], height: int, width: int) -> UInt8[np.ndarray, "T H W 3"]:
    """Pictures inside tiles of that size, whole, with black beside them."""
    scale = min(height / images.shape[1], width / images.shape[2])
    inner = resized(images, max(1, round(scale * images.shape[1])), max(1, round(scale * images.shape[2])))
    tiles = np.zeros((len(images), height, width, 3), dtype=np.uint8)
    top, left = (height - inner.shape[1]) // 2, (width - inner.shape[2]) // 2
    tiles[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
    return tiles


def side_by_side(images: UInt8[np.ndarray, "T _ _ 3"], width: int) -> UInt8[np.ndarray, "H W 3"]:
    """Frames of a clip in one picture, in order, each that many pixels wide."""
    height = max(1, round(width * images.shape[1] / images.shape[2]))
    return np.concatenate(list(resized(images, height, width)), axis=1)
