"""Write a full-size CLIP with random weights in the Hugging Face layout, to try the real path without a download.

python -m tools.random_clip OUT --arch ViT-B/16
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

PATCH_SIZES = {"ViT-B/16": 16, "ViT-B/32": 32}
VOCAB_SIZE = 49408
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's published statistics


@dataclass(frozen=True)
class RandomClip:
    """Where to write and what.

    Args:
        out: folder to write, made if needed.
        arch: the published architecture.
        seed: of the weights.
    """

    out: Annotated[Path, tyro.conf.Positional]
    arch: Literal["ViT-B/16", "ViT-B/32"] = "ViT-B/16"
    seed: int = 0


def write_random_clip(options: RandomClip) -> None:
    """Write config.json, model.safetensors, the tokenizer's files and preprocessor_config.json."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    tokens = {"bos_token_id": VOCAB_SIZE - 2, "eos_token_id": VOCAB_SIZE - 1, "pad_token_id": VOCAB_SIZE - 1}
    # transformers' defaults are the widths and depths of ViT-B; only the patch size differs.
    config = CLIPConfig(
        text_config={"vocab_size": VOCAB_SIZE, **tokens}, vision_config={"patch_size": PATCH_SIZES[options.arch]}
    )
    CLIPModel(config).save_pretrained(options.out)
    write_tokenizer(options.out)
    preprocessing = {
        "crop_size": {"height": 224, "width": 224},
        "image_mean": MEAN,
        "image_std": STD,
        "resample": 3,
        "size": {"shortest_edge": 224},
    }
    (options.out / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2))


def write_tokenizer(folder: Path) -> None:
    """Write a byte-level BPE without merges (a text becomes its bytes) with CLIP's special tokens at CLIP's ids."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    symbols = letters + [f"{letter}</w>" for letter in letters]
    padding = [f"<unused{index}>" for index in range(VOCAB_SIZE - 2 - len(symbols))]
    names = [*symbols, *padding, "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={name: index for index, name in enumerate(names)}, merges=[], model_max_length=77)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    write_random_clip(tyro.cli(RandomClip))
