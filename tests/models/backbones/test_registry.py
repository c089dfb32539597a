"""The backbones: equal to transformers' own, rebuilt from their spec, and clear about incomplete folders."""

import json
import math
import re
import shutil
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, CLIPModel, PreTrainedTokenizerFast, SiglipModel

from kgclip.errors import KgclipError
from kgclip.models.backbones.features import FeaturesBackbone
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.backbones.transformers import TransformersBackbone
from kgclip.synthetic.encoders import TextConfig
from tests.models.clip import write_older_tokenizer

TEXTS = ["left arm bend", "A person  doing a PUSH-UP", "", "left " * 40]
KINDS = ["synthetic", "features:7", "clip", "siglip"]


@pytest.fixture
def folder(clip_folder: Path, tmp_path: Path) -> Path:
    """A copy of the CLIP folder to damage."""
    return Path(shutil.copytree(clip_folder, tmp_path / "model"))


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    """What to give load_backbone, for each kind."""
    return (
        str(request.getfixturevalue(f"{request.param}_folder"))
        if request.param in ("clip", "siglip")
        else request.param
    )


def test_clip_embeddings_equal_those_of_transformers(clip_folder: Path) -> None:
    backbone = load_backbone(str(clip_folder))
    model, tokenizer = CLIPModel.from_pretrained(clip_folder), AutoTokenizer.from_pretrained(clip_folder)
    pixels = torch.randn(3, 3, 32, 32)
    inputs = tokenizer(TEXTS, padding="max_length", max_length=20, truncation=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(pixels), model.get_image_features(pixels).pooler_output)
        torch.testing.assert_close(backbone.encode_text(TEXTS), model.get_text_features(**inputs).pooler_output)
    assert (backbone.image_size, backbone.embedding_dim, backbone.frame_dim) == (32, 24, 24)
    assert (backbone.mean, backbone.std) == ((0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
    assert backbone.logit_scale_init == pytest.approx(math.log(1 / 0.07), abs=1e-3)


def test_images_in_bf16_are_nearly_those_in_float32(clip_folder: Path) -> None:
    backbone, pixels = load_backbone(str(clip_folder)), torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        exact = backbone.encode_image(pixels)
        assert torch.equal(backbone.embed_images(pixels), exact)
        backbone.in_bf16 = True
        rounded = backbone.embed_images(pixels)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.nn.functional.cosine_similarity(rounded, exact).min() > 0.999


def test_siglip_embeddings_equal_those_of_transformers(siglip_folder: Path) -> None:
    backbone = load_backbone(str(siglip_folder))
    model = SiglipModel.from_pretrained(siglip_folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(siglip_folder / "tokenizer.json"), pad_token="<pad>")
    pixels = torch.randn(3, 3, 32, 32)
    lowered = [text.lower() for text in TEXTS]
    inputs = tokenizer(lowered, padding="max_length", max_length=16, truncation=True, return_tensors="pt")
    assert inputs["input_ids"][0, -1] == 0  # padded on the right, after <eos>
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(pixels), model.get_image_features(pixels).pooler_output)
        expected = model.get_text_features(input_ids=inputs["input_ids"]).pooler_output
        torch.testing.assert_close(backbone.encode_text(TEXTS), expected)
    assert (backbone.image_size, backbone.embedding_dim, backbone.mean) == (32, 32, (0.5, 0.5, 0.5))


@pytest.mark.parametrize("empty", [False, True])
def test_spec_rebuilds_the_module_without_files(name: str, empty: bool) -> None:
    backbone = load_backbone(name)
    rebuilt = build_backbone(json.loads(json.dumps(backbone.spec)), empty=empty).eval()
    assert rebuilt.spec == backbone.spec
    assert any(p.is_meta for p in rebuilt.parameters()) == (empty and isinstance(rebuilt, TransformersBackbone))
    rebuilt.load_state_dict(backbone.state_dict(), assign=empty)
    with torch.no_grad():
        torch.testing.assert_close(rebuilt.encode_text(TEXTS), backbone.encode_text(TEXTS), rtol=1e-5, atol=1e-5)
    for attribute in ("image_size", "mean", "std", "embedding_dim", "frame_dim", "logit_scale_init"):
        assert getattr(rebuilt, attribute) == getattr(backbone, attribute)


def test_each_text_is_encoded_as_if_alone(name: str) -> None:
    backbone = load_backbone(name).double()
    with torch.no_grad():
        alone = torch.cat([backbone.encode_text([text]) for text in TEXTS])
        torch.testing.assert_close(backbone.encode_text(TEXTS), alone, rtol=1e-6, atol=1e-6)
    assert alone.shape == (len(TEXTS), backbone.embedding_dim)


def test_of_no_text_there_is_no_embedding_and_every_weight_has_its_gradient(name: str) -> None:
    """Several processes train only what each of them has a gradient of."""
    backbone = load_backbone(name)
    none = backbone.encode_text([])
    assert none.shape == (0, backbone.embedding_dim)
    none.sum().backward()
    weights = [weight for module in backbone.towers()["text"].modules for weight in module.parameters()]
    assert weights
    assert all(weight.grad is not None and not weight.grad.any() for weight in weights)


@pytest.mark.parametrize("kind", ["synthetic", "clip", "siglip"])
def test_each_frame_is_encoded_as_if_alone(kind: str, request: pytest.FixtureRequest) -> None:
    # In double precision, where sums in another order differ by 1e-13 and any influence of a neighbor would show.
    name = "synthetic" if kind == "synthetic" else str(request.getfixturevalue(f"{kind}_folder"))
    backbone = load_backbone(name).double()
    pixels = torch.randn(4, 3, backbone.image_size, backbone.image_size, dtype=torch.float64)
    with torch.no_grad():
        alone = torch.cat([backbone.encode_image(frame[None]) for frame in pixels])
        torch.testing.assert_close(backbone.encode_image(pixels), alone, rtol=1e-9, atol=1e-9)
    assert alone.shape == (4, backbone.embedding_dim)


def test_features_backbone_is_the_same_each_time_and_takes_no_pixels() -> None:
    state = torch.get_rng_state()
    first, second = load_backbone("features:512"), load_backbone("features:512")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.encode_text(TEXTS), second.encode_text(TEXTS))
    assert (first.frame_dim, first.embedding_dim) == (512, 256)
    assert FeaturesBackbone(512, TextConfig(embedding_dim=64), seed=0).encode_text(["a"]).shape == (1, 64)
    with pytest.raises(KgclipError, match="no image encoder, got pixels"):
        first.encode_image(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("size", ["", "0", "-3", "big"])
def test_features_need_a_size(size: str) -> None:
    with pytest.raises(KgclipError, match="must be a whole number"):
        load_backbone(f"features:{size}")


def test_sharded_weights_are_read(folder: Path) -> None:
    whole = load_backbone(str(folder))
    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="50KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    sharded = load_backbone(str(folder))
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in sharded.state_dict().items())
    next(iter(folder.glob("model-*.safetensors"))).unlink()
    with pytest.raises(KgclipError, match=r"model-0000\d-of-0000\d\.safetensors: no such file"):
        load_backbone(str(folder))


def test_clip_vocabulary_in_the_old_two_files_is_read(folder: Path) -> None:
    expected = load_backbone(str(folder)).encode_text(TEXTS)
    write_older_tokenizer(folder)
    torch.testing.assert_close(load_backbone(str(folder)).encode_text(TEXTS), expected)


@pytest.mark.parametrize(
    "missing",
    ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"],
)
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(KgclipError, match=f"{re.escape(missing)}: no such file"):
        load_backbone(str(folder))


@pytest.mark.parametrize("damaged", ["config.json", "tokenizer.json", "preprocessor_config.json"])
def test_a_damaged_file_is_named(folder: Path, damaged: str) -> None:
    (folder / damaged).write_text('{"half": ')
    with pytest.raises(KgclipError, match=f"{re.escape(damaged)}: is not JSON"):
        load_backbone(str(folder))


def test_truncated_weights_are_told(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(KgclipError, match="is damaged, expected tensors in a safetensors file"):
        load_backbone(str(folder))


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "siglip2"}')
    with pytest.raises(KgclipError, match="model type 'siglip2', expected clip, siglip"):
        load_backbone(str(folder))
    with pytest.raises(KgclipError, match="unknown kind of backbone 'bert'"):
        build_backbone({"kind": "bert"})


def test_weights_of_other_sizes_are_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Transformers would draw them at random, and say so in a table."""
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 40
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(KgclipError, match=r"weights are of other sizes, e\.g\. text_model"):
        load_backbone(str(folder))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", ["{}", '{"model": 5}', "[", "3"])
def test_a_tokenizer_that_is_none_is_refused(content: str, folder: Path) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(KgclipError, match=r"tokenizer\.json: is ") as error:
        load_backbone(str(folder))
    assert "\n" not in str(error.value)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(KgclipError, match=r"16 weights are missing, e\.g\. text_model"):
        load_backbone(str(folder))


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing", "figure"])
def test_a_missing_folder_is_told(name: str) -> None:
    with pytest.raises(KgclipError, match="no such folder"):
        load_backbone(name)


def test_a_name_without_network_fails_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(KgclipError, match=r"could not be fetched .* pass the folder of a downloaded model"):
        load_backbone("someone/no-such-model")
    assert time.perf_counter() - start < 5
