"""Whatever a folder or a stored configuration says, no code runs and nothing is fetched."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from kgclip.errors import KgclipError
from kgclip.models.backbones.pretrained import TEXT, allowed, load_model, new_model
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.backbones.sentence import load_sentence_tower

TRAPS = {
    "auto_map": {"AutoModel": "trap.Trap", "AutoConfig": "trap.TrapConfig"},
    "_attn_implementation": "someone/kernel",
    "attn_implementation": "someone/kernel",
    "_name_or_path": "someone/else",
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "torch_dtype": "float16",
    "dtype": "float16",
    "transformers_weights": "../elsewhere.safetensors",
    "is_decoder": True,
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _with_traps(source: Path, folder: Path) -> Path:
    """A copy of a model whose files ask for all that must not happen."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config.get("text_config", {}), config.get("vision_config", {})):
        part.update(TRAPS)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "trap.py").write_text("raise SystemExit('code of the folder was run')\n")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else", "peft_type": "LORA"}')
    if (folder / "tokenizer_config.json").is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        settings["auto_map"] = {"AutoTokenizer": ["trap.Trap", None]}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_folder_with_traps_gives_the_plain_model(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    source: Path = request.getfixturevalue(f"{kind}_folder")
    backbone, plain = load_backbone(str(_with_traps(source, tmp_path / "model"))), load_backbone(str(source))
    assert not {*TRAPS} & {*backbone.spec["config"], *backbone.spec["config"]["text_config"]}
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone.encode_image(pixels), plain.encode_image(pixels))
        assert torch.equal(backbone.encode_text(["a"]), plain.encode_text(["a"]))


def test_a_sentence_encoder_with_traps_gives_the_plain_one(sentence_folder: Path, tmp_path: Path):
    tower = load_sentence_tower(str(_with_traps(sentence_folder, tmp_path / "model")))
    assert torch.equal(tower(["left arm bend"]), load_sentence_tower(str(sentence_folder))(["left arm bend"]))


@pytest.mark.parametrize("empty", [False, True])
def test_a_stored_backbone_with_traps_is_built_plain(clip_folder: Path, empty: bool):
    plain = load_backbone(str(clip_folder))
    spec = json.loads(json.dumps(plain.spec))
    for part in (spec["config"], spec["config"]["text_config"], spec["config"]["vision_config"]):
        part.update(TRAPS)
    backbone = build_backbone(spec, empty=empty).eval()
    backbone.load_state_dict(plain.state_dict(), assign=True)
    assert backbone.spec == plain.spec
    with torch.no_grad():
        assert torch.equal(backbone.encode_text(["a"]), plain.encode_text(["a"]))


@pytest.mark.parametrize("kind", ["gpt2", "someone/else", None, "clip", ["bert"]])
def test_a_stored_sentence_encoder_of_another_type_is_refused(sentence_folder: Path, kind: Any):
    spec = json.loads(json.dumps(load_backbone("features:7", str(sentence_folder)).spec))
    spec["sentence"]["config"]["model_type"] = kind
    with pytest.raises(KgclipError, match=r"sentence encoder's configuration: model type .*, expected bert"):
        build_backbone(spec)


def test_a_sentence_encoder_beside_an_own_text_tower_is_refused(clip_folder: Path, sentence_folder: Path):
    spec = json.loads(json.dumps(load_backbone("features:7", str(sentence_folder)).spec))
    spec["frames"] = load_backbone(str(clip_folder)).spec
    with pytest.raises(KgclipError, match="the backbone clip has a text tower of its own"):
        build_backbone(spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "no such"}, r" cannot be used \(.*\); download it again"),
        ({"hidden_size": 25}, r" cannot be used \(.*\); download it again"),
        ({"hidden_size": "wide"}, ": hidden_size is 'wide', expected a whole number above zero"),
        ({"num_attention_heads": 0}, ": num_attention_heads is 0, expected a whole number above zero"),
        ({"num_hidden_layers": 10**6}, ": num_hidden_layers is 1000000, expected at most 500"),
    ],
)
def test_sizes_that_make_no_model_are_one_sentence(clip_folder: Path, change: dict[str, Any], message: str):
    spec = json.loads(json.dumps(load_backbone(str(clip_folder)).spec))
    spec["config"]["text_config"] |= change
    with pytest.raises(KgclipError, match=f"the backbone's configuration{message}"):
        build_backbone(spec)


def test_only_sizes_are_taken():
    config = {"model_type": "bert", "hidden_size": 8, "text_config": {"hidden_size": 4}, "hidden_act": [3]} | TRAPS
    assert allowed(config, "here", TEXT) == {"model_type": "bert", "hidden_size": 8}


@pytest.mark.parametrize("kind", TEXT)
def test_every_type_of_text_encoder_is_loaded_and_built(kind: str, tmp_path: Path):
    sizes: dict[str, Any] = {"vocab_size": 20, "max_position_embeddings": 18, "pad_token_id": 1}
    if kind == "distilbert":
        sizes |= {"dim": 8, "hidden_dim": 16, "n_layers": 2, "n_heads": 2}
    else:
        sizes |= {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = allowed({"model_type": kind, **sizes}, "here", TEXT)
    torch.manual_seed(0)
    model = new_model(config, "here", empty=False).eval()
    model.save_pretrained(tmp_path)
    loaded = load_model(allowed(json.loads((tmp_path / "config.json").read_text()), "there", TEXT), tmp_path)
    ids, mask = torch.tensor([[2, 5, 7, 1]]), torch.tensor([[1, 1, 1, 0]])
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :3]
        alone = loaded(input_ids=ids[:, :3], attention_mask=mask[:, :3]).last_hidden_state
        torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-5)
