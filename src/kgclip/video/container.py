"""A video file opened safely: its packets and its decoder; what it does to its reader becomes one sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.error import ArgumentError, ExitError, FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kgclip.errors import KgclipError

# FFmpeg's names of what it may open. Playlists, concatenations and the like are not among them: they open other files.
FORMATS = (
    *("mov", "matroska", "avi", "mpeg", "mpegts", "flv", "gif", "ogg", "asf", "mxf", "dv", "ivf"),
    *("h264", "hevc", "mpegvideo", "m4v"),
)
OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
MOST_S = 20.0
"""Of opening a file or reading one packet: what takes longer looks for it in gigabytes of nothing."""
MAX_PIXELS = 2**26
MAX_ASPECT = 32
STILLS = ("png", "bmp", "tiff", "webp")


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn whatever reading a file raises into that file's KgclipError."""
    try:
        yield
    except KgclipError:
        raise
    except MemoryError as error:
        raise KgclipError(f"{path}: takes more memory to read than there is; make it smaller or drop it") from error
    except Exception as error:
        # FFmpeg's errors have a short text; of the others the first line says enough.
        text = error.strerror if isinstance(error, FFmpegError) else str(error).partition("\n")[0]
        if isinstance(error, ExitError):
            text = f"nothing to read in {MOST_S:g} s"
        raise KgclipError(
            f"{path}: truncated or not a video, its reader says '{text}'; copy it again, convert or drop it"
        ) from error


@contextmanager
def open_file(path: Path) -> Iterator["VideoFile"]:
    """Open a video file, and close it at the end.

    Raises:
        KgclipError: the file is missing, empty, in a format that is not read, without video, or too large.
    """
    _check_file(path)
    try:
        # The prefix keeps FFmpeg from taking a colon in a file name for a protocol.
        container = av.open(f"file:{path}", container_options=OPTIONS, metadata_errors="replace", timeout=MOST_S)
    except ArgumentError as error:
        raise KgclipError(
            f"{path}: is not a video in a format that is read (such as MP4, MKV, AVI, MPEG); convert or drop it"
        ) from error
    with container:
        yield VideoFile(path, container)


class VideoFile:
    """The first stream of moving pictures in an open file, its packets and its decoder; made by `open_file`.

    Attributes:
        path: the file.
        container, stream, codec: what PyAV opened.
        num_decoded: frames decoded so far, a measure of the work done.
    """

    def __init__(self, path: Path, container: InputContainer):
        self.path, self.container, self.num_decoded = path, container, 0
        self.stream, self.codec = video_stream(str(path), container)
        self.codec.thread_count = 1  # more would hold frames back
        self.codec.options = {"max_pixels": str(MAX_PIXELS)}  # where the size changes on the way

    def packets(self, start: int | None = None) -> Iterator[Packet]:
        """The packets from here or from about the time ``start`` in ticks on, up to where the file is damaged."""
        if start is not None:
            self.container.seek(start, stream=self.stream)
        try:
            yield from (packet for packet in self.container.demux(self.stream) if packet.size)
        except InvalidDataError:
            return

    def decode(self, packet: Packet | None) -> list[VideoFrame]:
        """The frames that come out after `packet` has gone in; `None` asks for all that are held back."""
        try:
            frames = self.codec.decode(packet)
        except InvalidDataError:
            return []  # a damaged frame; it will be missed where it is wanted
        self.num_decoded += len(frames)
        return frames

    def decode_all(self) -> Iterator[VideoFrame]:
        """All frames in display order, whatever the container says."""
        with open_file(self.path) as again:
            for packet in chain(again.packets(), (None,)):
                yield from again.decode(packet)
            self.num_decoded += again.num_decoded


def video_stream(name: str, container: InputContainer) -> tuple[VideoStream, VideoCodecContext]:
    """The first stream of moving pictures in what was opened, and its decoder.

    Raises:
        KgclipError: there is none, it cannot be decoded, or its frames are too large.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({s.type for s in container.streams} - {"video"})
        raise KgclipError(f"{name}: holds no video, only {' and '.join(kinds) or 'pictures'}; give a video file")
    # A picture that stands for the film, which some writers do not mark as one, is a stream of a single frame.
    stream = next((s for s in streams if s.frames != 1 and s.codec_context.name not in STILLS), streams[0])
    codec = stream.codec_context
    if codec is None or not codec.width:
        raise KgclipError(f"{name}: its video cannot be decoded by this FFmpeg; convert it to H.264")
    short, long = sorted((codec.width, codec.height))
    if short * long > MAX_PIXELS or long > MAX_ASPECT * short:
        raise KgclipError(
            f"{name}: has frames of {codec.width}x{codec.height}, expected at most {MAX_PIXELS:,} pixels "
            f"and sides up to 1:{MAX_ASPECT}; scale or crop it"
        )
    return stream, codec


def _check_file(path: Path) -> None:
    if not path.exists():
        raise KgclipError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise KgclipError(f"{path}: is a folder without a video, or a device; give a video file")
    if not os.access(path, os.R_OK):
        raise KgclipError(f"{path}: may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise KgclipError(f"{path}: is empty (0 bytes); copy it again or drop it")
