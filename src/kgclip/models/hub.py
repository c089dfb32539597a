"""Where a published model lies on disk, and whether its folder is complete."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from kgclip.errors import KgclipError


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
        raise KgclipError(f"{name}: no such folder; give synthetic, features:DIM or the folder of a CLIP model")
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.safetensors"], etag_timeout=5))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise KgclipError(
            f"{name}: is no local folder and could not be fetched ({first_line(error)}); "
            "pass the folder of a downloaded model"
        ) from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing its bar while it loads weights: it would stand amid our own lines."""
    from transformers.utils import logging

    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def new_model(config: Any, *, empty: bool, **options: Any) -> Any:
    """Make a model of transformers.

    Args:
        config: of transformers.
        empty: leave its parameters without memory, for a state dict to be assigned; else they are drawn at random,
            which takes seconds.
        options: of `AutoModel.from_config`.
    """
    from accelerate import init_empty_weights
    from transformers import AutoModel

    with init_empty_weights() if empty else nullcontext():
        return AutoModel.from_config(config, **options)


def check_weight_files(folder: Path) -> None:
    """Raise KgclipError unless model.safetensors, or every shard that its index names, is in the folder."""
    index = folder / "model.safetensors.index.json"
    names = set(read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise KgclipError(
            f"{folder / missing[0]}: no such file; kgclip reads weights as safetensors only, "
            "download them or convert the model with transformers' save_pretrained"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file of a model's folder; raise KgclipError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise KgclipError(f"{path}: no such file; pass a folder with a complete CLIP or SigLIP2 model") from error
    except ValueError as error:
        raise KgclipError(f"{path}: is not JSON ({first_line(error)}); download it again") from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, to be quoted inside a sentence."""
    return str(error).strip().partition("\n")[0].rstrip(".")
