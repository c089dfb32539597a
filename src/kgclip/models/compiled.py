"""Towers compiled for a GPU, where a run is long enough."""

import logging

import torch

from kgclip.models.backbones.base import Backbone

log = logging.getLogger(__name__)

# Compiling takes a minute or more (each shape of a batch anew), and gains a third of the time of a ViT-B/16 on an H200,
# which encodes 7,800 frames a second and trains on 2,500 without it.
WORTHWHILE = 2_000_000


def compile_image_tower(backbone: Backbone, num_frames: int) -> bool:
    """Have torch compile the image tower's encoder if it is on a GPU and that many frames go through it.

    Weights and their names stay. Where torch cannot compile (no C compiler, say), it computes as before.

    Args:
        num_frames: of all clips and epochs.

    Returns:
        Whether it is compiled.
    """
    device = next(backbone.parameters()).device
    if device.type != "cuda" or num_frames < WORTHWHILE or "image" not in backbone.towers():
        return False
    torch._dynamo.config.suppress_errors = True
    backbone.towers()["image"].modules[0].compile()
    log.info("the image tower is compiled; the first steps take a minute longer")
    return True
