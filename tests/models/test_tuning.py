"""Tuning: what trains gets a gradient, what is frozen gets none, and adapters merge back into the original keys."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file, save_file

from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.options import Tuning
from kgclip.models.tuning import merge_lora, set_trainable

TUNINGS: list[Tuning] = ["frozen", "text", "partial", "lora", "full"]
TEXTS = ["left arm bend", "hip stoop"]
SMALL_SYNTHETIC = {
    "kind": "synthetic",
    "image": {"embedding_dim": 16, "image_size": 32, "widths": [8, 8, 16], "depths": [0, 1, 1]},
    "text": {"embedding_dim": 16, "buckets": 256, "width": 16, "num_heads": 2, "depth": 3},
}


@pytest.fixture(params=["synthetic", "features", "clip", "siglip"])
def make(request: pytest.FixtureRequest) -> Callable[[], Backbone]:
    """Make a small backbone of each kind, the same at each call."""
    if request.param in ("clip", "siglip"):
        folder = request.getfixturevalue(f"{request.param}_folder")
        return lambda: load_backbone(str(folder))
    if request.param == "features":
        return lambda: load_backbone("features:12")

    def synthetic() -> Backbone:
        torch.manual_seed(0)
        return build_backbone(SMALL_SYNTHETIC)

    return synthetic


def outputs(backbone: Backbone) -> torch.Tensor:
    """Return the embeddings of two texts and, where there is an image tower, of two frames."""
    texts = backbone.encode_text(TEXTS)
    if "image" not in backbone.towers():
        return texts
    size = backbone.image_size
    frames = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    return torch.cat([texts, backbone.encode_image(frames)])


def trainable(backbone: Backbone) -> set[str]:
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def disturb_adapters(backbone: Backbone) -> None:
    """Adapters start at zero: give them an effect."""
    torch.manual_seed(5)
    for name, parameter in backbone.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_exactly_the_trainable_weights_get_a_gradient(make: Callable[[], Backbone], tuning: Tuning) -> None:
    backbone = make()
    set_trainable(backbone, tuning)
    if tuning == "lora":
        disturb_adapters(backbone)
    wanted = trainable(backbone)
    assert (tuning == "frozen") == (not wanted)
    embeddings = outputs(backbone)
    if wanted:
        (embeddings * torch.randn_like(embeddings)).sum().backward()
    reached = {name for name, p in backbone.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {name for name, p in backbone.named_parameters() if p.grad is not None} == wanted
    # A key's bias shifts all of a query's logits alike, so softmax takes its gradient to (about) zero.
    assert {name for name in wanted - reached if not name.endswith("k_proj.bias")} == set()


def test_text_tuning_leaves_the_image_tower_alone(make: Callable[[], Backbone]) -> None:
    backbone = make()
    set_trainable(backbone, "text")
    towers = backbone.towers()
    assert all(p.requires_grad for module in towers["text"].modules for p in module.parameters())
    image = towers["image"].modules if "image" in towers else ()
    assert not any(p.requires_grad for module in image for p in module.parameters())


def test_partial_tuning_opens_the_last_blocks(make: Callable[[], Backbone]) -> None:
    backbone = make()
    for layers in (1, 2):
        set_trainable(backbone, "partial", partial_layers=layers)
        for tower in backbone.towers().values():
            is_open = [all(p.requires_grad for p in block.parameters()) for block in tower.blocks]
            assert is_open == [False] * (len(is_open) - layers) + [True] * layers
            assert all(p.requires_grad for module in tower.head for p in module.parameters())


def test_full_tuning_opens_all_but_the_published_logit_scale(make: Callable[[], Backbone]) -> None:
    backbone = make()
    set_trainable(backbone, "full")
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert frozen <= {"model.logit_scale", "model.logit_bias"}


def test_fresh_adapters_change_nothing(make: Callable[[], Backbone]) -> None:
    backbone = make()
    before = outputs(backbone)
    set_trainable(backbone, "lora", lora_rank=3)
    torch.testing.assert_close(outputs(backbone), before)
    assert trainable(backbone)
    assert all(".lora_" in name for name in trainable(backbone))
    assert {p.shape[0] for name, p in backbone.named_parameters() if "lora_A" in name} == {3}


def test_adapters_merge_into_the_original_keys(make: Callable[[], Backbone]) -> None:
    backbone = make()
    before = outputs(backbone)
    set_trainable(backbone, "lora")
    disturb_adapters(backbone)
    adapted = outputs(backbone)
    assert (adapted - before).abs().max() > 1e-3
    merge_lora(backbone)
    torch.testing.assert_close(outputs(backbone), adapted, rtol=1e-4, atol=1e-4)

    plain = make()
    plain.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(outputs(plain), adapted, rtol=1e-4, atol=1e-4)


def test_adapters_save_and_load_unmerged(make: Callable[[], Backbone], tmp_path) -> None:
    """What an exact resume needs."""
    backbone, again = make(), make()
    set_trainable(backbone, "lora")
    disturb_adapters(backbone)
    save_file(backbone.state_dict(), tmp_path / "state.safetensors")
    set_trainable(again, "lora")
    again.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert torch.equal(outputs(again), outputs(backbone))


def test_another_tuning_merges_the_adapters_first(make: Callable[[], Backbone]) -> None:
    backbone = make()
    set_trainable(backbone, "lora")
    disturb_adapters(backbone)
    adapted = outputs(backbone)
    set_trainable(backbone, "frozen")
    assert not any("lora" in name for name in backbone.state_dict())
    torch.testing.assert_close(outputs(backbone), adapted, rtol=1e-4, atol=1e-4)
    assert not trainable(backbone)


@pytest.mark.parametrize("options", [{"lora_rank": 0}, {"partial_layers": 0}])
def test_ranks_and_layers_start_at_one(options: dict[str, int]) -> None:
    with pytest.raises(KgclipError, match="must be at least 1"):
        set_trainable(load_backbone("features:4"), "lora", **options)
