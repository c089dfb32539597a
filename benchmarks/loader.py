"""Batches as an image tower takes them, against sequential decoding with PIL's preprocessing of every frame."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.decoding import NUM_FRAMES, TAKEN, sequential, write_clip
from benchmarks.harness import Row, compare
from kgclip.data.loader import Pixels, VideoSource, in_order, load_clip
from kgclip.memory import keep_freed_memory
from kgclip.video.sampling import segment_indices

PIXELS = Pixels(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# Bicubic resizing in PIL rounds to whole values between its two passes.
AGREE = 0.02
AGAINST = "sequential PyAV, PIL per frame"
CLIPS, BATCH, WORKERS = 192, 8, 2


def with_pil(path: Path) -> Float[Tensor, "T C H W"]:
    """Decode from the start; resize, crop, convert and normalize frame by frame."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (PIXELS.mean, PIXELS.std))
    size, clip = PIXELS.image_size, []
    for frame in sequential(path, segment_indices(NUM_FRAMES, TAKEN)):
        image = Image.fromarray(frame)
        scale = size / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
        tensor = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
        clip.append((tensor - mean) / std)
    return torch.stack(clip)


class _Peer(Dataset):
    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Float[Tensor, "T C H W"]:
        return with_pil(self.paths[position])


def load_all(paths: Sequence[Path]) -> None:
    """An epoch of ours."""
    for _ in VideoSource(paths, TAKEN, PIXELS, workers=WORKERS).batches(in_order(len(paths), BATCH)):
        pass


def load_all_with_pil(paths: Sequence[Path]) -> None:
    """An epoch of the peer's."""
    for _ in DataLoader(_Peer(paths), BATCH, num_workers=WORKERS, multiprocessing_context="fork"):
        pass


def benchmark(num_clips: int = CLIPS) -> list[Row]:
    """An epoch over one clip again and again, worker processes included."""
    keep_freed_memory()  # as the kgclip command does; both kinds of worker inherit it
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, 12)
        error = float((load_clip(path, TAKEN, PIXELS) - with_pil(path)).abs().mean())
        if error > AGREE:
            raise SystemExit(f"pixels differ from PIL's by {error} on average: this is no fair comparison")
        paths = [path] * num_clips
        size = f"{TAKEN} of {NUM_FRAMES} frames at {PIXELS.image_size} px, GOP 12"
        what = f"loading {num_clips} clips, {size}, {WORKERS} workers"
        return [compare(what, lambda: load_all(paths), lambda: load_all_with_pil(paths), AGAINST, goal=3.0)]
