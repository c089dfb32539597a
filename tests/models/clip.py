"""A tiny CLIP with random weights, in the layout of published models."""

import json
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}


def write_clip(folder: Path, shard_size: str = "1GB") -> None:
    """Write a CLIP of 32-pixel frames, D = 24, 20 tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("a", "r"), ("l", "e"), ("le", "f"), ("lef", "t</w>"), ("ar", "m</w>")]
    names = [*letters, *(f"{x}</w>" for x in letters), *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]
    vocab = {name: index for index, name in enumerate(names)}
    CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=20).save_pretrained(folder)
    tokens = {"bos_token_id": len(names) - 2, "eos_token_id": len(names) - 1, "pad_token_id": len(names) - 1}
    config = CLIPConfig(
        text_config={**TOWER, **tokens, "vocab_size": len(names), "max_position_embeddings": 20},
        vision_config={**TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder, max_shard_size=shard_size)
    preprocessing = {"crop_size": 32, "size": 32, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))


def write_older_tokenizer(folder: Path) -> None:
    """Put the two older files of a tokenizer in the place of its one."""
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in bpe["merges"])]))
    (folder / "tokenizer.json").unlink()
