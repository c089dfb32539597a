"""Published models in transformers' layout: known types only, sizes from an allow-list, weights from safetensors.

Nothing else of a folder or of a stored configuration has an effect: no code, no other place to load from.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.files import load_tensors
from kgclip.reading import one_sentence, parse_json, read_bytes, reason_of

IMAGE_TEXT = ("clip", "siglip")
TEXT = ("bert", "distilbert", "mpnet", "roberta", "xlm-roberta")
_CLASSES = {
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
    "bert": "BertModel",
    "distilbert": "DistilBertModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
}
MOST_LAYERS = 500
"""Layers are made one by one, before a weight is compared."""
_TRIAL = ["a person doing a push up", ""]
_ATTENTION = {"mpnet": "eager"}  # transformers has no other for it; "sdpa" for the rest
# What shapes a model or its arithmetic; DistilBERT has names of its own.
_LAYERS = {"num_hidden_layers", "n_layers"}
_COUNTS = _LAYERS | {
    *("vocab_size", "max_position_embeddings", "type_vocab_size", "relative_attention_num_buckets"),
    *("hidden_size", "intermediate_size", "num_attention_heads", "projection_dim", "projection_size"),
    *("image_size", "patch_size", "num_channels", "dim", "hidden_dim", "n_heads"),
}
_SETTINGS = {
    *("hidden_act", "layer_norm_eps", "vision_use_head", "pad_token_id", "bos_token_id", "eos_token_id"),
    *("activation", "sinusoidal_pos_embds"),
}


def allowed(config: Any, where: str, types: Collection[str]) -> dict[str, Any]:
    """What is taken of a model's configuration, read at `where`: its type and sizes.

    Raises:
        KgclipError: its type is none of those, a size is none, or it has more layers than any that is known.
    """
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in types:
        raise KgclipError(f"{where}: model type {kind!r}, expected {', '.join(types)}; use a model of such a type")

    advice = "; download its configuration again, or use another model"

    def sizes(values: Mapping[str, Any]) -> dict[str, Any]:
        taken = {key: value for key, value in values.items() if key in _COUNTS | _SETTINGS}
        for key, value in taken.items():
            if key in _COUNTS and value is not None and not (isinstance(value, int) and value > 0):
                raise KgclipError(f"{where}: {key} is {_short(value)}, expected a whole number above zero{advice}")
            if key in _LAYERS and value is not None and value > MOST_LAYERS:
                raise KgclipError(f"{where}: {key} is {_short(value)}, expected at most {MOST_LAYERS}{advice}")
        return {key: value for key, value in taken.items() if isinstance(value, int | float | str | None)}

    towers = {key: sizes(config[key]) for key in ("text_config", "vision_config") if isinstance(config.get(key), dict)}
    return {"model_type": kind} | sizes(config) | (towers if kind in IMAGE_TEXT else {})


def _short(value: Any) -> str:
    return repr(value)[:40]


def new_model(config: Mapping[str, Any], where: str, *, empty: bool) -> Any:
    """Make a model of transformers.

    Args:
        config: by :func:`allowed`.
        where: for the message.
        empty: leave its parameters without memory, for a state dict to be assigned; else they are drawn at random,
            which takes seconds.

    Raises:
        KgclipError: transformers cannot make a model of these sizes.
    """
    import transformers
    from accelerate import init_empty_weights

    with _one_sentence(where), init_empty_weights() if empty else nullcontext():
        settings, kind = transformers.AutoConfig.for_model(**config), config["model_type"]
        attention = _ATTENTION.get(kind, "sdpa")
        return getattr(transformers, _CLASSES[kind])._from_config(settings, attn_implementation=attention)


def load_model(config: Mapping[str, Any], folder: Path) -> Any:
    """Make a model of transformers with the weights of a folder, as float32.

    Args:
        config: by :func:`allowed`.
        folder: with model.safetensors, or with the shards that its index names.

    Raises:
        KgclipError: a file is missing or damaged, or the weights are not of this configuration.
    """
    import transformers

    weights = read_weights(folder)
    with _one_sentence(f"{folder}: its weights cannot be read"), no_progress_bar():
        # Given the weights, it looks for no file: neither for adapters nor for the base model that they would name.
        model, info = getattr(transformers, _CLASSES[config["model_type"]]).from_pretrained(
            None,
            config=transformers.AutoConfig.for_model(**config),
            state_dict=weights,
            ignore_mismatched_sizes=True,  # they are told below
            attn_implementation=_ATTENTION.get(config["model_type"], "sdpa"),
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    # Of a text encoder, nothing reads the pooler.
    missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise KgclipError(f"{folder}: {len(missing)} weights are missing, e.g. {missing[0]}; download it again")
    if info["mismatched_keys"]:  # transformers would have put random weights in their place
        odd = sorted(str(key[0]) for key in info["mismatched_keys"])
        raise KgclipError(f"{folder}: {len(odd)} weights are of other sizes, e.g. {odd[0]}; download it again")
    return model


@contextmanager
def _one_sentence(where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transformers has many for sizes that do not go together
        raise KgclipError(f"{where} ({first_line(error)}); download it again") from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing its bar while it loads weights, and from its report, amid our own lines."""
    from transformers.utils import logging

    drawn, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if drawn:
            logging.enable_progress_bar()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder, in one file or in shards; raise KgclipError if one is missing or damaged."""
    index = folder / "model.safetensors.index.json"
    shards = _shards(index) if index.is_file() else ["model.safetensors"]
    names = sorted({Path(shard).name for shard in shards})
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise KgclipError(
            f"{folder / missing[0]}: no such file; kgclip reads weights as safetensors only, "
            "download them or convert the model with transformers' save_pretrained"
        )
    weights: dict[str, Tensor] = {}
    for name in names:
        weights |= load_tensors(folder / name)
    return weights


def _shards(index: Path) -> Collection[Any]:
    shards = read_object(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise KgclipError(f"{index}: has no weight_map with the files of the weights; download it again")
    return shards.values()


def find_folder(name: str) -> Path:
    """Return the folder of a model: `name` itself if it is one, else the hub's snapshot of that name.

    Raises:
        KgclipError: there is no such folder, and nothing of that name could be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith(".") or name.count("/") != 1:
        raise KgclipError(f"{name}: no such folder, and no backbone of that name; give the folder of a CLIP model")
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.safetensors"], etag_timeout=5))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise KgclipError(
            f"{name}: is no local folder and could not be fetched ({first_line(error)}); "
            "pass the folder of a downloaded model"
        ) from error


def read_json(path: Path) -> Any:
    """Return a JSON file of a model's folder; raise KgclipError if it is missing or damaged."""
    if not path.exists():
        raise KgclipError(f"{path}: no such file; give a folder with a complete model")
    content = read_bytes(path)
    try:
        return parse_json(content)
    except ValueError as error:
        raise KgclipError(f"{path}: is not JSON ({first_line(error)}); download it again") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return a JSON object of a model's folder; raise KgclipError if it is missing, damaged or something else."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise KgclipError(f"{path}: is no JSON object; download it again")
    return value


def read_tokenizer(path: Path) -> Tokenizer:
    """Return a tokenizer of a model's folder; raise KgclipError if its file is missing, damaged or something else."""
    read_object(path)
    with one_sentence(path, "a tokenizer"):
        return Tokenizer.from_file(str(path))


def new_tokenizer(text: str, most: int, where: str) -> Tokenizer:
    """Make a tokenizer of its JSON, and let it read two texts: it may name pieces that it does not have.

    Args:
        text: of tokenizer.json.
        most: words that the weights have.
        where: for the message.

    Raises:
        KgclipError: it cannot be made, cannot read, or gives numbers beyond the weights.
    """
    try:
        tokenizer = Tokenizer.from_str(text)
        _check_template(tokenizer)
        given = [encoding.ids for encoding in tokenizer.encode_batch(_TRIAL)]
        if not all(given):
            raise ValueError("it makes nothing of a text")
    except BaseException as error:
        # What tokenizers, in Rust, call a panic is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise KgclipError(f"{where}: its tokenizer is damaged ({reason_of(error)}); download it again") from error
    number = max(*tokenizer.get_vocab().values(), *chain(*given))
    if number >= most:
        raise KgclipError(
            f"{where}: its tokenizer has a word of number {number}, and its weights are of {most} words; "
            "download both again"
        )
    return tokenizer


def _check_template(tokenizer: Tokenizer) -> None:
    """Refuse, with a ValueError, what would print a panic of Rust beside our sentence."""
    post = tokenizer.post_processor
    whole: dict[str, Any] = {"type": ""} if post is None else json.loads(post.__getstate__())
    for step in (whole, *whole.get("processors", ())):
        if step["type"] == "TemplateProcessing":
            pieces = [*step["single"], *step["pair"]]
            named = {piece["SpecialToken"]["id"] for piece in pieces if "SpecialToken" in piece}
            if not named <= step["special_tokens"].keys():
                raise ValueError("a template of pieces that it does not have")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, to be quoted inside a sentence."""
    return str(error).strip().partition("\n")[0].rstrip(".")
