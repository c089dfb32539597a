"""CLIP and SigLIP2 models of transformers behind the contract."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn

from kgclip.errors import KgclipError
from kgclip.files import read_text
from kgclip.models.backbones.attention import take_fast_attention
from kgclip.models.backbones.base import Backbone, Tower
from kgclip.models.backbones.pretrained import (
    IMAGE_TEXT,
    allowed,
    find_folder,
    load_model,
    new_model,
    new_tokenizer,
    read_object,
    read_tokenizer,
)
from kgclip.reading import one_sentence

NAMES = ".*"
KINDS = IMAGE_TEXT
_Channels = tuple[float, float, float]


class TransformersBackbone(Backbone):
    """A CLIP or SigLIP model of transformers, with its tokenizer, behind the contract."""

    model: Any  # CLIPModel or SiglipModel

    def __init__(
        self,
        spec: Mapping[str, Any],
        model: nn.Module | None = None,
        *,
        empty: bool = False,
        where: str = "the backbone's configuration",
    ):
        """Wrap `model`, or, if it is None, a new one of the same shape: of random weights, or empty.

        Raises:
            KgclipError: begins with `where`; the spec is of no such model.
        """
        super().__init__()
        self.spec = dict(spec) | {"config": allowed(spec["config"], where, KINDS)}
        self.model = new_model(self.spec["config"], f"{where} cannot be used", empty=empty) if model is None else model
        take_fast_attention(self.model)
        config = self.model.config
        self.image_size = config.vision_config.image_size
        self.mean, self.std = _mean_and_std(spec["mean"], spec["std"], where)
        is_clip = spec["kind"] == "clip"
        self.embedding_dim = config.projection_dim if is_clip else config.vision_config.hidden_size
        self.frame_dim = self.embedding_dim
        self.logit_scale_init = spec["logit_scale_init"]
        self.max_tokens = config.text_config.max_position_embeddings
        self.tokenizer = new_tokenizer(spec["tokenizer"]["json"], config.text_config.vocab_size, where)
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
        # A training step whose clips have no edge wants no text, and the modules of transformers cannot take none.
        encodings = self.tokenizer.encode_batch([text.lower() for text in texts or ("",)])
        ids = torch.tensor([encoding.ids for encoding in encodings], device=next(self.parameters()).device)
        return _embedding(self.model.get_text_features(input_ids=ids))[: len(texts)]

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
    return TransformersBackbone(spec, model, where=str(folder)).eval()


def _mean_and_std(mean: Any, std: Any, where: str) -> tuple[_Channels, _Channels]:
    """What frames are normalized by, per channel.

    Raises:
        KgclipError: with `where`; they are not three numbers each, or a spread is zero.
    """
    for values, least in ((mean, -math.inf), (std, 0.0)):
        numbers = isinstance(values, list | tuple) and all(isinstance(value, int | float) for value in values)
        if not numbers or len(values) != 3 or not all(least < value < math.inf for value in values):
            raise KgclipError(
                f"{where}: mean {mean!r} and std {std!r} of the channels; expected three numbers each, those of std "
                "above zero; download it again"
            )
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _tokenizer_spec(folder: Path) -> dict[str, Any]:
    """Return the tokenizer as text and its padding token, which is all it takes to make it again.

    tokenizer.json is read as it stands: the tokenizer classes of transformers do not all keep its end token and its
    padding (SigLIP2 names Gemma's class, which would pad on the left).
    """
    if (folder / "tokenizer.json").is_file():
        tokenizer = read_tokenizer(folder / "tokenizer.json")
    elif (folder / "merges.txt").is_file():
        tokenizer = _tokenizer_of_two_files(folder / "vocab.json", folder / "merges.txt")
    else:
        raise KgclipError(f"{folder / 'tokenizer.json'}: no such file; download the tokenizer of this model as well")
    pad_token = read_object(folder / "tokenizer_config.json").get("pad_token")
    if isinstance(pad_token, dict):  # the long form, with how to strip around it
        pad_token = pad_token.get("content")
    if pad_token is None or tokenizer.token_to_id(pad_token) is None:
        raise KgclipError(f"{folder / 'tokenizer_config.json'}: pad_token {pad_token!r} is no token; add it")
    return {"json": tokenizer.to_str(), "pad_token": pad_token}


def _tokenizer_of_two_files(words: Path, merges: Path) -> Tokenizer:
    """CLIP's tokenizer in its older layout: words with their numbers, and a line for each pair of pieces that merge."""
    from transformers import CLIPTokenizer

    vocab = read_object(words)
    lines = (line.split() for line in read_text(merges).splitlines() if not line.startswith("#version"))
    pairs: Any = [tuple(line) for line in lines if line]
    if not pairs:
        raise KgclipError(f"{merges}: holds no merges; download it again")
    with one_sentence(merges, f"merges of the words in {words.name}"):
        return CLIPTokenizer(vocab=vocab, merges=pairs).backend_tokenizer


def _parts(module: nn.Module, *names: str) -> list[nn.Module]:
    """Those of these submodules that there are."""
    return [getattr(module, name) for name in names if getattr(module, name, None) is not None]


def _embedding(output: Any) -> Tensor:
    """Return the pooled embedding: transformers 5 wraps it in an output object, transformers 4 returns it bare."""
    return output if isinstance(output, Tensor) else output.pooler_output
