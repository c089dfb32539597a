"""A small video encoder, so that every test knows what its file holds."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BITS = 8


def numbered_frames(num_frames: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Frames that carry their own number as bright columns, the lowest bit first; a corner tells up from down."""
    width, height = size
    frames = np.full((num_frames, height, width, 3), 40, np.uint8)
    column = width // BITS
    for index, frame in enumerate(frames):
        for bit in range(BITS):
            if index >> bit & 1:
                frame[:, bit * column : (bit + 1) * column] = 220
        frame[: height // 4, : width // 4] = (250, 20, 20)
    return frames


@pytest.fixture(scope="session")
def read_numbers() -> Callable[[np.ndarray], list[int]]:
    """The numbers that decoded `numbered_frames` carry."""

    def read(frames: np.ndarray) -> list[int]:
        _, height, width, _ = frames.shape
        column = width // BITS
        blocks = frames[:, height // 2 :, : BITS * column].reshape(len(frames), -1, BITS, column, 3)
        bright = blocks.mean((1, 3, 4)) > 128
        return [int(number) for number in bright @ (1 << np.arange(BITS))]

    return read


@pytest.fixture(scope="session")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write numbered frames to a new file: `stamps` are ticks of `time_base`, `options` the codec's own."""

    def write(
        name: str,
        num_frames: int = 60,
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        stamps: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path_factory.mktemp("video") / name
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=25, options={"threads": "1", **(options or {})})
            stream.width, stream.height = size
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = time_base
            for index, pixels in enumerate(numbered_frames(num_frames, size)):
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
                frame.pts = stamps[index] if stamps else index
                frame.time_base = time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def decode_all() -> Callable[[Path], np.ndarray]:
    """What plain PyAV gives when it decodes a file from its start, leaving out packets that are refused."""

    def decode(path: Path) -> np.ndarray:
        frames: list[np.ndarray] = []
        with av.open(str(path)) as container:
            for packet in container.demux(video=0):
                with suppress(av.error.InvalidDataError):
                    frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
        return np.stack(frames)

    return decode


@pytest.fixture(scope="session")
def remux() -> Callable[..., Path]:
    """Copy the packets of a file's video, without decoding, as `edit` gives them back; None leaves a packet out."""

    def copy(source: Path, target: Path, edit: Callable[[int, av.Packet], av.Packet | None]) -> Path:
        with av.open(str(source)) as read, av.open(str(target), "w") as write:
            stream = write.add_stream_from_template(read.streams.video[0])
            for number, packet in enumerate(p for p in read.demux(read.streams.video[0]) if p.size):
                edited = edit(number, packet)
                if edited is not None:
                    edited.stream = stream
                    write.mux(edited)
        return target

    return copy
