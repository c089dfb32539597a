"""Tiny CLIP and SigLIP2 models with random weights, written once in the layout of published models."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, processors
from transformers import SiglipConfig, SiglipModel

from tests.models.clip import TOWER, write_clip
from tests.models.sentences import write_sentence_encoder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of 32-pixel frames, D = 24, 20 tokens."""
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
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
