"""Taking 8 frames out of a video, against decoding from its start with PyAV and against OpenCV's seek.

python -m benchmarks.decoding; OpenCV takes part where it is installed.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from jaxtyping import Int, UInt8

from benchmarks.harness import Row, compare, markdown
from kgclip.video.decode import probe, read_frames
from kgclip.video.sampling import segment_indices

NUM_FRAMES, TAKEN = 300, 8
WIDTH, HEIGHT = 340, 256
GOPS = (12, 250)
FPS = 30
# The long files: 1080p, one group of pictures over and over.
LARGE, LARGE_GOP = (1920, 1080), 250
SHORT_MIN, LONG_MIN = 1, 10
# A file ten times as long may take a quarter more, for its longer index.
ALIKE = 0.8
# OpenCV converts colors with less precision.
AGREE = 1.0
SEQUENTIAL, OPENCV = "sequential PyAV", "OpenCV seek"

Reader = Callable[[Path, Int[np.ndarray, " T"]], UInt8[np.ndarray, "T H W 3"]]


def add_stream(container: Any, size: tuple[int, int], gop: int, preset: str) -> Any:
    """H.264, 30 frames a second, a key frame every ``gop`` frames."""
    stream = container.add_stream("libx264", rate=FPS, options={"g": str(gop), "crf": "23", "preset": preset})
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    return stream


def write_clip(path: Path, gop: int) -> None:
    """A moving texture with some noise."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (HEIGHT // 8 + 64, WIDTH // 8 + 64, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = add_stream(container, (WIDTH, HEIGHT), gop, "veryfast")
        for index in range(NUM_FRAMES):
            picture = texture[index : index + HEIGHT, index : index + WIDTH].astype(np.int16)
            picture = np.clip(picture + rng.integers(-8, 9, picture.shape, dtype=np.int16), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_long(path: Path, num_frames: int, size: tuple[int, int] = LARGE, gop: int = LARGE_GOP) -> None:
    """A square that moves over a fine texture: one group of pictures is encoded, and its packets written repeatedly."""
    width, height = size
    still = np.random.default_rng(0).integers(0, 256, (height // 2, width // 2, 3), dtype=np.uint8)
    still, side = still.repeat(2, 0).repeat(2, 1), height // 5
    with av.open(str(path), "w") as container:
        stream, packets = add_stream(container, size, gop, "ultrafast"), []
        for index in range(gop):
            picture = still.copy()
            picture[index : index + side, index : index + side] = 255 - index % 200
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        for number in range(num_frames):
            first = packets[number % gop]
            packet = av.Packet(bytes(first))
            packet.stream, packet.time_base, packet.is_keyframe = stream, first.time_base, first.is_keyframe
            packet.pts = packet.dts = number  # this preset has no frames out of order
            container.mux(packet)


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


def long_rows(folder: Path, frames_per_minute: int = 60 * FPS, size: tuple[int, int] = LARGE) -> list[Row]:
    """The cost in a long file is that of its groups of pictures, not of its length."""
    short, long = folder / "short.mp4", folder / "long.mp4"
    write_long(short, SHORT_MIN * frames_per_minute, size)
    write_long(long, LONG_MIN * frames_per_minute, size)
    what = f"{TAKEN} frames of {LONG_MIN} minutes, {size[0]}×{size[1]} H.264, GOP {LARGE_GOP}"
    of_short, of_long = (segment_indices(probe(path).num_frames, TAKEN) for path in (short, long))
    alike = compare(
        what, partial(ours, long, of_long), partial(ours, short, of_short), f"of {SHORT_MIN} minute", goal=ALIKE
    )
    return [alike, *rows_of(what, long, {SEQUENTIAL: 1.0, OPENCV: 1.0})]


def benchmark() -> list[Row]:
    """Short and long groups of pictures, and a long file."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for gop in GOPS:
            write_clip(folder / "clip.mp4", gop)
            what = f"{TAKEN} of {NUM_FRAMES} frames, {WIDTH}×{HEIGHT} H.264, GOP {gop}"
            rows += rows_of(what, folder / "clip.mp4", {SEQUENTIAL: 3.0 if gop == GOPS[0] else 1.0, OPENCV: 1.0})
        return rows + long_rows(folder)


if __name__ == "__main__":
    print(markdown(benchmark()))
