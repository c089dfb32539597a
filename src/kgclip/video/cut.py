"""A stretch of a video file, cut by time without writing another file."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.remote import at

# Temporal dimension of a media fragment (W3C Media Fragments URI 1.0): "film.mp4#t=12.5,15".
_FRAGMENT = re.compile(r"(?P<file>.+)#t=(?P<start>\d+(?:\.\d+)?),(?P<end>\d+(?:\.\d+)?)")


@dataclass(frozen=True, order=True)
class Cut:
    """What a file shows from ``start_s`` on and before ``end_s``, read as if it were a file of its own.

    It is no path: a reader that knows nothing of times cannot take the whole file for it.

    Attributes:
        file: the video.
        start_s, end_s: seconds from its first frame, to the millisecond.

    Raises:
        KgclipError: they are no interval.
    """

    file: Path
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s) and 0 <= self.start_s < self.end_s):
            raise KgclipError(
                f"{self.file}: from {self.start_s:g} to {self.end_s:g} s is no interval; expected seconds from 0, the "
                "end after the start"
            )
        for name in ("start_s", "end_s"):
            object.__setattr__(self, name, round(getattr(self, name), 3))
        if self.start_s == self.end_s:
            raise KgclipError(f"{self.file}: the interval at {self.start_s:g} s has less than 1 ms; correct its times")

    def __str__(self) -> str:
        return f"{self.file}#t={seconds(self.start_s)},{seconds(self.end_s)}"

    @property
    def name(self) -> str:
        """What tells it from other cuts of its file: the file's name without extension, and the times."""
        return cut_id(self.file.stem, self)


VideoPath = Path | Cut
"""What is read as one clip: a whole file, or a cut of one."""


def seconds(time_s: float) -> str:
    """A time without needless zeros, to the millisecond."""
    return f"{time_s:.3f}".rstrip("0").rstrip(".")


def file_of(video: VideoPath) -> Path:
    """The file that a clip lies in."""
    return video.file if isinstance(video, Cut) else video


def absolute(video: VideoPath) -> VideoPath:
    """The same for processes that work in another folder."""
    return replace(video, file=video.file.absolute()) if isinstance(video, Cut) else video.absolute()


def name_of(video: VideoPath) -> str:
    """The name of a clip without folders and extension."""
    return video.name if isinstance(video, Cut) else video.stem


def cut_id(film: str, cut: Cut) -> str:
    """The id of a cut of a film with this id: ``film@12.500-15.000``."""
    return f"{film}@{cut.start_s:.3f}-{cut.end_s:.3f}"


def ends_of(clip: str) -> list[str]:
    """The id, and what is left of it without its first folders, down to the file name."""
    parts = clip.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def interval_of(clip_id: str) -> tuple[str, float, float]:
    """The film that a clip's id names, and from when to when: without end, where the clip is all of it."""
    match = re.fullmatch(r"(.+)@(\d+\.\d{3})-(\d+\.\d{3})", clip_id)
    return (match[1], float(match[2]), float(match[3])) if match else (clip_id, 0.0, math.inf)


def video_at(place: str | VideoPath) -> VideoPath:
    """The video that a person names: a file, here or elsewhere, or a cut of one as ``film.mp4#t=12.5,15``.

    Raises:
        KgclipError: the end is not after the start, or it is an address that is not read.
    """
    if isinstance(place, Cut):
        return place
    match = _FRAGMENT.fullmatch(str(place))
    if match is None or Path(place).exists():
        return at(place)
    return Cut(at(match["file"]), float(match["start"]), float(match["end"]))
