"""The synthetic CLIP: a small convolutional image encoder and a small text transformer, trained in minutes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from kgclip.errors import KgclipError
from kgclip.synthetic.tokenizer import PAD_ID, HashTokenizer


@dataclass(frozen=True)
class TextConfig:
    """Sizes of the text encoder; ``buckets`` are the rows of the hashed embedding table."""

    embedding_dim: int = 256
    buckets: int = 4096
    width: int = 128
    depth: int = 2
    num_heads: int = 4


@dataclass(frozen=True)
class ImageConfig:
    """Sizes of the image encoder: the square image, then channels and residual blocks of each stage.

    Every stage halves the map, so 64 pixels and four stages end at 4 x 4.
    """

    embedding_dim: int = 256
    image_size: int = 64
    widths: tuple[int, ...] = (32, 64, 128, 256)
    depths: tuple[int, ...] = (0, 1, 1, 1)


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of each pixel: independent of the batch, cheap in channels-last memory."""

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Normalize each pixel over C."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResidualConv(nn.Module):
    """x + conv(relu(norm(x))): a pre-activation residual block (arXiv 1603.05027) with one 3 x 3 convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Return a map of the same shape."""
        return x + self.conv(functional.relu(self.norm(x)))


class ImageEncoder(nn.Module):
    """Encode square images by convolution stages; the last map is flattened, so that *where* a limb is stays known."""

    def __init__(self, config: ImageConfig):
        super().__init__()
        stages, channels = [], 3
        for index, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            entry = [nn.Conv2d(channels, width, 3, stride=2, padding=1)]
            norm = [ChannelNorm(channels), nn.ReLU()] if index else []
            stages.append(nn.Sequential(*norm, *entry, *(ResidualConv(width) for _ in range(depth))))
            channels = width
        side = config.image_size // 2 ** len(config.widths)
        self.stages = nn.ModuleList(stages)
        self.norm = ChannelNorm(channels)
        self.projection = nn.Linear(channels * side * side, config.embedding_dim)

    def forward(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """Return one embedding per image, not normalized."""
        x = pixels.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return self.projection(functional.relu(self.norm(x)).flatten(1))


class TextBlock(nn.Module):
    """A pre-norm transformer block; padding is neither attended to nor counted."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise KgclipError(f"a text tower: {num_heads} heads do not divide a width of {width}; choose others")
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        # Both branches start close to nothing: the tower begins as a bag of words and learns faster.
        for branch in (self.out, self.contract):
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(branch.bias)

    def forward(self, x: Float[Tensor, "K L W"], mask: Tensor) -> Float[Tensor, "K L W"]:
        """Return the updated sequence; `mask` [K, 1, 1, L] is True where there is a word."""
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.contract(functional.gelu(self.expand(self.mlp_norm(x))))


class TextEncoder(nn.Module):
    """Encode texts: each word is the mean of its hashed ids' vectors; a small transformer; the mean over the words."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.tokenizer = HashTokenizer(config.buckets)
        self.embedding = nn.Embedding(config.buckets, config.width, padding_idx=PAD_ID)
        self.positions = nn.Parameter(0.1 * torch.randn(self.tokenizer.max_words + 1, config.width))
        self.blocks = nn.ModuleList(TextBlock(config.width, config.num_heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.embedding_dim)

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """Return one embedding per text, not normalized."""
        ids = self.tokenizer(texts).to(self.positions.device)
        x = self.embed(ids)
        present = (ids != PAD_ID).any(-1)
        for block in self.blocks:
            x = block(x, present[:, None, None, :])
        weights = present / present.sum(1, keepdim=True)
        return self.projection((self.norm(x) * weights[..., None]).sum(1))

    def embed(self, ids: Int[Tensor, "K L G"]) -> Float[Tensor, "K L W"]:
        """Return the mean vector of the ids of each word, plus its position's."""
        counts = (ids != PAD_ID).sum(-1, keepdim=True).clamp(min=1)
        return self.embedding(ids).sum(2) / counts + self.positions[: ids.shape[1]]
