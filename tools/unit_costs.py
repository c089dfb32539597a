"""What one clip costs on this machine: to decode, to encode, to train on, to solve for, to keep.

    python -m tools.unit_costs --out docs/generated/unit_costs.json

Run nothing else meanwhile. `python -m tools.scaling` makes plans for many machines from the file.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from benchmarks.decoding import FPS, NUM_FRAMES, TAKEN, ours, write_clip
from benchmarks.fit import FRAMES, fit, random_run
from benchmarks.harness import machine, once_s
from benchmarks.predicting import Arch
from benchmarks.training_step import our_step
from kgclip.files import atomic_path
from kgclip.models.backbones.registry import load_backbone
from kgclip.video.sampling import segment_indices
from tools.random_clip import RandomClip, write_random_clip

REPEATS = 3


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    out: Path
    """file to write"""
    arch: Arch = "ViT-B/32"
    """of the CLIP, with random weights"""
    batch: int = 8
    """clips of a training step on one device"""
    solved: int = 10_000
    """clips of the fit that is timed"""


@dataclass(frozen=True)
class UnitCosts:
    """Seconds and bytes of one clip, measured on one machine.

    Attributes:
        device: what computed, in words.
        cores: processor cores of one machine.
        decodes_beside: whether decoding runs beside the computing, as beside a GPU, and not on the same cores.
        clip_s: length of the clip.
        clip_bytes: of its file.
        feature_bytes: of its features.
        parameter_bytes: of the model, which machines that train together exchange.
        decode_core_s: of one core, for 8 frames.
        encode_s: of one device, for 8 frames.
        train_s: of one device, a step's share, both towers.
        solve_s: of one machine, to fit the head, features at hand.
    """

    device: str
    cores: int
    decodes_beside: bool
    clip_s: float
    clip_bytes: int
    feature_bytes: int
    parameter_bytes: int
    decode_core_s: float
    encode_s: float
    train_s: float
    solve_s: float


def median_s(work: Callable[[], Any]) -> float:
    """Seconds of some work that has run once before."""
    work()
    return statistics.median(once_s(work) for _ in range(REPEATS))


def measured(options: Options) -> UnitCosts:
    """Run and time each kind of work."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        write_clip(clip, 12)
        indices = np.asarray(segment_indices(NUM_FRAMES, TAKEN))
        decode_s = median_s(lambda: ours(clip, indices))
        write_random_clip(RandomClip(folder / "clip", options.arch))
        backbone = load_backbone(str(folder / "clip"))
        backbone.in_bf16 = True
        frames = torch.randn(options.batch * TAKEN, 3, backbone.image_size, backbone.image_size)
        with torch.no_grad():
            encode_s = median_s(lambda: backbone.embed_images(frames)) / options.batch
        features = TAKEN * backbone.frame_dim * 4
        train_s = median_s(our_step(backbone, options.batch)) / options.batch
        run = random_run(folder, options.solved)
        solve_s = once_s(lambda: fit(*run)) / options.solved
        return UnitCosts(
            device=f"{options.arch} on {machine()['processor']}, {torch.get_num_threads()} threads, bf16",
            cores=torch.get_num_threads(),
            decodes_beside=False,
            clip_s=NUM_FRAMES / FPS,
            clip_bytes=clip.stat().st_size,
            feature_bytes=features,
            parameter_bytes=sum(4 * parameter.numel() for parameter in backbone.parameters()),
            decode_core_s=decode_s,
            encode_s=encode_s,
            train_s=train_s,
            solve_s=solve_s,
        )


def main(argv: list[str]) -> int:
    """Run the command."""
    options = tyro.cli(Options, args=argv)
    costs = measured(options)
    value = {"measured": asdict(costs), "frames": FRAMES, "machine": machine()}
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(value, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
