"""Another package adds a backbone by an entry point; nothing of this one changes."""

from pathlib import Path

import pytest
import torch

from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.tuning import set_trainable

MODULE = '''
import torch
from kgclip.models.backbones.base import Backbone, Tower

NAMES = r"brightness:\\d+"
KINDS = ("brightness",)


class Brightness(Backbone):
    """Embeds a frame as its mean color; a text as its length."""

    def __init__(self, size):
        super().__init__()
        self.spec = {"kind": "brightness", "size": size}
        self.image_size, self.mean, self.std = size, (0.0,) * 3, (1.0,) * 3
        self.embedding_dim = self.frame_dim = 3
        self.logit_scale_init = 0.0
        self.image, self.text = torch.nn.Linear(3, 3), torch.nn.Linear(1, 3)

    def encode_image(self, pixels):
        return self.image(pixels.mean(dim=(2, 3)))

    def encode_text(self, texts):
        return self.text(torch.tensor([[float(len(text))] for text in texts]))

    def image_tower(self):
        return Tower((self.image,), (), ())

    def text_tower(self):
        return Tower((self.text,), (), ())


def load(name):
    return Brightness(int(name.split(":")[1])).eval()


def build(spec, *, empty=False):
    return Brightness(spec["size"])
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package: a module, and metadata that declare it."""
    (tmp_path / "brightness_backbone.py").write_text(MODULE)
    metadata = tmp_path / "brightness-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[kgclip.backbones]\nbrightness = brightness_backbone\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_a_backbone_of_another_package_is_loaded_built_and_tuned() -> None:
    backbone = load_backbone("brightness:16")
    assert backbone.image_size == 16
    rebuilt = build_backbone(backbone.spec)
    rebuilt.load_state_dict(backbone.state_dict())
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(rebuilt.encode_image(pixels), backbone.encode_image(pixels))
    set_trainable(backbone, "full")
    assert all(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.usefixtures("package")
def test_the_built_in_names_stay() -> None:
    assert load_backbone("features:5").frame_dim == 5
