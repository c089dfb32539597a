"""Sentence encoders in the layout of sentence-transformers: texts embedded by their meaning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.errors import KgclipError
from kgclip.models.backbones.pretrained import (
    TEXT,
    allowed,
    load_model,
    new_model,
    new_tokenizer,
    read_json,
    read_object,
    read_tokenizer,
)
from kgclip.reading import one_sentence

_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_MODULES = ("Transformer", "Pooling", "Normalize")


class SentenceTower(nn.Module):
    """A frozen transformer over tokens, pooled to one embedding a text.

    Args:
        spec: JSON-able: the configuration, the tokenizer, the pooling; see :func:`load_sentence_tower`.
        encoder: the transformer with its weights; None makes one of the same shape.
        empty: leave that one without weights, for a state dict to be assigned; else they are random.

    Attributes:
        spec: as given.
        embedding_dim: D.
    """

    encoder: Any

    def __init__(
        self,
        spec: dict[str, Any],
        encoder: nn.Module | None = None,
        *,
        empty: bool = False,
        where: str = "the sentence encoder's configuration",
    ):
        super().__init__()
        self.spec = spec | {"config": allowed(spec["config"], where, TEXT)}
        cannot = f"{where} cannot be used"
        self.encoder = new_model(self.spec["config"], cannot, empty=empty) if encoder is None else encoder
        config = self.encoder.config
        self.embedding_dim: int = config.hidden_size
        self.tokenizer = new_tokenizer(spec["tokenizer"], config.vocab_size, where)
        self.tokenizer.enable_truncation(spec["max_tokens"])
        # Padding is masked, so that the id does not matter.
        self.tokenizer.enable_padding(pad_id=config.pad_token_id or 0)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "SentenceTower":
        """Stay in evaluation mode: a frozen encoder must not drop out."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """One embedding per text; of unit length if the encoder was published so."""
        encodings = self.tokenizer.encode_batch(list(texts))
        device = next(self.parameters()).device
        ids = torch.tensor([encoding.ids for encoding in encodings], device=device)
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=device)
        tokens = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.spec["pooling"] == "cls":
            pooled = tokens[:, 0]
        else:
            weights = mask[..., None].to(tokens.dtype)
            pooled = (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
        return nn.functional.normalize(pooled, dim=-1) if self.spec["normalize"] else pooled


def load_sentence_tower(name: str) -> SentenceTower:
    """Load a sentence encoder from a local folder.

    Args:
        name: the folder: modules.json (Transformer, Pooling, optionally Normalize), config.json, tokenizer.json,
            model.safetensors, and mean or cls pooling in 1_Pooling/config.json.

    Raises:
        KgclipError: the folder or a file is missing or damaged, or it is another kind of model.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise KgclipError(f"{name}: no such folder; give the local folder of a sentence encoder, with modules.json")
    with one_sentence(folder, "a sentence encoder"):
        return _load(folder)


def _load(folder: Path) -> SentenceTower:
    pooling, normalize = _read_modules(folder)
    config = allowed(read_object(folder / "config.json"), str(folder / "config.json"), TEXT)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    encoder = load_model(config, folder)
    settings = folder / "sentence_bert_config.json"
    longest = encoder.config.max_position_embeddings
    if settings.exists():
        longest = min(read_object(settings).get("max_seq_length") or longest, longest)
    spec = {
        "config": config,
        "tokenizer": tokenizer.to_str(),
        "pooling": pooling,
        "normalize": normalize,
        "max_tokens": longest,
    }
    return SentenceTower(spec, encoder, where=str(folder))


def _read_modules(folder: Path) -> tuple[str, bool]:
    """Which pooling follows the transformer, and whether the result has unit length."""
    file = folder / "modules.json"
    modules = read_json(file)
    found = isinstance(modules, list) and all(isinstance(m, dict) and "type" in m and "path" in m for m in modules)
    kinds = [module["type"].rpartition(".")[2] for module in modules] if found else []
    if kinds not in (list(_MODULES[:2]), list(_MODULES)):
        raise KgclipError(
            f"{file}: has the modules {', '.join(kinds) or 'of no sentence encoder'}, expected {', '.join(_MODULES)} "
            "(the last optional); use another encoder"
        )
    inner = Path(modules[1]["path"]).name  # a folder of this one, wherever the path leads
    file = folder / inner / "config.json"
    chosen = [key for key, value in read_object(file).items() if key.startswith("pooling_mode_") and value is True]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        raise KgclipError(
            f"{file}: pools by {', '.join(chosen) or 'nothing'}, expected mean or cls; use another encoder"
        )
    return _POOLINGS[chosen[0]], len(kinds) == len(_MODULES)
