"""Taking 8 of 300 frames out of a video, against decoding all of it with PyAV and against OpenCV's seek.

python -m benchmarks.decoding; OpenCV takes part where it is installed.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Int, UInt8

from kgclip.bench.harness import Row, compare, markdown
from kgclip.video.decode import read_frames
from kgclip.video.sampling import segment_indices

NUM_FRAMES, TAKEN = 300, 8
WIDTH, HEIGHT = 340, 256
GOPS = (12, 250)


def write_clip(path: Path, gop: int) -> None:
    """H.264 of a moving texture with some noise, 30 frames a second, a key frame every ``gop`` frames."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (HEIGHT // 8 + 64, WIDTH // 8 + 64, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=30, options={"g": str(gop), "crf": "23", "preset": "veryfast"}
        )
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


def benchmark() -> list[Row]:
    """Short and long groups of pictures."""
    indices, rows = segment_indices(NUM_FRAMES, TAKEN), []
    with tempfile.TemporaryDirectory() as folder:
        for gop in GOPS:
            path = Path(folder) / f"gop{gop}.mp4"
            write_clip(path, gop)
            if not np.array_equal(read_frames(path, indices), sequential(path, indices)):
                raise SystemExit(f"GOP {gop}: frames differ from PyAV's: this is no fair comparison")
            what = f"{TAKEN} of {NUM_FRAMES} frames, {WIDTH}×{HEIGHT} H.264, GOP {gop}"
            goal = 3.0 if gop == GOPS[0] else 1.0
            rows.append(
                compare(
                    what,
                    lambda path=path: read_frames(path, indices),
                    lambda path=path: sequential(path, indices),
                    "sequential PyAV",
                    goal=goal,
                )
            )
            if importlib.util.find_spec("cv2") is not None:
                rows.append(
                    compare(
                        what,
                        lambda path=path: read_frames(path, indices),
                        lambda path=path: opencv(path, indices),
                        "OpenCV seek",
                        goal=1.0,
                    )
                )
    if importlib.util.find_spec("cv2") is None:
        print("OpenCV is not installed: its comparison is left out", file=sys.stderr)
    return rows


if __name__ == "__main__":
    print(markdown(benchmark()))
