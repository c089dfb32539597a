"""The synthetic CLIP's encoders, and the weights that ship with the package."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional

from kgclip.errors import KgclipError
from kgclip.models.backbones import synthetic
from kgclip.models.backbones.registry import load_backbone
from kgclip.synthetic.encoders import ChannelNorm, ImageConfig, ImageEncoder, TextConfig, TextEncoder

TEXTS = ["left arm bend", "right arm bend", "hop", ""]


@pytest.fixture
def text_encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(TextConfig(embedding_dim=16, buckets=512, width=32, num_heads=2)).eval()


def test_channel_norm_is_layer_norm_over_channels() -> None:
    x = torch.randn(2, 8, 3, 5)
    norm = ChannelNorm(8)
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    torch.testing.assert_close(norm(x), (x - mean) / (variance + norm.eps).sqrt())


@pytest.mark.parametrize(("size", "widths"), [(64, (8, 8, 16, 16)), (32, (8, 16, 16))])
def test_image_encoder_flattens_its_4_by_4_map(size: int, widths: tuple[int, ...]) -> None:
    encoder = ImageEncoder(ImageConfig(24, size, widths, (0,) * len(widths)))
    assert encoder.projection.in_features == 16 * 16
    assert encoder(torch.randn(3, 3, size, size)).shape == (3, 24)


def test_image_encoder_sees_where_things_are() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(ImageConfig(24, 64, (8, 8, 16, 16), (0, 1, 1, 1)))
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[..., 10:20, 5:15] = 1
    cosine = functional.cosine_similarity(encoder(pixels), encoder(pixels.flip(-1)))
    assert cosine.item() < 0.999


def test_text_encoder_reads_the_order_of_words(text_encoder: TextEncoder) -> None:
    with torch.no_grad():
        there, back = text_encoder(["left arm right leg", "right arm left leg"])
    assert functional.cosine_similarity(there, back, dim=0) < 0.9999


def test_padding_leaves_no_trace(text_encoder: TextEncoder) -> None:
    """A huge padding row and huge late positions change nothing of a short text beside a long one."""
    with torch.no_grad():
        alone = text_encoder(["hop"])
        text_encoder.positions[2:] = 1e3
        beside = text_encoder(["hop", "one two three four"])[:1]
    torch.testing.assert_close(alone, beside)


def test_word_vectors_are_means_of_their_rows(text_encoder: TextEncoder) -> None:
    ids = text_encoder.tokenizer(["left arm"])
    used = ids[0, 1][ids[0, 1] != 0]
    expected = text_encoder.embedding.weight[used].mean(0) + text_encoder.positions[1]
    torch.testing.assert_close(text_encoder.embed(ids)[0, 1], expected)


def test_shipped_weights_are_small_and_say_where_they_come_from() -> None:
    assert synthetic.WEIGHTS.stat().st_size <= 8_000_000
    with safe_open(synthetic.WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["spec"]) == load_backbone("synthetic").spec
    assert metadata["command"].startswith("python -m reproduce.pretrain_synthetic")
    assert json.loads(metadata["figures"])["probe"]["20"]["statistics"] >= 0.7


def test_shipped_backbone_is_single_precision_and_in_evaluation_mode() -> None:
    backbone = load_backbone("synthetic")
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert not backbone.training
    assert (backbone.image_size, backbone.embedding_dim, backbone.frame_dim) == (64, 256, 256)
    assert sum(parameter.numel() for parameter in backbone.parameters()) < 4_000_000


def test_damaged_weights_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    damaged = tmp_path / "synthetic_clip.safetensors"
    damaged.write_bytes(synthetic.WEIGHTS.read_bytes()[:1000])
    monkeypatch.setattr(synthetic, "WEIGHTS", damaged)
    with pytest.raises(KgclipError, match=r"cannot be read .*; reinstall kgclip"):
        load_backbone("synthetic")


def test_synthetic_clip_runs_in_half_precision() -> None:
    backbone = load_backbone("synthetic")
    pixels = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        exact = nn.functional.normalize(backbone.encode_image(pixels), dim=-1)
        with torch.autocast("cpu", torch.bfloat16):
            half = nn.functional.normalize(backbone.encode_image(pixels), dim=-1)
    assert (exact * half).sum(-1).min() > 0.995
