"""Taking 8 frames out of a video, against decoding from its start with PyAV and against OpenCV's seek."""

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Int, UInt8

from benchmarks.harness import Row, compare
from kgclip.video.decode import probe, read_frames
from kgclip.video.sampling import segment_indices

NUM_FRAMES, TAKEN = 300, 8
WIDTH, HEIGHT = 340, 256
GOPS = (12, 250)
FPS = 30
# OpenCV converts colors with less precision.
AGREE = 1.0
SEQUENTIAL, OPENCV = "sequential PyAV", "OpenCV seek"

Reader = Callable[[Path, Int[np.ndarray, " T"]], UInt8[np.ndarray, "T H W 3"]]


def write_clip(path: Path, gop: int) -> None:
    """A moving texture with some noise."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (HEIGHT // 8 + 64, WIDTH // 8 + 64, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", FPS, {"g": str(gop), "crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM_FRAMES):
            picture = texture[index : index + HEIGHT, index : index + WIDTH].astype(np.int16)
            picture = np.clip(picture + rng.integers(-8, 9, picture.shape, dtype=np.int16), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def sequential(path: Path, indices: Int[np.ndarray, " T"]) -> UInt8[np.ndarray, "T H W 3"]:
    """As in the examples of transformers: decode from the start, keep what is wanted, stop after the last."""
    wanted, frames = set(indices.tolist()), []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number > indices[-1]:
                break
            if number in wanted:
                frames.append(frame.to_ndarray(format="rgb24"))
    return np.stack(frames)


def opencv(path: Path, indices: Int[np.ndarray, " T"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Seek to each frame."""
    import cv2  # pyright: ignore[reportMissingImports]

    capture, frames = cv2.VideoCapture(str(path)), []
    for index in indices.tolist():
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return np.stack(frames)


def ours(path: Path, indices: Int[np.ndarray, " T"]) -> UInt8[np.ndarray, "T H W 3"]:
    """With the threads of a single reader, as OpenCV has them too."""
    return read_frames(path, indices, threads=torch.get_num_threads())


def peers() -> dict[str, Reader]:
    """Who else takes part."""
    found: dict[str, Reader] = {SEQUENTIAL: sequential}
    if importlib.util.find_spec("cv2") is None:
        print("OpenCV is not installed: its comparison is left out", file=sys.stderr)
    else:
        found[OPENCV] = opencv
    return found


def rows_of(what: str, path: Path, goals: dict[str, float]) -> list[Row]:
    """One file: ours against every peer, after seeing that all read the same frames."""
    indices, rows = segment_indices(probe(path).num_frames, TAKEN), []
    found = ours(path, indices).astype(np.int16)
    for name, peer in peers().items():
        difference = float(np.abs(found - peer(path, indices)).mean())
        if difference > (AGREE if name == OPENCV else 0):
            raise SystemExit(f"{what}: {name} reads other frames, {difference} gray levels apart: no fair comparison")
        rows.append(compare(what, partial(ours, path, indices), partial(peer, path, indices), name, goal=goals[name]))
    return rows


def benchmark() -> list[Row]:
    """Short and long groups of pictures, and a long file."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for gop in GOPS:
            write_clip(folder / "clip.mp4", gop)
            what = f"{TAKEN} of {NUM_FRAMES} frames, {WIDTH}×{HEIGHT} H.264, GOP {gop}"
            rows += rows_of(what, folder / "clip.mp4", {SEQUENTIAL: 3.0 if gop == GOPS[0] else 1.0, OPENCV: 1.0})
    return rows
