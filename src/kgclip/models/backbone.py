"""The backbone contract and its kinds: synthetic CLIP, CLIP and SigLIP2 from transformers, and ready-made features."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from kgclip.errors import KgclipError
from kgclip.models.attention import take_fast_attention
from kgclip.models.hub import check_weight_files, find_folder, first_line, new_model, no_progress_bar, read_json
from kgclip.models.memory import keep_freed_memory
from kgclip.models.sentence import SentenceTower, load_sentence_tower
from kgclip.synthetic.encoders import ImageConfig, ImageEncoder, TextConfig, TextEncoder

SYNTHETIC_WEIGHTS = Path(__file__).parents[1] / "synthetic" / "weights" / "synthetic_clip.safetensors"
_CLIP_LOGIT_SCALE = math.log(1 / 0.07)  # CLIP's initial temperature (arXiv 2103.00020, section 2.5)


@dataclass(frozen=True)
class Tower:
    """One encoder of a backbone, as tuning sees it.

    Args:
        modules: every module of the tower, from its input to its projection.
        blocks: its blocks in order, first to last.
        head: what follows the last block: final normalization, pooling, projection.
    """

    modules: tuple[nn.Module, ...]
    blocks: tuple[nn.Module, ...]
    head: tuple[nn.Module, ...]


class Backbone(nn.Module, ABC):
    """Encodes frames and texts into one space of D dimensions.

    Attributes:
        spec: JSON-able dict from which `build_backbone` makes the same module without its weights.
        image_size: side of the square frames in pixels; 0 if the backbone takes no pixels.
        mean, std: per-channel statistics by which frames in [0, 1] are normalized.
        embedding_dim: D, the length of a text's embedding.
        frame_dim: length of one frame's embedding: D, but F for ready-made features.
        logit_scale_init: log of the scale on cosines at which training starts.
        in_bf16: whether `embed_images` computes in bf16: several times faster on many processors, and what a model
            that was trained so has seen.
    """

    in_bf16 = False

    spec: dict[str, Any]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    embedding_dim: int
    frame_dim: int
    logit_scale_init: float

    def __init__(self):
        super().__init__()
        keep_freed_memory()

    @abstractmethod
    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """Return one embedding per frame, not normalized; `pixels` are normalized by `mean` and `std`."""

    def embed_images(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """`encode_image` in the precision of this backbone; the embeddings are not rounded to bf16 once more."""
        if not self.in_bf16:
            return self.encode_image(pixels)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            return self.encode_image(pixels).float()

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """Return one embedding per text, not normalized."""

    @abstractmethod
    def towers(self) -> dict[str, Tower]:
        """Return the encoders by name, "image" (if there is one) and "text"; tuning needs to know their blocks."""


class SyntheticBackbone(Backbone):
    """The synthetic CLIP behind the contract: 64-pixel frames, D = 256, pre-trained weights inside the package."""

    def __init__(self, image: ImageConfig, text: TextConfig):
        super().__init__()
        sizes = {"widths": list(image.widths), "depths": list(image.depths)}  # as they come back from JSON
        self.spec = {"kind": "synthetic", "image": asdict(image) | sizes, "text": asdict(text)}
        self.image_size = image.image_size
        self.mean = self.std = (0.5, 0.5, 0.5)
        self.embedding_dim = self.frame_dim = image.embedding_dim
        self.logit_scale_init = _CLIP_LOGIT_SCALE
        self.image_encoder = ImageEncoder(image)
        self.text_encoder = TextEncoder(text)

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """See `Backbone.encode_image`."""
        return self.image_encoder(pixels)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`."""
        return self.text_encoder(texts)

    def towers(self) -> dict[str, Tower]:
        """See `Backbone.towers`."""
        return {"image": self.image_tower(), "text": _text_tower(self.text_encoder)}

    def image_tower(self) -> Tower:
        """The image encoder; its blocks are the convolution stages."""
        image = self.image_encoder
        return Tower((image,), tuple(image.stages), (image.norm, image.projection))


class FeaturesBackbone(Backbone):
    """Per-frame features of F dimensions from any encoder stand for the image tower; texts have a small tower.

    The text tower is the synthetic CLIP's, untrained, and the same for the same spec.
    """

    mean = std = (0.0, 0.0, 0.0)

    def __init__(self, frame_dim: int, text: TextConfig, seed: int):
        super().__init__()
        self.spec = {"kind": "features", "frame_dim": frame_dim, "text": asdict(text), "seed": seed}
        self.image_size = 0
        self.frame_dim = frame_dim
        self.embedding_dim = text.embedding_dim
        self.logit_scale_init = _CLIP_LOGIT_SCALE
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.text_encoder = TextEncoder(text)

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """Raise KgclipError: there is no image tower."""
        raise KgclipError(
            f"features:{self.frame_dim}: this backbone has no image encoder, got pixels {tuple(pixels.shape)}; "
            "extract features of the frames first, or use another backbone"
        )

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`."""
        return self.text_encoder(texts)

    def towers(self) -> dict[str, Tower]:
        """See `Backbone.towers`."""
        return {"text": _text_tower(self.text_encoder)}


class TransformersBackbone(Backbone):
    """A CLIP or SigLIP model of transformers, with its tokenizer, behind the contract."""

    model: Any  # CLIPModel or SiglipModel

    def __init__(self, spec: Mapping[str, Any], model: nn.Module | None = None, *, empty: bool = False):
        """Wrap `model`, or, if it is None, a new one of the same shape: of random weights, or empty."""
        from tokenizers import Tokenizer
        from transformers import AutoConfig

        super().__init__()
        self.spec = dict(spec)
        config = AutoConfig.for_model(**spec["config"])
        self.model = new_model(config, empty=empty, attn_implementation="sdpa") if model is None else model
        take_fast_attention(self.model)
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
        towers = {}
        for name, attribute in (("image", "vision"), ("text", "text")):
            tower = getattr(self.model, f"{attribute}_model")
            projection = getattr(self.model, "visual_projection" if name == "image" else "text_projection", None)
            head = [getattr(tower, part, None) for part in ("post_layernorm", "final_layer_norm", "head")]
            head = [module for module in [*head, projection] if module is not None]
            roots = (tower,) if projection is None else (tower, projection)
            towers[name] = Tower(roots, tuple(tower.encoder.layers), tuple(head))
        return towers


class SentenceBackbone(Backbone):
    """Frames of a synthetic or features backbone with a frozen sentence encoder for the texts.

    D is the sentence encoder's; frames keep their own dimension, so that pooling maps one to the other.
    """

    def __init__(self, frames: SyntheticBackbone | FeaturesBackbone, sentence: SentenceTower):
        super().__init__()
        self.spec = {"kind": "sentence", "frames": frames.spec, "sentence": sentence.spec}
        self.image_size, self.mean, self.std = frames.image_size, frames.mean, frames.std
        self.frame_dim, self.logit_scale_init = frames.frame_dim, frames.logit_scale_init
        self.embedding_dim = sentence.embedding_dim
        del frames.text_encoder
        self.frames, self.sentence = frames, sentence

    def encode_image(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """See `Backbone.encode_image`; rows have `frame_dim` numbers."""
        return self.frames.encode_image(pixels)

    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "K D"]:
        """See `Backbone.encode_text`."""
        return self.sentence(texts)

    def towers(self) -> dict[str, Tower]:
        """See `Backbone.towers`; the frozen sentence encoder is none, so no tuning reaches it."""
        return {"image": self.frames.image_tower()} if isinstance(self.frames, SyntheticBackbone) else {}


def load_backbone(name_or_folder: str, text: str | None = None) -> Backbone:
    """Load a backbone with its weights.

    Args:
        name_or_folder: "synthetic" (ships with the package); "features:512" for ready-made features of 512 dimensions;
            or a folder or hub name of a CLIP or fixed-resolution SigLIP2 model in the layout of transformers.
        text: folder of a sentence encoder that takes the place of the text tower; None keeps the backbone's own.

    Raises:
        KgclipError: a folder or a file in it is missing, damaged or of another kind of model; or the backbone has a
            pre-trained text tower that belongs to its image tower, and `text` would replace it.
    """
    if text is not None:
        if name_or_folder != "synthetic" and not name_or_folder.startswith("features:"):
            raise KgclipError(
                f"--model.text {text}: the backbone {name_or_folder} has a text tower of its own; "
                "leave --model.text out, or use the backbone synthetic or features:DIM"
            )
        frames = load_backbone(name_or_folder)
        assert isinstance(frames, SyntheticBackbone | FeaturesBackbone)
        return SentenceBackbone(frames, load_sentence_tower(text)).eval()
    if name_or_folder == "synthetic":
        return _load_synthetic()
    if name_or_folder.startswith("features:"):
        frame_dim = name_or_folder.removeprefix("features:")
        if not frame_dim.isdecimal() or int(frame_dim) == 0:
            raise KgclipError(f"{name_or_folder}: the size of the features must be a whole number, e.g. features:512")
        return FeaturesBackbone(int(frame_dim), TextConfig(), seed=0)
    return _load_transformers(find_folder(name_or_folder))


def build_backbone(spec: Mapping[str, Any], *, empty: bool = False) -> Backbone:
    """Build the module that `spec` describes, with random weights.

    Args:
        spec: of a `Backbone`.
        empty: leave the parameters of published kinds of model without memory: a checkpoint's are then assigned.
    """
    kind = spec.get("kind")
    if kind == "synthetic":
        return _build_synthetic(spec)
    if kind == "features":
        return FeaturesBackbone(spec["frame_dim"], TextConfig(**spec["text"]), spec["seed"])
    if kind in ("clip", "siglip"):
        return TransformersBackbone(spec, empty=empty)
    if kind == "sentence":
        frames = build_backbone(spec["frames"])
        assert isinstance(frames, SyntheticBackbone | FeaturesBackbone)
        return SentenceBackbone(frames, SentenceTower(spec["sentence"], empty=empty))
    raise KgclipError(
        f"unknown backbone kind {kind!r}, expected synthetic, features, clip, siglip or sentence; check the spec"
    )


def _build_synthetic(spec: Mapping[str, Any]) -> SyntheticBackbone:
    image = dict(spec["image"])
    image |= {key: tuple(image[key]) for key in ("widths", "depths")}
    return SyntheticBackbone(ImageConfig(**image), TextConfig(**spec["text"]))


def _load_synthetic() -> SyntheticBackbone:
    try:
        with safe_open(SYNTHETIC_WEIGHTS, framework="pt") as file:
            spec = json.loads(file.metadata()["spec"])
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise KgclipError(f"{SYNTHETIC_WEIGHTS}: cannot be read ({error}); reinstall kgclip") from error
    backbone = _build_synthetic(spec)
    backbone.load_state_dict(weights)
    return backbone.eval()


def _load_transformers(folder: Path) -> TransformersBackbone:
    from transformers import AutoModel

    config = read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in ("clip", "siglip"):
        raise KgclipError(
            f"{folder / 'config.json'}: model type {kind!r}, expected clip or siglip; "
            "use a CLIP or a fixed-resolution SigLIP2 model"
        )
    preprocessing = read_json(folder / "preprocessor_config.json")
    check_weight_files(folder)
    tokenizer = _tokenizer_spec(folder)
    try:
        with no_progress_bar():
            model, info = AutoModel.from_pretrained(
                folder,
                attn_implementation="sdpa",
                use_safetensors=True,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise KgclipError(f"{folder}: its weights cannot be read ({first_line(error)}); download it again") from error
    if info["missing_keys"]:
        example = min(info["missing_keys"])
        raise KgclipError(
            f"{folder}: {len(info['missing_keys'])} weights are missing, e.g. {example}; download it again"
        )
    spec = {
        "kind": kind,
        "config": json.loads(model.config.to_json_string(use_diff=False)),
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
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        read_json(folder / "tokenizer.json")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    elif (folder / "merges.txt").is_file():
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    else:
        raise KgclipError(f"{folder / 'tokenizer.json'}: no such file; download the tokenizer of this model as well")
    pad_token = read_json(folder / "tokenizer_config.json").get("pad_token")
    if isinstance(pad_token, dict):  # the long form, with how to strip around it
        pad_token = pad_token.get("content")
    if pad_token is None or tokenizer.token_to_id(pad_token) is None:
        raise KgclipError(f"{folder / 'tokenizer_config.json'}: pad_token {pad_token!r} is no token; add it")
    return {"json": tokenizer.to_str(), "pad_token": pad_token}


def _text_tower(encoder: TextEncoder) -> Tower:
    return Tower((encoder,), tuple(encoder.blocks), (encoder.norm, encoder.projection))


def _embedding(output: Any) -> Tensor:
    """Return the pooled embedding: transformers 5 wraps it in an output object, transformers 4 returns it bare."""
    return output if isinstance(output, Tensor) else output.pooler_output
