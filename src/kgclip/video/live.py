"""Cameras and streams: a reader that is never waited for too long, and that is opened again when it stalls or drops."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kgclip.errors import KgclipError
from kgclip.video.container import FORMATS, MAX_PIXELS, video_stream
from kgclip.video.pictures import Pictures
from kgclip.video.stream import LIVE, Pace, StreamFrame, camera_of, shown_name, timed

log = logging.getLogger(__name__)

MOST_WAITING = 16
"""Frames that wait to be taken; of a source that is faster than its reader the oldest are left out."""
LEAST_STEP_S = 1e-3
"""From the last frame of a connection to the first of the next: frames of a buffer come faster than the clock."""
_PROTOCOLS = ",".join((*LIVE, "rtp", "tls", "crypto", "httpproxy"))
_LIVE_FORMATS = ",".join((*FORMATS, "rtsp", "sdp", "rtp", "mpjpeg", "mjpeg"))

Connect = Callable[[], Iterator[StreamFrame]]
"""Opens a source: times count from its first frame. It returns at the end of the source and raises when that drops."""


@dataclass(frozen=True)
class Patience:
    """How long a source is waited for.

    Attributes:
        stall_s: without a frame for so long, it is opened again.
        first_wait_s, longest_wait_s: before it is opened again; the wait doubles with every attempt.
        attempts: to open it again, one after the other without a frame, before it is given up.
    """

    stall_s: float = 10.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    attempts: int = 10


class _Dropped(Exception):  # noqa: N818  it is no error yet: the source is opened again
    """A source gives no more frames; the text says why."""


class _Reader:
    """One connection, read by a thread of its own: it may hang in a driver for good, and is then left behind."""

    def __init__(self, connect: Connect):
        self._waiting: queue.Queue[StreamFrame | Exception | None] = queue.Queue(MOST_WAITING)
        self._left = threading.Event()
        threading.Thread(target=self._read, args=(connect,), name="kgclip-live", daemon=True).start()

    def _read(self, connect: Connect) -> None:
        try:
            for frame in connect():
                if self._left.is_set():
                    return
                self._put(frame)
            self._put(None)
        except Exception as error:  # noqa: BLE001  whoever takes frames gets it
            self._put(error)

    def _put(self, item: StreamFrame | Exception | None) -> None:
        while True:
            try:
                return self._waiting.put_nowait(item)
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    continue

    def take(self, wait_s: float) -> StreamFrame | None:
        """The next frame; None at the end of the source."""
        try:
            item = self._waiting.get(timeout=wait_s)
        except queue.Empty:
            raise _Dropped(f"gave no frame for {wait_s:g} s") from None
        if isinstance(item, KgclipError):
            raise item
        if isinstance(item, Exception):
            text = item.strerror if isinstance(item, FFmpegError) else str(item).partition("\n")[0]
            raise _Dropped(f"dropped ({text or type(item).__name__})") from item
        return item

    def leave(self) -> None:
        """Take no more frames."""
        self._left.set()


def read_live(name: str, connect: Connect, patience: Patience | None = None) -> Iterator[StreamFrame]:
    """The frames of a source that is opened again whenever it stalls or drops; times are of the clock on the wall.

    Raises:
        KgclipError: it cannot be opened at first, or not again after `patience.attempts`.
    """
    patience = patience or Patience()
    started_s, last_s, failures = None, -LEAST_STEP_S, 0
    while True:
        reader, offset_s = _Reader(connect), None
        try:
            while (frame := reader.take(patience.stall_s)) is not None:
                now_s = time.monotonic()
                started_s = now_s if started_s is None else started_s
                offset_s = (
                    max(now_s - started_s - frame.time_s, last_s + LEAST_STEP_S) if offset_s is None else offset_s
                )
                last_s, failures = offset_s + frame.time_s, 0
                yield replace(frame, time_s=last_s)
            return
        except _Dropped as error:
            if started_s is None:
                raise KgclipError(f"{name}: {error}; check the address, and whether it can be reached") from error
            failures += 1
            if failures > patience.attempts:
                raise KgclipError(f"{name}: {error}, also when opened again {patience.attempts} times") from error
            wait_s = min(patience.first_wait_s * 2 ** (failures - 1), patience.longest_wait_s)
            log.warning("%s: %s; opening it again in %g s", name, error, wait_s)
            time.sleep(wait_s)
        finally:
            reader.leave()


def connection(source: str, rate: float, patience: Patience | None = None) -> Connect:
    """What opens a camera or an address, for frames that are due at a rate.

    A source that says how long it is ends; any other that gives no more packets has dropped.
    """
    device, stall_s = camera_of(source), (patience or Patience()).stall_s
    options = {"max_pixels": str(MAX_PIXELS)}
    if device is None:
        # Nothing that comes over a network may open files.
        options |= {"protocol_whitelist": _PROTOCOLS, "format_whitelist": _LIVE_FORMATS}
    if source.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"

    def frames() -> Iterator[StreamFrame]:
        target, kind = (source, None) if device is None else (device, "v4l2")
        with av.open(target, format=kind, container_options=options, timeout=stall_s) as container:
            stream, codec = video_stream(shown_name(source), container)
            codec.thread_count = 1  # more would hold frames back
            pace, pictures = Pace(rate), Pictures(codec.width, codec.height)
            for time_s, frame in timed(_decoded(container, stream), stream):
                if pace.due(time_s):
                    yield StreamFrame(pictures.of(frame), time_s)
            if not container.duration:
                raise EOFError("it ended")

    return frames


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames as they come; what was damaged on its way is left out."""
    for packet in container.demux(stream):
        with suppress(InvalidDataError):
            yield from stream.codec_context.decode(packet)
