"""A backbone is known by its weights and preprocessing: not by its kind, width or folder."""

import shutil
from pathlib import Path

import pytest
import torch

from kgclip.identity import is_same
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.tuning import set_trainable


def image_identity(backbone: Backbone):
    assert backbone.image_identity is not None
    return backbone.image_identity


def test_a_copy_of_a_model_is_the_same_encoder(clip_folder: Path, tmp_path: Path):
    copy = shutil.copytree(clip_folder, tmp_path / "a copy")
    first, second = image_identity(load_backbone(str(clip_folder))), image_identity(load_backbone(str(copy)))
    assert is_same(first, second)
    assert second["name"] == "a copy"
    assert len(first["weights"]) == 64
    assert first["preprocessing"] == "32 px, mean [0.48, 0.46, 0.41], std [0.27, 0.26, 0.28]"


def test_models_of_one_kind_and_width_with_other_weights_are_others(clip_folder: Path):
    backbone = load_backbone(str(clip_folder))
    other = build_backbone(backbone.spec)
    assert other.frame_dim == backbone.frame_dim
    assert other.spec["kind"] == backbone.spec["kind"]
    assert not is_same(image_identity(other), image_identity(backbone))


def test_another_normalization_is_another_encoder(clip_folder: Path):
    backbone = load_backbone(str(clip_folder))
    other = build_backbone(backbone.spec | {"mean": [0.5, 0.5, 0.5]})
    other.load_state_dict(backbone.state_dict())
    assert image_identity(other)["weights"] == image_identity(backbone)["weights"]
    assert not is_same(image_identity(other), image_identity(backbone))


def test_tuning_the_images_makes_another_encoder_and_tuning_the_texts_does_not():
    backbone = load_backbone("synthetic")
    before = image_identity(backbone)
    for tuning in ("text", "full"):
        set_trainable(backbone, tuning)
        old_text = backbone.identity["text"]
        with torch.no_grad():
            for parameter in backbone.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.01)
        vars(backbone).pop("image_identity", None)
        assert is_same(image_identity(backbone), before) == (tuning == "text")
        assert backbone.identity["text"] != old_text


def test_ready_made_features_have_the_identity_they_are_given():
    backbone = load_backbone("features:7")
    assert backbone.image_identity is None
    backbone.image_identity = image_identity(load_backbone("synthetic"))
    assert backbone.identity["image"]["name"] == "synthetic"


@pytest.mark.parametrize("dtype", [torch.float64])
def test_precision_and_other_texts_do_not_change_it(dtype: torch.dtype):
    assert image_identity(load_backbone("synthetic").to(dtype)) == image_identity(load_backbone("synthetic"))
