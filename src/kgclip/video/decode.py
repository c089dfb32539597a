"""Frames out of video files: any container and codec FFmpeg reads, decoding no more than the wanted frames need."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float64, UInt8

from kgclip.errors import KgclipError
from kgclip.video.container import check_file, declared_bytes
from kgclip.video.index import FrameIndex, IndexFaultError, PacketStamp, Run
from kgclip.video.orientation import Orientation

# Below this size reading every packet takes a few milliseconds; above it, the header's sample table is used instead.
LARGE_FILE_BYTES = 32 * 2**20
# Their decoders, told so packet by packet, leave out frames that no other frame is predicted from.
SKIPPING_CODECS = ("h264", "hevc", "mpeg2video", "mpeg4")
# FFmpeg works the presentation times out for MPEG-4 in these containers, but leaves H.264's in decoding order.
WITHOUT_PRESENTATION_TIMES = ("avi", "asf", "mxf")
# FFmpeg draws plain text as the picture of a terminal.
TEXT_FORMAT = "tty"
# Where neither the file nor FFmpeg knows a rate: FFmpeg's own default.
DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video.

    Attributes:
        num_frames: frames that can be read.
        duration_s: from the first frame to the end of the last, in seconds.
        fps: mean frames per second; the true mean where the rate varies.
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
    """Length, rate, size and rotation of a video file; decodes its first frame.

    Raises:
        KgclipError: as `open_video`.
    """
    with open_video(path) as video:
        return video.info


def read_frames(
    path: str | os.PathLike[str], indices: Sequence[int] | np.ndarray, *, threads: int = 1
) -> UInt8[np.ndarray, "T H W 3"]:
    """The frames at 0-based display-order `indices`, in the order asked for; RGB, 0 to 255, as displayed.

    Raises:
        KgclipError: as `open_video` and `Video.read`.
    """
    with open_video(path, threads=threads) as video:
        return video.read(indices)


@contextmanager
def open_video(path: str | os.PathLike[str], *, threads: int = 1) -> Iterator["Video"]:
    """Open a video file, index its frames once, and read from it as often as needed.

    Args:
        path: the file.
        threads: that decode. More than one pays where a single file is waited for; readers of many files are better
            parallel over the files.

    Raises:
        KgclipError: if the file is missing, empty, unreadable, damaged, or holds no video.
    """
    path = Path(path)
    check_file(path)
    try:
        with _open_container(path) as container:
            yield Video(path, container, threads)
    except FFmpegError as error:
        raise KgclipError(
            f"{path}: truncated or not a video, FFmpeg says '{error.strerror}'; copy it again, convert or drop it"
        ) from error


class Video:
    """An open video file; made by `open_video`.

    Attributes:
        path: the file.
        num_frames: frames that can be read.
        num_decoded: frames decoded so far, a measure of the work done.
    """

    def __init__(self, path: Path, container: InputContainer, threads: int = 1, index: FrameIndex | None = None):
        """Index the file, unless another reader of it has done so."""
        self.path = path
        self.num_decoded = 0
        self._container = container
        self._threads = threads
        self._stream = _video_stream(path, container)
        self._reformatter = VideoReformatter()  # shared by all frames: setting one up costs more than decoding a frame
        self._orientation: Orientation | None = None
        codec = self._stream.codec_context
        self._size = codec.width, codec.height
        if index is None:
            self._check_length()
            index = self._index_from_header() or self._index_from_packets()
        self._index = index
        self.num_frames = self._index.num_frames if self._index else sum(1 for _ in self._decode_all())
        if self.num_frames == 0:
            raise KgclipError(f"{path}: holds no frame that can be decoded; copy it again or drop it")

    @cached_property
    def info(self) -> VideoInfo:
        """Length, rate, size and rotation; decodes the first frame, which `num_frames` alone does not."""
        height, width = self.read([0]).shape[1:3]
        orientation = self._orientation or Orientation()
        return VideoInfo(self.num_frames, self.duration_s, self.fps, width, height, orientation.rotation_deg)

    @cached_property
    def fps(self) -> float:
        """Mean frames per second; decodes nothing."""
        end_s = self._ticks([self.num_frames - 1])
        if end_s is not None and self.num_frames > 1:
            return (self.num_frames - 1) / float(end_s[0])
        return float(self._stream.average_rate or self._stream.guessed_rate or DEFAULT_FPS)

    @cached_property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last; decodes nothing."""
        last_s = float(self.times_s([self.num_frames - 1])[0])
        tick_s = float(self._stream.time_base or 0)
        return last_s + ((self._index.last_duration * tick_s if self._index else 0) or 1 / self.fps)

    def times_s(self, indices: Sequence[int] | np.ndarray) -> Float64[np.ndarray, " T"]:
        """The presentation times of frames in seconds from the first frame; index / fps where the file has none."""
        times_s = self._ticks(indices)
        return np.array(indices) / self.fps if times_s is None else times_s

    def _ticks(self, indices: Sequence[int] | np.ndarray) -> Float64[np.ndarray, " T"] | None:
        """Presentation times in seconds, or None where the file has none."""
        if self._index is None or not self._stream.time_base:
            return None
        try:
            return self._index.ticks(indices) * float(self._stream.time_base)
        except IndexFaultError:
            index = self._index_from_packets()
            self._index = index if index and index.num_frames == self.num_frames else None
            return self._ticks(indices)

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
        """The frames at 0-based display-order `indices`, in the order asked for; RGB, 0 to 255, as displayed.

        Raises:
            KgclipError: if no frame is asked for, one lies outside the video, or one cannot be decoded.
        """
        order = [int(index) for index in indices]
        if not order or min(order) < 0 or max(order) >= self.num_frames:
            asked = f"frames {min(order)} to {max(order)} were" if order else "no frame was"
            raise KgclipError(
                f"{self.path}: {asked} asked for, it has frames 0 to {self.num_frames - 1}; ask for frames inside"
            )
        wanted = sorted(set(order))
        pictures = self._read_by_seeking(self._index, wanted) if self._index else None
        if pictures is None:
            pictures = self._read_through(wanted)
        return np.stack([pictures[index] for index in order])

    # ---- indexing -------------------------------------------------------------------------------------------------

    def _check_length(self) -> None:
        """Refuse a file that ends before the place where its own header says it does."""
        if "mp4" in self._container.format.name:
            expected = max((e.pos + e.size for e in self._stream.index_entries), default=0)
        else:
            expected = declared_bytes(self.path)  # of AVI without the 8 bytes of its head, which some writers count in
        size = self.path.stat().st_size
        if expected > size:
            raise KgclipError(
                f"{self.path}: is truncated, {size} of at least {expected} bytes; copy it again or drop it"
            )

    def _index_from_header(self) -> FrameIndex | None:
        """Index a large MP4 from its sample table, so that the cost of a read does not grow with the file's length."""
        stream = self._stream
        if "mp4" not in self._container.format.name or self.path.stat().st_size < LARGE_FILE_BYTES:
            return None
        entries = [(e.timestamp, e.is_keyframe, not e.is_discard) for e in stream.index_entries]
        if len(entries) != stream.frames or not entries[0][1]:
            return None  # fragmented, or cut by an edit list
        times, keys, shown = (np.array(column) for column in zip(*entries, strict=True))
        starts = np.cumsum(shown)[keys] - shown[keys]
        return FrameIndex(starts.astype(np.int64), times[keys].astype(np.int64), int(shown.sum()), self._read_gop)

    def _index_from_packets(self) -> FrameIndex | None:
        """Index a file by reading its packets, or, in doubt, by decoding it once; None where both contradict."""
        packets = [_stamp(packet) for packet in self._packets()]
        keys = [(p.pts, p.pts if p.dts is None else p.dts) for p in packets if p.is_key and p.pts is not None]
        stamps = _known([p.pts for p in packets if p.is_shown])
        if not keys or self._is_doubtful(stamps, first_key=min(keys)[0]):
            stamps = _known([frame.pts for frame in self._decode_all()])
            if stamps != sorted(stamps):
                return None
        if not keys or not stamps or len(set(stamps)) != len(stamps):
            return None
        last_duration = max(packets, key=lambda p: p.pts or 0).duration
        key_stamps, key_times = zip(*keys, strict=True)
        return FrameIndex.from_stamps(stamps, key_stamps, key_times, last_duration)

    def _is_doubtful(self, stamps: list[int], first_key: int) -> bool:
        """Whether the packets may not be the frames that come out of the decoder, by presentation time."""
        in_file_order = self._container.format.name in WITHOUT_PRESENTATION_TIMES and stamps == sorted(stamps)
        if not stamps or (in_file_order and self._stream.codec_context.has_b_frames):
            return True
        return min(stamps) < first_key  # the GOP of the first frames was cut away

    def _read_gop(self, key_time: int, next_key_time: int | None) -> list[PacketStamp]:
        """The packets from one key frame to the last leading frame of the next, both given by decoding time."""
        self._container.seek(key_time, stream=self._stream)
        gop: list[PacketStamp] = []
        end = None
        for packet in map(_stamp, self._packets()):
            if not gop and packet.dts != key_time:
                continue
            if end is not None and packet.pts is not None and packet.pts > end:
                break
            if packet.dts == next_key_time:
                end = packet.pts
            gop.append(packet)
        return gop

    # ---- decoding -------------------------------------------------------------------------------------------------

    def _read_by_seeking(self, index: FrameIndex, wanted: list[int]) -> dict[int, np.ndarray] | None:
        """Frames by index, or None where the file does not hold what its index promises."""
        pictures: dict[int, np.ndarray] = {}
        try:
            runs = index.runs(wanted)
            helpers, codec = self._threads - 1, self._stream.codec_context
            if len(runs) < 2 * self._threads:
                # Too few to share them out evenly: FFmpeg's threads take a frame each and hold as many back.
                if helpers and not codec.is_open:
                    codec.thread_count, codec.thread_type = self._threads, "FRAME"
                helpers = 0
            todo = iter(runs)
            with ThreadPoolExecutor(self._threads) as pool:
                futures = [pool.submit(self._help, index, todo, pictures) for _ in range(helpers)]
                self._decode_runs(index, todo, pictures)
                self.num_decoded += sum(future.result() for future in futures)
        except IndexFaultError:
            return None
        return pictures

    def _help(self, index: FrameIndex, todo: Iterator[Run], pictures: dict[int, np.ndarray]) -> int:
        """Take part in decoding with a decoder of one's own; returns how many frames were decoded."""
        with _open_container(self.path) as container:
            other = Video(self.path, container, index=index)
            other._decode_runs(index, todo, pictures)
            return other.num_decoded

    def _decode_runs(self, index: FrameIndex, todo: Iterator[Run], pictures: dict[int, np.ndarray]) -> None:
        for gop, targets in todo:
            self._decode_run(index, gop, targets, pictures)

    def _decode_run(
        self, index: FrameIndex, gop: int, targets: dict[int, int], pictures: dict[int, np.ndarray]
    ) -> None:
        """Decode from a key frame on until all `targets`, frame numbers by time stamp, are in `pictures`."""
        codec = self._stream.codec_context
        packets = self._packets_from(index, gop)
        unfed, missing = set(targets), dict(targets)
        while missing:
            # Once the decoder has all it needs, no further packet is fed but what it holds back is asked for.
            packet = next(packets, None) if unfed else None
            stamp = packet.pts if packet else None
            if codec.name in SKIPPING_CODECS:
                codec.skip_frame = "DEFAULT" if stamp in unfed else "NONREF"
            unfed.discard(stamp)
            for frame in self._decode(codec, packet):
                if frame.pts == index.key_stamps[gop] and frame.pict_type in (PictureType.P, PictureType.B):
                    raise IndexFaultError  # the container marks key frames that are none
                if frame.pts in missing and not frame.is_corrupt:
                    pictures[missing.pop(frame.pts)] = self._picture(frame)
            if packet is None and missing:
                raise IndexFaultError

    def _packets_from(self, index: FrameIndex, gop: int) -> Iterator[Packet]:
        """The packets from a key frame on."""
        stamp, time, start = int(index.key_stamps[gop]), int(index.key_times[gop]), int(index.key_times[0])
        for target in (stamp, time, start):  # some containers seek by presentation time, some by decoding time
            self._container.seek(target, stream=self._stream)
            packets = self._packets()
            # Landing too early costs little, the packets are dropped undecoded; landing too late calls for another try.
            first = next((p for p in packets if p.is_keyframe and p.pts is not None and p.pts >= stamp), None)
            if first and first.pts == stamp:
                return chain((first,), packets)
        raise IndexFaultError

    def _read_through(self, wanted: list[int]) -> dict[int, np.ndarray]:
        """Frames by index, decoding the whole file: the slow way that trusts nothing but the decoder."""
        keep = set(wanted)
        pictures: dict[int, np.ndarray] = {}
        num_frames = 0
        for index, frame in enumerate(self._decode_all()):
            num_frames += 1
            if index in keep:
                pictures[index] = self._picture(frame)
        if num_frames != self.num_frames:
            raise KgclipError(
                f"{self.path}: is damaged, {num_frames} of its {self.num_frames} frames can be decoded and not all "
                "of those wanted; re-encode or drop it"
            )
        return pictures

    def _decode_all(self) -> Iterator[VideoFrame]:
        """All frames in display order, whatever the container says."""
        with _open_container(self.path) as container:
            stream = _video_stream(self.path, container)
            for packet in chain(_sound_packets(container, stream), (None,)):
                yield from self._decode(stream.codec_context, packet)

    def _packets(self) -> Iterator[Packet]:
        return _sound_packets(self._container, self._stream)

    def _decode(self, codec: VideoCodecContext, packet: Packet | None) -> list[VideoFrame]:
        """The frames that come out after `packet` has gone in; `None` asks for all that are held back."""
        try:
            frames = codec.decode(packet)
        except InvalidDataError:
            return []  # a damaged frame; it will be missed where it is wanted
        self.num_decoded += len(frames)
        return frames

    def _picture(self, frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
        """A decoded frame as RGB, upright, in the size the file promises even where it changes on the way."""
        if self._orientation is None:
            self._orientation = _orientation(frame)
        width, height = self._size
        # One thread: starting more, which FFmpeg does unless told, takes longer than converting a small frame.
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        return self._orientation.apply(rgb.to_ndarray())


def _known(stamps: list[int | None]) -> list[int]:
    """The time stamps, or none at all where some are missing."""
    known = [stamp for stamp in stamps if stamp is not None]
    return known if len(known) == len(stamps) else []


def _stamp(packet: Packet) -> PacketStamp:
    return PacketStamp(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, not packet.is_discard)


def _sound_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The packets of a stream, up to where the container is damaged."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except InvalidDataError:
        return


def _orientation(frame: VideoFrame) -> Orientation:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know all kinds of side data
        matrix = None
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    return Orientation.from_display_matrix(a, b, c, d)


def _open_container(path: Path) -> InputContainer:
    # The prefix keeps FFmpeg from taking a colon in a file name for a protocol.
    return av.open(f"file:{path}")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first stream of moving pictures, set to decode."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams or container.format.name == TEXT_FORMAT:
        kinds = sorted({s.type for s in container.streams} - {"video"})
        raise KgclipError(
            f"{path}: holds no video, only {' and '.join(kinds) or 'text or pictures'}; give a video file"
        )
    stream = streams[0]
    if stream.codec_context is None or not stream.codec_context.width:
        raise KgclipError(f"{path}: its video cannot be decoded by this FFmpeg; convert it to H.264")
    stream.codec_context.thread_count = 1  # more would hold frames back
    return stream
