"""Attention written out as matrix products, which on a CPU in bf16 is faster than torch's fused kernel."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def attend(
    query: Float[Tensor, "N A L E"],
    key: Float[Tensor, "N A P E"],
    value: Float[Tensor, "N A P E"],
    mask: Float[Tensor, "#N #A L P"] | Bool[Tensor, "#N #A L P"] | None,
    scale: float,
    *,
    causal: bool,
) -> Float[Tensor, "N A L E"]:
    """``softmax(scale · Q Kᵀ + mask) V`` of every head (arXiv 1706.03762, Eq. 1).

    The fused kernel needs no memory for Q Kᵀ, but its products are no faster for that, and its backward pass much
    slower. Sequences of frames' patches and of names are short.

    Args:
        query, key, value: N sequences, A heads, L and P positions, E dimensions a head.
        mask: added to the logits; or true where a position is seen.
        scale: factor of the logits.
        causal: positions see only those before them and themselves; for where no mask says so.
    """
    logits = (query * scale) @ key.mT
    if causal:
        mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        logits = logits.masked_fill(~mask, float("-inf"))
    elif mask is not None:
        logits = logits + mask.to(logits.dtype)
    return logits.softmax(dim=-1) @ value


def take_fast_attention(model: Any) -> None:
    """Have a model of transformers compute attention by :func:`attend` where that is faster: on a CPU in bf16."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
        if query.device.type != "cpu" or query.dtype != torch.bfloat16 or dropout > 0:
            given = (query, key, value, attention_mask, dropout, scaling, causal)
            return sdpa_attention_forward(module, *given, **kwargs)
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        mixed = attend(query, key, value, attention_mask, scale, causal=causal and attention_mask is None)
        return mixed.transpose(1, 2).contiguous(), None

    AttentionInterface.register("kgclip", attention)
    AttentionMaskInterface.register("kgclip", sdpa_mask)
    model.set_attn_implementation("kgclip")
