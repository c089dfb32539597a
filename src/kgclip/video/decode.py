"""Frames out of video files, decoding no more than the wanted ones need."""

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from av.packet import Packet
from av.video.frame import PictureType
from jaxtyping import Float64, UInt8

from kgclip.copies import local_file
from kgclip.errors import KgclipError
from kgclip.remote import at
from kgclip.video.container import VideoFile, one_sentence, open_file
from kgclip.video.cut import Cut, seconds
from kgclip.video.index import FrameIndex, IndexFaultError, Run
from kgclip.video.indexing import index_file, index_from_packets
from kgclip.video.orientation import Orientation
from kgclip.video.pictures import Pictures
from kgclip.video.truncation import check_length

# Their decoders, told so packet by packet, leave out frames that no other frame is predicted from.
SKIPPING_CODECS = ("h264", "hevc", "mpeg2video", "mpeg4")
# Where neither the file nor FFmpeg knows a rate: FFmpeg's own default.
DEFAULT_FPS = 25.0
# Times of cuts are written to the millisecond: a frame within half of one belongs to the time that names it.
ROUNDING_S = 0.0005


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video.

    Attributes:
        num_frames: frames that can be read.
        duration_s: from the first frame to the end of the last, in seconds.
        fps: mean frames per second; the true mean where the rate varies.
        width, height: of the frames as displayed, after rotation, in pixels.
        rotation_deg: clockwise turn from the stored to the displayed frame: 0, 90, 180 or 270.
    """

    num_frames: int
    duration_s: float
    fps: float
    width: int
    height: int
    rotation_deg: int


def probe(path: str | os.PathLike[str] | Cut) -> VideoInfo:
    """Length, rate, size and rotation of a video; decodes its first frame. Raises as `open_video`."""
    with open_video(path) as video:
        return video.info


def read_frames(
    path: str | os.PathLike[str] | Cut, indices: Sequence[int] | np.ndarray, *, threads: int = 1
) -> UInt8[np.ndarray, "T H W 3"]:
    """What `Video.read` gives of a file opened for this alone; raises as it and `open_video`."""
    with open_video(path, threads=threads) as video:
        return video.read(indices)


@contextmanager
def open_video(
    path: str | os.PathLike[str] | Cut, *, threads: int = 1, most_pixels: int | None = None
) -> Iterator["Video"]:
    """Open a video file or a cut of one, index its frames once, and read from it as often as needed.

    Frames of more than `most_pixels`, if it is given, are scaled down as each is decoded.

    More than one thread pays where a single file is waited for; readers of many files are better parallel over them.

    Raises:
        KgclipError: if the file is missing, empty, unreadable, damaged, holds no video, or shows nothing in the cut.
    """
    cut = path if isinstance(path, Cut) else None
    with ExitStack() as stack:
        here = stack.enter_context(local_file(at(path.file if isinstance(path, Cut) else path)))
        with one_sentence(here):
            file = stack.enter_context(open_file(here))
            check_length(file)
            video = Video(file, threads, most_pixels=most_pixels)
            if cut is not None:
                video = video.between(cut.start_s, cut.end_s)
        yield video


class Video:
    """An open video, or a part of one; made by `open_video`, which indexes it unless another reader has."""

    def __init__(
        self, file: VideoFile, threads: int = 1, index: FrameIndex | None = None, most_pixels: int | None = None
    ):
        self.file = file
        self._threads, self._most_pixels = threads, most_pixels
        # Of the size the file promises, even where it changes on the way.
        self._pictures = Pictures(file.codec.width, file.codec.height, most_pixels)
        self._index = index or index_file(file)
        self._in_file = self._index.num_frames if self._index else sum(1 for _ in file.decode_all())
        # Which of the file's frames are this video's.
        self._frames = range(self._in_file)
        if self._in_file == 0:
            raise KgclipError(f"{file.path}: holds no frame that can be decoded; copy it again or drop it")

    @property
    def num_frames(self) -> int:
        """Frames that can be read."""
        return len(self._frames)

    def between(self, start_s: float, end_s: float) -> "Video":
        """The frames shown from a time on and before another, as a video of its own: its first frame is at 0 s.

        Raises:
            KgclipError: there is none.
        """

        def first_from(time_s: float) -> int:
            # Halving reads few parts of a long file's index.
            numbers = range(self.num_frames)
            return bisect_left(numbers, time_s - ROUNDING_S, key=lambda number: float(self.times_s([number])[0]))

        part = copy(self)
        part._frames = self._frames[first_from(start_s) : first_from(end_s)]
        for name in ("info", "fps", "duration_s"):
            part.__dict__.pop(name, None)  # those of the whole
        if not part._frames:
            raise KgclipError(
                f"{self.file.path}: shows no frame from {seconds(start_s)} to {seconds(end_s)} s, it lasts "
                f"{seconds(self.duration_s)} s; correct the times"
            )
        return part

    @cached_property
    def info(self) -> VideoInfo:
        """Length, rate, size and rotation; decodes the first frame, which `num_frames` alone does not."""
        height, width = self.read([0]).shape[1:3]
        orientation = self._pictures.orientation or Orientation()
        return VideoInfo(self.num_frames, self.duration_s, self.fps, width, height, orientation.rotation_deg)

    @cached_property
    def fps(self) -> float:
        """Mean frames per second; decodes nothing."""
        end_s = self._stamps_s([self.num_frames - 1])
        if end_s is not None and self.num_frames > 1:
            return (self.num_frames - 1) / float(end_s[0])
        return float(self.file.stream.average_rate or self.file.stream.guessed_rate or DEFAULT_FPS)

    @cached_property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last; decodes nothing."""
        if self._frames.stop < self._in_file:
            return float(self.times_s([self.num_frames])[0])
        last_s = float(self.times_s([self.num_frames - 1])[0])
        tick_s = float(self.file.stream.time_base or 0)
        return last_s + ((self._index.last_duration * tick_s if self._index else 0) or 1 / self.fps)

    def times_s(self, indices: Sequence[int] | np.ndarray) -> Float64[np.ndarray, " T"]:
        """The presentation times of frames in seconds from the first frame; index / fps where the file has none."""
        times_s = self._stamps_s(indices)
        return np.array(indices) / self.fps if times_s is None else times_s

    def _stamps_s(self, indices: Sequence[int] | np.ndarray) -> Float64[np.ndarray, " T"] | None:
        """Presentation times in seconds, or None where the file has none."""
        if self._index is None or not self.file.stream.time_base:
            return None
        with one_sentence(self.file.path):
            try:
                ticks = self._index.ticks(self._frames.start + np.array([0, *indices]))
                return (ticks[1:] - ticks[0]) * float(self.file.stream.time_base)
            except IndexFaultError:
                with open_file(self.file.path) as again:
                    index = index_from_packets(again)
                self._index = index if index and index.num_frames == self._in_file else None
                return self._stamps_s(indices)

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "T H W 3"]:
        """The frames at 0-based display-order `indices`, in the order asked for; RGB, 0 to 255, as displayed.

        Raises:
            KgclipError: if no frame is asked for, one lies outside the video, or one cannot be decoded.
        """
        order = [int(index) for index in indices]
        if not order or min(order) < 0 or max(order) >= self.num_frames:
            asked = f"frames {min(order)} to {max(order)} were" if order else "no frame was"
            raise KgclipError(
                f"{self.file.path}: {asked} asked for, it has frames 0 to {self.num_frames - 1}; ask for frames inside"
            )
        order = [self._frames[index] for index in order]
        wanted = sorted(set(order))
        with one_sentence(self.file.path):
            pictures = self._read_by_seeking(self._index, wanted) if self._index else None
            if pictures is None:
                pictures = self._read_through(wanted)
            return _joined(pictures, order)

    def _read_by_seeking(self, index: FrameIndex, wanted: list[int]) -> dict[int, np.ndarray] | None:
        """Frames by index, or None where the file does not hold what its index promises."""
        pictures: dict[int, np.ndarray] = {}
        try:
            runs = index.runs(wanted)
            helpers, codec = self._threads - 1, self.file.codec
            if len(runs) < 2 * self._threads:
                # Too few to share them out evenly: FFmpeg's threads take a frame each and hold as many back.
                if helpers and not codec.is_open:
                    codec.thread_count, codec.thread_type = self._threads, "FRAME"
                helpers = 0
            todo = iter(runs)
            with ThreadPoolExecutor(self._threads) as pool:
                futures = [pool.submit(self._help, index, todo, pictures) for _ in range(helpers)]
                self._decode_runs(index, todo, pictures)
                self.file.num_decoded += sum(future.result() for future in futures)
        except IndexFaultError:
            return None
        return pictures

    def _help(self, index: FrameIndex, todo: Iterator[Run], pictures: dict[int, np.ndarray]) -> int:
        """Take part in decoding with a decoder of one's own; returns how many frames were decoded."""
        with open_file(self.file.path) as file:
            Video(file, index=index, most_pixels=self._most_pixels)._decode_runs(index, todo, pictures)
            return file.num_decoded

    def _decode_runs(self, index: FrameIndex, todo: Iterator[Run], pictures: dict[int, np.ndarray]) -> None:
        """Decode from a key frame on until all frames wanted of its run are in `pictures`, for all runs."""
        codec = self.file.codec
        for gop, targets in todo:
            packets = self._packets_from(index, gop)
            unfed, missing = set(targets), dict(targets)
            while missing:
                # Once the decoder has all it needs, no further packet is fed but what it holds back is asked for.
                packet = next(packets, None) if unfed else None
                stamp = packet.pts if packet else None
                if codec.name in SKIPPING_CODECS:
                    codec.skip_frame = "DEFAULT" if stamp in unfed else "NONREF"
                unfed.discard(stamp)
                for frame in self.file.decode(packet):
                    if frame.pts == index.key_stamps[gop] and frame.pict_type in (PictureType.P, PictureType.B):
                        raise IndexFaultError  # the container marks key frames that are none
                    if frame.pts in missing and not frame.is_corrupt:
                        pictures[missing.pop(frame.pts)] = self._pictures.of(frame)
                if packet is None and missing:
                    raise IndexFaultError

    def _packets_from(self, index: FrameIndex, gop: int) -> Iterator[Packet]:
        """The packets from a key frame on."""
        stamp, time, start = int(index.key_stamps[gop]), int(index.key_times[gop]), int(index.key_times[0])
        for target in (stamp, time, start):  # some containers seek by presentation time, some by decoding time
            packets = self.file.packets(target)
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
        for index, frame in enumerate(self.file.decode_all()):
            num_frames += 1
            if index in keep:
                pictures[index] = self._pictures.of(frame)
        if num_frames != self._in_file:
            raise KgclipError(
                f"{self.file.path}: is damaged, {num_frames} of its {self._in_file} frames can be decoded and not "
                "all of those wanted; re-encode or drop it"
            )
        return pictures


def _joined(pictures: dict[int, np.ndarray], order: list[int]) -> UInt8[np.ndarray, "T H W 3"]:
    """The pictures in that order as one array; each is let go once it is copied, so that memory holds little twice."""
    last = {index: row for row, index in enumerate(order)}
    frames = np.empty((len(order), *pictures[order[0]].shape), np.uint8)
    for row, index in enumerate(order):
        frames[row] = pictures.pop(index) if last[index] == row else pictures[index]
    return frames
