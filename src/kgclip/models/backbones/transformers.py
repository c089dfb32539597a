"""CLIP and SigLIP2 models of transformers behind the contract."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn

from kgclip.errors import KgclipError
from kgclip.models.backbones.attention import take_fast_attention
from kgclip.models.backbones.base import Backbone, Tower
from kgclip.models.backbones.pretrained import (
    IMAGE_TEXT,
    allowed,
    find_folder,
    load_model,
    new_model,
    read_object,
    read_tokenizer,
)
from kgclip.reading import one_sentence

NAMES = ".*"
KINDS = IMAGE_TEXT


class TransformersBackbone(Backbone):
    """A CLIP or SigLIP model of transformers, with its tokenizer, behind the contract."""

    model: Any  # CLIPModel or SiglipModel

    def __init__(self, spec: Mapping[str, Any], model: nn.Module | None = None, *, empty: bool = False):
        """Wrap `model`, or, if it is None, a new one of the same shape: of random weights, or empty."""
        super().__init__()
        self.spec = dict(spec) | {"config": allowed(spec["config"], "the backbone's configuration", KINDS)}
        where = "the backbone's configuration cannot be used"
        self.model = new_model(self.spec["config"], where, empty=empty) if model is None else model
        take_fast_attention(self.model)
        config = self.model.config
        self.image_size = config.vision_config.image_size
        self.mean, self.std = tuple(spec["mean"]), tuple(spec["std"])
        is_clip = spec["kind"] == "clip"
        self.embedding_dim = config.projection_dim if is_clip else config.vision_config.hidden_size
        self.frame_dim = self.embedding_dim
        self.logit_scale_init = spec["logit_scale_init"]
        self.max_tokens = config.text_config.max_position_embeddings
        self.tokenizer = Tokenizer.from_str(spec["tokenizer"]["json"])
        self.tokenizer.enable_truncation(self.max_tokens)
        # CLIP reads a text at its end token and never looks beyond it: padding to the longest is the same and faster.
        # SigLIP reads the last of always 64 positions, as it was trained.
        pad_token = spec["tokenizer"]["pad_token"]
        pad_id = self.tokenizer.token_to_id(pad_token)
        self.tokenizer.enable_padding(length=None if is_clip else self.max_tokens, pad_id=pad_id, pad_token=pad_token)

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """See `Backbone.encode_image`."""
        return _embedding(self.model.get_image_features(pixel_values=pixels))

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`; texts are lower-cased, and cut off at the model's length."""
        encodings = self.tokenizer.encode_batch([text.lower() for text in texts])
        ids = torch.tensor([encoding.ids for encoding in encodings], device=next(self.parameters()).device)
        return _embedding(self.model.get_text_features(input_ids=ids))

    def towers(self) -> dict[str, Tower]:
        """See `Backbone.towers`."""
        image, text = self.model.vision_model, self.model.text_model
        return {"image": self._tower(image, "visual_projection"), "text": self._tower(text, "text_projection")}

    def _tower(self, encoder: Any, projection: str) -> Tower:
        """An encoder with its projection, which SigLIP keeps inside it."""
        after = tuple(_parts(self.model, projection))
        head = _parts(encoder, "post_layernorm", "final_layer_norm", "head")
        return Tower((encoder, *after), tuple(encoder.encoder.layers), (*head, *after))


def build(spec: Mapping[str, Any], *, empty: bool = False) -> TransformersBackbone:
    """Make the module of that spec, with random weights or, if `empty`, with none."""
    return TransformersBackbone(spec, empty=empty)


def load(name: str) -> TransformersBackbone:
    """Load a CLIP or fixed-resolution SigLIP2 model.

    Args:
        name: folder in the layout of transformers, or the hub's name of one.

    Raises:
        KgclipError: the folder or a file in it is missing, damaged or of another kind of model.
    """
    folder = find_folder(name)
    with one_sentence(folder, "a CLIP or SigLIP model"):
        return _load(folder, name)


def _load(folder: Path, name: str) -> TransformersBackbone:
    config = allowed(read_object(folder / "config.json"), str(folder / "config.json"), KINDS)
    preprocessing = read_object(folder / "preprocessor_config.json")
    tokenizer = _tokenizer_spec(folder)
    model = load_model(config, folder)
    spec = {
        "kind": config["model_type"],
        "name": folder.name if Path(name).expanduser().is_dir() else name,
        "config": config,
        "mean": preprocessing.get("image_mean", [0.5] * 3),
        "std": preprocessing.get("image_std", [0.5] * 3),
        "logit_scale_init": model.logit_scale.item(),
        "tokenizer": tokenizer,
    }
    return TransformersBackbone(spec, model).eval()


def _tokenizer_spec(folder: Path) -> dict[str, Any]:
    """Return the tokenizer as text and its padding token, which is all it takes to make it again.

    tokenizer.json is read as it stands: the tokenizer classes of transformers do not all keep its end token and its
    padding (SigLIP2 names Gemma's class, which would pad on the left).
    """
    if (folder / "tokenizer.json").is_file():
        tokenizer = read_tokenizer(folder / "tokenizer.json")
    elif (folder / "merges.txt").is_file():
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    else:
        raise KgclipError(f"{folder / 'tokenizer.json'}: no such file; download the tokenizer of this model as well")
    pad_token = read_object(folder / "tokenizer_config.json").get("pad_token")
    if isinstance(pad_token, dict):  # the long form, with how to strip around it
        pad_token = pad_token.get("content")
    if pad_token is None or tokenizer.token_to_id(pad_token) is None:
        raise KgclipError(f"{folder / 'tokenizer_config.json'}: pad_token {pad_token!r} is no token; add it")
    return {"json": tokenizer.to_str(), "pad_token": pad_token}


def _parts(module: nn.Module, *names: str) -> list[nn.Module]:
    """Those of these submodules that there are."""
    return [getattr(module, name) for name in names if getattr(module, name, None) is not None]


def _embedding(output: Any) -> Tensor:
    """Return the pooled embedding: transformers 5 wraps it in an output object, transformers 4 returns it bare."""
    return output if isinstance(output, Tensor) else output.pooler_output
