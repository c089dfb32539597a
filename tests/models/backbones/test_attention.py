"""Attention as matrix products equals torch's, and transformers' models take it in bf16 alone."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from kgclip.models.backbones import attention
from kgclip.models.backbones.attention import attend
from kgclip.models.backbones.registry import load_backbone


@pytest.mark.parametrize("kind", ["none", "causal", "bool", "float"])
def test_it_equals_the_fused_kernel_with_its_gradients(kind: str):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    seen = torch.rand(2, 1, 7, 7) < 0.7
    seen |= torch.eye(7, dtype=torch.bool)
    mask = {"bool": seen, "float": torch.randn(1, 1, 7, 7, dtype=torch.float64)}.get(kind)
    causal = kind == "causal"
    expected = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal, scale=0.3)
    found = attend(query, key, value, mask, 0.3, causal=causal)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(found)
    for gradients in zip(
        torch.autograd.grad(found, (query, key, value), direction),
        torch.autograd.grad(expected, (query, key, value), direction),
        strict=True,
    ):
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_embeddings_and_gradients_in_bf16_are_as_near_as_with_the_fused_kernel(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    folder: Path = request.getfixturevalue(f"{kind}_folder")
    pixels, texts = torch.randn(3, 3, 32, 32), ["left arm bend", "a"]
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return attend(*args, **kwargs)

    monkeypatch.setattr(attention, "attend", counted)

    def results(implementation: str, *, half: bool) -> torch.Tensor:
        backbone = load_backbone(str(folder))
        backbone.model.set_attn_implementation(implementation)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            embeddings = torch.cat([backbone.encode_image(pixels), backbone.encode_text(texts)]).float()
        embeddings.square().sum().backward()
        gradients = [p.grad.flatten() for p in backbone.parameters() if p.grad is not None]
        return torch.cat([embeddings.detach().flatten(), *gradients])

    exact = results("sdpa", half=False)
    torch.testing.assert_close(results("kgclip", half=False), exact)
    assert not calls
    fused = results("sdpa", half=True)
    assert not calls
    ours = results("kgclip", half=True)
    assert len(calls) == 6  # blocks of both towers
    assert 0 < (ours - exact).norm() < 1.5 * (fused - exact).norm() < 0.05 * exact.norm()


def test_models_take_it_by_themselves(clip_folder: Path):
    model = load_backbone(str(clip_folder)).model
    assert model.vision_model.config._attn_implementation == "kgclip"
    assert model.text_model.config._attn_implementation == "kgclip"
