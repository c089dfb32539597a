"""What one clip costs on this machine: to decode, to encode, to train on, to solve for, to keep.

    python -m tools.unit_costs --out docs/generated/unit_costs.json
    python -m tools.unit_costs --out docs/generated/unit_costs_gpu.json --arch ViT-B/16 --frames 16 --batch 64

Run nothing else meanwhile. It takes a GPU where torch finds one. `python -m tools.scaling` makes plans for many
machines from the files.
"""

import json
import os
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
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.decoding import FPS, NUM_FRAMES, TAKEN, ours, write_clip
from benchmarks.fit import fit, random_run
from benchmarks.harness import machine, once_s
from benchmarks.predicting import Arch
from benchmarks.training_step import our_step, towers_step
from kgclip.engine.checkpoint import choose_device
from kgclip.files import atomic_path
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.compiled import WORTHWHILE, compile_image_tower
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
    frames: int = TAKEN
    """of each clip"""
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
        decode_core_s: of one core, for its frames.
        encode_s: of one device, for its frames.
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


@dataclass(frozen=True)
class Shares:
    """How well the device is used.

    Attributes:
        peak_tflops: of a large bf16 matrix product on this device.
        encode, train: share of that peak while frames are encoded and while both towers train.
        heads: share of a training step's time that the towers alone do without: pooling, triplet encoder, loss.
    """

    peak_tflops: float
    encode: float
    train: float
    heads: float


def median_s_on(device: str, work: Callable[[], Any]) -> float:
    """As :func:`median_s`, until the device has done it."""
    if device == "cpu":
        return median_s(work)

    def done() -> None:
        work()
        torch.cuda.synchronize()

    return median_s(done)


def flops_of(work: Callable[[], Any]) -> int:
    """Floating-point operations of matrix products, convolutions and attention in some work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak_flops(device: str) -> float:
    """Floating-point operations a second of a large matrix product in bf16."""
    side = 1024 if device == "cpu" else 8192
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / median_s_on(device, lambda: left @ right)


def measured(options: Options) -> tuple[UnitCosts, Shares]:
    """Run and time each kind of work."""
    torch.manual_seed(0)
    device = choose_device("auto")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        write_clip(clip, 12)
        indices = np.asarray(segment_indices(NUM_FRAMES, options.frames))
        decode_s = median_s(lambda: ours(clip, indices))
        write_random_clip(RandomClip(folder / "clip", options.arch))
        backbone = load_backbone(str(folder / "clip")).to(device)
        backbone.in_bf16 = True
        frames = torch.randn(options.batch * options.frames, 3, backbone.image_size, backbone.image_size).to(device)

        @torch.no_grad()
        def encode() -> None:
            backbone.embed_images(frames)

        peak = peak_flops(device)
        step = our_step(backbone, options.batch, frames=options.frames, device=device)
        flops = flops_of(encode), flops_of(step)
        # As in a run over many clips.
        compile_image_tower(backbone, WORTHWHILE)
        encode_s = median_s_on(device, encode)
        train_s = median_s_on(device, step)
        towers_s = median_s_on(device, towers_step(backbone, options.batch, frames=options.frames, device=device))
        shares = Shares(peak / 1e12, flops[0] / encode_s / peak, flops[1] / train_s / peak, 1 - towers_s / train_s)
        run = random_run(folder, options.solved)
        solve_s = once_s(lambda: fit(*run)) / options.solved
        name = f"{machine()['processor']}, {torch.get_num_threads()} threads"
        costs = UnitCosts(
            device=f"{options.arch} on {name if device == 'cpu' else torch.cuda.get_device_name()}, bf16",
            cores=os.cpu_count() or 1,
            decodes_beside=device != "cpu",
            clip_s=NUM_FRAMES / FPS,
            clip_bytes=clip.stat().st_size,
            feature_bytes=options.frames * backbone.frame_dim * 4,
            parameter_bytes=sum(4 * parameter.numel() for parameter in backbone.parameters()),
            decode_core_s=decode_s,
            encode_s=encode_s / options.batch,
            train_s=train_s / options.batch,
            solve_s=solve_s,
        )
        return costs, shares


def main(argv: list[str]) -> int:
    """Run the command."""
    options = tyro.cli(Options, args=argv)
    costs, shares = measured(options)
    value = {"measured": asdict(costs), "frames": options.frames, "shares": asdict(shares), "machine": machine()}
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(value, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
