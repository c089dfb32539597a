"""Frames out of video files: any container and codec FFmpeg reads, decoding no more than the wanted frames need."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from kgclip.errors import KgclipError

# A seek throws away the frames the decoder still holds back for reordering, so a shorter gap is decoded through.
SHORTEST_JUMP = 4


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video.

    Attributes:
        num_frames: frames that can be read.
        duration_s: from the first frame to the end of the last, in seconds.
        fps: mean frames per second.
        width: of the frames as displayed, after rotation, in pixels.
        height: of the frames as displayed, after rotation, in pixels.
        rotation_deg: clockwise turn from the stored to the displayed frame: 0, 90, 180 or 270.
    """

    num_frames: int
    duration_s: float
    fps: float
    width: int
    height: int
    rotation_deg: int


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Length, rate, size and rotation of a video file; decodes one frame.

    Raises:
        KgclipError: as `open_video`.
    """
    with open_video(path) as video:
        return video.info


def read_frames(path: str | os.PathLike[str], indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
    """The frames at 0-based display-order `indices`, in the order asked for; RGB, 0 to 255, as displayed.

    Raises:
        KgclipError: as `open_video` and `Video.read`.
    """
    with open_video(path) as video:
        return video.read(indices)


@contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator["Video"]:
    """Open a video file for reading and index its frames once.

    Raises:
        KgclipError: if the file is missing, empty, unreadable, damaged, or holds no video.
    """
    path = Path(path)
    _check_file(path)
    try:
        # The prefix keeps FFmpeg from taking a colon in a file name for a protocol.
        container = av.open(f"file:{path}")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise KgclipError(f"{path}: not a video that FFmpeg can read ({_reason(error)}); convert or drop it") from error
    with container:
        yield Video(path, container)


class Video:
    """An open video file; made by `open_video`."""

    def __init__(self, path: Path, container: InputContainer):
        self.path = path
        self._container = container
        self._stream = _video_stream(path, container)
        # One frame at a time keeps the decoder from running ahead; loaders are parallel over files.
        self._stream.thread_count = 1
        self.num_decoded = 0
        self._index()

    def _index(self) -> None:
        """Find the display order by reading all packets, which costs a small part of decoding them."""
        packets = [p for p in self._packets() if p.size]
        shown = [p for p in packets if not p.is_discard]
        stamps = [p.pts for p in shown]
        keys = [p.pts for p in packets if p.is_keyframe and p.pts is not None]
        self._seekable = bool(keys) and _trustworthy(stamps, keys, self._container.format.name)
        if self._seekable:
            self._stamps = np.sort(np.array(stamps, dtype=np.int64))
            self._keys = np.sort(np.array(keys, dtype=np.int64))
            self.num_frames = len(stamps)
        else:
            self.num_frames = sum(1 for _ in self._decode_from_start())
        promised = len(self._stream.index_entries) if "mp4" in self._container.format.name else 0
        if self.num_frames == 0 or len(packets) < promised:
            raise KgclipError(
                f"{self.path}: holds {self.num_frames} readable frames of the {max(promised, 1)} expected; "
                "the file is truncated, copy it again or drop it"
            )

    @property
    def info(self) -> VideoInfo:
        """Length, rate, size and rotation; decodes the first frame."""
        frame = self.read([0])
        stream = self._stream
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        return VideoInfo(
            num_frames=self.num_frames,
            duration_s=self.num_frames / rate,
            fps=rate,
            width=frame.shape[2],
            height=frame.shape[1],
            rotation_deg=self._rotation,
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
        """The frames at 0-based display-order `indices`, in the order asked for; RGB, 0 to 255, as displayed.

        Raises:
            KgclipError: if no frame is asked for, one lies outside the video, or one cannot be decoded.
        """
        order = [int(index) for index in indices]
        if not order or min(order) < 0 or max(order) >= self.num_frames:
            raise KgclipError(
                f"{self.path}: frames {order} asked for, but the video has frames 0 to {self.num_frames - 1}; "
                "ask for at least one frame inside"
            )
        wanted = sorted(set(order))
        pictures = self._read_by_seeking(wanted) if self._seekable else None
        if pictures is None:
            pictures = self._read_through(wanted)
        return np.stack([pictures[index] for index in order])

    def _read_by_seeking(self, wanted: list[int]) -> dict[int, np.ndarray] | None:
        """Frames by index, or None where the file's index does not hold what it promises."""
        pictures: dict[int, np.ndarray] = {}
        frames: Iterator[VideoFrame] | None = None
        position = -1
        for index in wanted:
            stamp = self._stamps[index]
            key = self._keys[max(0, np.searchsorted(self._keys, stamp, side="right") - 1)]
            if frames is None or np.searchsorted(self._stamps, key) > position + SHORTEST_JUMP:
                frames = self._decode_from(int(key))
            frame = next((f for f in frames if f.pts is not None and f.pts >= stamp), None)
            if frame is None or frame.pts != stamp:
                return None
            pictures[index] = self._picture(frame)
            position = index
        return pictures

    def _read_through(self, wanted: list[int]) -> dict[int, np.ndarray]:
        """Frames by index, decoding the whole file: the slow way that needs no index."""
        keep = set(wanted)
        pictures = {}
        count = 0
        for index, frame in enumerate(self._decode_from_start()):
            if index in keep:
                pictures[index] = self._picture(frame)
            count += 1
        if count != self.num_frames:
            raise KgclipError(
                f"{self.path}: decoded {count} of {self.num_frames} frames; the file is damaged, re-encode or drop it"
            )
        return pictures

    def _decode_from(self, key: int) -> Iterator[VideoFrame]:
        """Frames in display order from the key frame with time stamp `key`; none where the seek lands after it."""
        self._container.seek(key, stream=self._stream)
        landed = False
        for packet in self._packets():
            if not landed:
                if not packet.is_keyframe:
                    continue
                if packet.pts is None or packet.pts > key:
                    return
                landed = True
            yield from self._decode(packet)

    def _decode_from_start(self) -> Iterator[VideoFrame]:
        with av.open(f"file:{self.path}") as container:
            stream = _video_stream(self.path, container)
            stream.thread_count = 1
            for packet in container.demux(stream):
                yield from self._decode(packet)

    def _packets(self):
        return self._container.demux(self._stream)

    def _decode(self, packet) -> Iterator[VideoFrame]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return
        for frame in frames:
            self.num_decoded += 1
            yield frame

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
        pixels = frame.to_ndarray(format="rgb24")
        a, b, c, d = _display_matrix(frame)
        if abs(a) + abs(d) >= abs(b) + abs(c):
            self._rotation = 180 if a < 0 and d < 0 else 0
            flip_x, flip_y = a < 0, d < 0
        else:
            self._rotation = 90 if b > 0 else 270
            pixels = pixels.transpose(1, 0, 2)
            flip_x, flip_y = c < 0, b < 0
        return pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """The part a, b, c, d of the display matrix: x' = a x + c y, y' = b x + d y."""
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
    return a, b, c, d


def _trustworthy(stamps: list, keys: list[int], format_name: str) -> bool:
    """Whether sorting the packets by time stamp gives the frames in display order."""
    if None in stamps or len(set(stamps)) != len(stamps):
        return False
    # AVI stores no presentation time: with reordered frames the stamps are in decoding order.
    if format_name == "avi" and stamps == sorted(stamps) and len(stamps) > 1:
        return False
    # Frames shown before the first key frame cannot be decoded.
    return min(stamps) >= min(keys)


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        kinds = sorted({s.type for s in container.streams})
        raise KgclipError(f"{path}: holds no video, only {', '.join(kinds) or 'nothing'}; give a video file")
    return streams[0]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise KgclipError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise KgclipError(f"{path}: not a file but a folder or device; give a video file")
    if not os.access(path, os.R_OK):
        raise KgclipError(f"{path}: may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise KgclipError(f"{path}: is empty (0 bytes); copy it again or drop it")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
