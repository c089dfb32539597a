"""`predict` on a ten-second clip: against the bare backbone, and against X-CLIP of transformers with the same backbone.

python -m benchmarks.predicting; models of random weights are written to a temporary folder.
"""

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
from benchmarks.epoch import random_graph
from benchmarks.harness import Row, compare, markdown
from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint, build_model
from kgclip.engine.predict import Recognizer
from kgclip.models.backbones.registry import load_backbone
from kgclip.video.frames import read_clip
from kgclip.video.transforms import preprocess
from tools.random_clip import PATCH_SIZES, RandomClip, write_random_clip

Arch = Literal["ViT-B/16", "ViT-B/32"]
ARCHS: tuple[Arch, ...] = ("ViT-B/32", "ViT-B/16")
CLIPS, GOP = 3047, 12
# Warm, predict may take a twentieth longer than the backbone alone.
WITHIN = 1 / 1.05
# Scores of the same clip in another order of additions.
AGREE = 1e-4
PEER = "X-CLIP of transformers"


def write_model(folder: Path, backbone: Path) -> None:
    """A model of the published graph's size around that backbone, as training saves it; its heads are untrained."""
    clips = tuple(f"{index:04d}" for index in range(CLIPS))
    graph = random_graph(clips, np.random.default_rng(0))
    config = TrainConfig(data=folder, out=folder, device="cpu", model=ModelConfig(backbone=str(backbone)))
    model = build_model(config, load_backbone(str(backbone)), graph)
    actions, split = tuple(graph.entities("action")), Split(clips, (), (), clips)
    Checkpoint(model, config, actions, graph, split, path_weight=1.0, temperature=1.0, summary={}).save(folder)


def process(*words: str | Path) -> None:
    """A Python process from its start to its end."""
    environment = os.environ | {"TRANSFORMERS_VERBOSITY": "error"}
    words = (sys.executable, "-W", "ignore", *words)
    root = Path(__file__).parents[1]
    subprocess.run([*map(str, words)], check=True, capture_output=True, cwd=root, env=environment)


def check_same(recognizer: Recognizer, clip: Path, features: Tensor) -> None:
    """Stop unless all look at the same frames, and predict says of the clip what the bare backbone's features say."""
    if not np.array_equal(read_clip(clip, xclip.FRAMES).images, xclip.read_video(clip)):
        raise SystemExit("X-CLIP reads other frames: this is no fair comparison")
    expected = recognizer.scorer.score(recognizer.scorer.embed(features[None])).fused[0]
    told = {row["action"]: row["fused"] for row in recognizer.predict(clip, top=len(expected))["actions"]}
    found = torch.tensor([told[action] for action in recognizer.checkpoint.actions])
    error = float((found - expected).abs().max())
    if error > AGREE:
        raise SystemExit(f"predict differs from the backbone's features by {error}: this is no fair comparison")


def rows_of(folder: Path, clip: Path, arch: Arch) -> list[Row]:
    """One architecture: warm and cold."""
    model, theirs, backbone = folder / "model", folder / "xclip", folder / "backbone"
    write_random_clip(RandomClip(backbone, arch))
    write_model(model, backbone)
    recognizer = Recognizer.from_pretrained(model)
    xclip.write(theirs, backbone, PATCH_SIZES[arch], list(recognizer.checkpoint.actions))
    tower = recognizer.checkpoint.model.backbone
    frames = read_clip(clip, xclip.FRAMES)
    images, times = frames.images, frames.times_s.tolist()
    pixels = preprocess(torch.from_numpy(images), tower.image_size, tower.mean, tower.std)

    @torch.no_grad()
    def bare() -> Tensor:
        return tower.encode_image(pixels)

    check_same(recognizer, clip, bare())
    peer, what = xclip.Recognizer(theirs), f"predict, {arch}, {xclip.FRAMES} of {NUM_FRAMES} frames"
    forward = f"the backbone's forward on these {xclip.FRAMES}"

    def warm() -> object:
        return recognizer.predict(clip)

    return [
        compare(f"{what}, warm", warm, bare, forward, goal=WITHIN),
        compare(f"{what}, warm, already decoded", lambda: recognizer.predict_frames("", images, times), bare, forward),
        compare(f"{what}, warm", warm, lambda: peer.predict(clip), PEER),
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


if __name__ == "__main__":
    print(markdown(benchmark()))
