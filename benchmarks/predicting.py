"""`predict` on a ten-second clip: against the bare backbone, and against X-CLIP with a backbone of the same kind."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks import xclip
from benchmarks.decoding import NUM_FRAMES, write_clip
from benchmarks.harness import Row, compare
from kgclip.config import ModelConfig, TrainConfig
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.models.backbones.registry import load_backbone
from kgclip.synthetic.dataset import SyntheticOptions, generate
from kgclip.video.decode import read_frames
from kgclip.video.sampling import segment_indices
from kgclip.video.transforms import preprocess
from tools.random_clip import PATCH_SIZES, RandomClip, write_random_clip

Arch = Literal["ViT-B/16", "ViT-B/32"]
ARCHS: tuple[Arch, ...] = ("ViT-B/32", "ViT-B/16")
GOP = 12
# Warm, predict may take a twentieth longer than the backbone alone.
WITHIN = 1 / 1.05
PEER = "X-CLIP of transformers"
FIGURES = SyntheticOptions(train_per_action=2, test_per_action=0)


def write_model(folder: Path, backbone: str, options: SyntheticOptions = FIGURES) -> None:
    """A model around that backbone, with heads for the figures' 24 actions and their movements."""
    generate(folder.with_name("figures"), options, progress=False)
    config = TrainConfig(folder.with_name("figures"), folder, device="cpu", model=ModelConfig(backbone=backbone))
    train(config, show_progress=False)


def process(*words: str | Path) -> None:
    """A Python process from its start to its end."""
    environment = os.environ | {"TRANSFORMERS_VERBOSITY": "error"}
    words = (sys.executable, "-W", "ignore", *words)
    root = Path(__file__).parents[1]
    subprocess.run([*map(str, words)], check=True, capture_output=True, cwd=root, env=environment)


def frames_of(clip: Path) -> np.ndarray:
    """The frames that all look at; stops if X-CLIP looks at others."""
    frames = read_frames(clip, segment_indices(NUM_FRAMES, xclip.FRAMES))
    if not np.array_equal(frames, xclip.read_video(clip)):
        raise SystemExit("X-CLIP reads other frames: this is no fair comparison")
    return frames


def rows_of(folder: Path, clip: Path, arch: Arch) -> list[Row]:
    """One architecture: warm and cold."""
    model, theirs, backbone = folder / "model", folder / "xclip", folder / "backbone"
    write_random_clip(RandomClip(backbone, arch))
    write_model(model, str(backbone))
    recognizer, tower = Recognizer.from_pretrained(model), load_backbone(str(backbone))
    xclip.write(theirs, backbone, PATCH_SIZES[arch], list(recognizer.checkpoint.actions))
    pixels = preprocess(torch.from_numpy(frames_of(clip)), tower.image_size, tower.mean, tower.std)

    @torch.no_grad()
    def bare() -> Tensor:
        return tower.encode_image(pixels)

    peer, what = xclip.Recognizer(theirs), f"predict, {arch}, {xclip.FRAMES} of {NUM_FRAMES} frames"
    forward = f"the backbone's forward on these {xclip.FRAMES}"
    return [
        compare(f"{what}, warm", lambda: recognizer.predict(clip), bare, forward, goal=WITHIN),
        compare(f"{what}, warm", lambda: recognizer.predict(clip), lambda: peer.predict(clip), PEER),
        compare(
            f"{what}, new process",
            lambda: process("-m", "kgclip", "predict", model, clip),
            lambda: process("-m", "benchmarks.xclip", theirs, clip),
            PEER,
        ),
    ]


def benchmark(archs: Sequence[Arch] = ARCHS) -> list[Row]:
    """Every architecture on the same clip."""
    torch.manual_seed(0)
    rows = []
    for arch in archs:
        with tempfile.TemporaryDirectory() as name:
            clip = Path(name) / "clip.mp4"
            write_clip(clip, GOP)
            rows += rows_of(Path(name), clip, arch)
    return rows
