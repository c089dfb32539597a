"""Frames of long and live video in the order of time, at a rate, each decoded once, in bounded memory."""

import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from kgclip.video.container import one_sentence, open_file
from kgclip.video.decode import DEFAULT_FPS
from kgclip.video.pictures import Pictures
from kgclip.video.truncation import check_length

log = logging.getLogger(__name__)

LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "tcp", "udp")
"""What the address of a live stream may start with."""
MOST_HIDDEN, FASTEST_FPS = 0.1, 1000
"""Share of the frames of a film that may be without a time of their own, and the rate that none exceeds."""
_CAMERA = re.compile(r"(/dev/video)?(\d{1,3})")


@dataclass(frozen=True)
class StreamFrame:
    """One frame.

    Attributes:
        image: RGB, 0 to 255, upright.
        time_s: presentation time in seconds from the first frame.
    """

    image: UInt8[np.ndarray, "H W 3"]
    time_s: float


class Pace:
    """Which frames are due at a rate: the first in each of the equal steps of time."""

    def __init__(self, rate: float):
        self._step_s, self._next_s = 1 / rate, -math.inf

    def due(self, time_s: float) -> bool:
        """Whether the frame of this time is due; times ascend."""
        if time_s < self._next_s - 1e-6:
            return False
        self._next_s = (math.floor(time_s / self._step_s + 1e-6) + 1) * self._step_s
        return True


def is_live(source: str) -> bool:
    """Whether a source is a camera or an address, not a file."""
    return camera_of(source) is not None or urlsplit(source).scheme in LIVE


def camera_of(source: str) -> str | None:
    """The device of a camera, which is named by it or by its number; None for other sources."""
    found = None if Path(source).is_file() else _CAMERA.fullmatch(source)
    return None if found is None else f"/dev/video{found[2]}"


def shown_name(source: str) -> str:
    """The name of a source without the password that its address may hold."""
    parts = urlsplit(source) if is_live(source) else None
    if parts is None or "@" not in parts.netloc:
        return source
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def read_film(path: Path, rate: float) -> Iterator[StreamFrame]:
    """The frames of a file that are due at a rate, up to where it ends or is damaged.

    Times that hide frames, as they stand still or run faster than any camera, are warned of in the end.

    Raises:
        KgclipError: the file cannot be read.
    """
    with one_sentence(path), open_file(path) as file:
        check_length(file)
        pace, pictures = Pace(rate), Pictures(file.codec.width, file.codec.height)
        frames = (frame for packet in chain(file.packets(), (None,)) for frame in file.decode(packet))
        num_timed, end_s = 0, 0.0
        for time_s, frame in timed(frames, file.stream):
            num_timed, end_s = num_timed + 1, time_s
            if pace.due(time_s):
                yield StreamFrame(pictures.of(frame), time_s)
        hidden = file.num_decoded - num_timed
        if hidden > MOST_HIDDEN * file.num_decoded or num_timed > FASTEST_FPS * max(end_s, 1):
            log.warning(
                "%s: its times hide frames: %d of %d have no time of their own, the others lie within %.2f s; "
                "write it again with a sound rate",
                *(path, hidden, file.num_decoded, end_s),
            )


def timed(frames: Iterable[VideoFrame], stream: VideoStream) -> Iterator[tuple[float, VideoFrame]]:
    """Decoded frames with their times in seconds from the first; damaged ones and those out of order are left out."""
    tick_s = float(stream.time_base or 0)
    period_s = 1 / float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
    first_s, last_s = None, -period_s
    for frame in frames:
        stamp_s = None if frame.pts is None or not tick_s else frame.pts * tick_s
        first_s = (stamp_s or 0.0) if first_s is None else first_s
        time_s = last_s + period_s if stamp_s is None else stamp_s - first_s
        if time_s > last_s and not frame.is_corrupt:
            last_s = time_s
            yield time_s, frame
