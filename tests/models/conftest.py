"""Tiny CLIP and SigLIP2 models with random weights, written once in the layout of published models."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, SiglipConfig, SiglipModel

from tests.models.sentences import write_sentence_encoder

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of 32-pixel frames, D = 24, 20 tokens."""
    folder = tmp_path_factory.mktemp("clip")
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
    CLIPModel(config).save_pretrained(folder)
    preprocessing = {"crop_size": 32, "size": 32, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fixed-resolution SigLIP2 of 32-pixel frames, D = 32, 16 tokens, its tokenizer as Gemma's."""
    folder = tmp_path_factory.mktemp("siglip")
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz", "ar", "arm"]
    merges = [("a", "r"), ("ar", "m")]
    vocab = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.enable_padding(length=16, pad_id=0, pad_token="<pad>")
    tokenizer.save(str(folder / "tokenizer.json"))
    # Published SigLIP2 models name Gemma's class here, whose own padding is on the left.
    settings = {"tokenizer_class": "GemmaTokenizer", "pad_token": {"content": "<pad>"}, "add_eos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = {**TOWER, "vocab_size": len(names), "max_position_embeddings": 16, "projection_size": 32}
    config = SiglipConfig(text_config=text, vision_config={**TOWER, "image_size": 32, "patch_size": 8})
    torch.manual_seed(1)
    SiglipModel(config).save_pretrained(folder)
    preprocessing = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


@pytest.fixture(scope="session")
def sentence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with mean pooling and unit length, 16 positions, of which sentences take 10."""
    folder = tmp_path_factory.mktemp("sentence")
    write_sentence_encoder(folder)
    return folder
