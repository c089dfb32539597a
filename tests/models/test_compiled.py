"""Where a tower is compiled."""

import pytest
import torch

from kgclip.models.backbones.registry import load_backbone
from kgclip.models.compiled import WORTHWHILE, compile_image_tower


def test_towers_on_a_cpu_and_short_runs_are_not_compiled() -> None:
    backbone = load_backbone("synthetic")
    assert not compile_image_tower(backbone, WORTHWHILE)
    assert not compile_image_tower(load_backbone("features:8"), WORTHWHILE)
    if torch.cuda.is_available():
        assert not compile_image_tower(backbone.to("cuda"), WORTHWHILE - 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: towers are compiled on GPUs only")
def test_a_compiled_tower_gives_the_same_embeddings_and_keeps_its_weights_names() -> None:
    backbone = load_backbone("synthetic").to("cuda").eval()
    frames, names = torch.randn(4, 3, 64, 64, device="cuda"), list(backbone.state_dict())
    with torch.no_grad():
        before = backbone.embed_images(frames)
        assert compile_image_tower(backbone, WORTHWHILE)
        torch.testing.assert_close(backbone.embed_images(frames), before, rtol=1e-3, atol=1e-3)
    assert list(backbone.state_dict()) == names
