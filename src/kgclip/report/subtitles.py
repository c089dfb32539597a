"""Subtitles of a film: its spans as SRT or WebVTT, written as they come."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TextIO

from kgclip.data.wording import printable
from kgclip.engine.watch import ActionSpan
from kgclip.files import atomic_path


class SubtitleWriter:
    """One cue a span: the action and its probability, and the reasons below; made by :func:`writing_subtitles`."""

    def __init__(self, file: TextIO, *, vtt: bool):
        self._file, self._vtt = file, vtt
        self._cues: list[tuple[float, str]] = []

    def write(self, span: ActionSpan) -> None:
        """Add a span; several people's come in any order."""
        who = "" if span.person is None else f"{span.person}: "
        lines = [f"{who}{span.action} ({span.probability:.0%})"]
        lines += [f"because {' and '.join(span.reasons)}"] if span.reasons else []
        # A cue ends at an empty line; names may hold anything.
        text = "\n".join(" ".join(printable(line).split()).replace("-->", "→") for line in lines)
        times = " --> ".join(_time(time_s, "." if self._vtt else ",") for time_s in (span.start_s, span.end_s))
        self._cues.append((span.start_s, f"{times}\n{escape(text, quote=False) if self._vtt else text}\n\n"))

    def close(self) -> None:
        """Write the cues in order of time."""
        self._file.write("WEBVTT\n\n" if self._vtt else "")
        for number, (_, cue) in enumerate(sorted(self._cues, key=lambda cue: cue[0]), 1):
            self._file.write(cue if self._vtt else f"{number}\n{cue}")


@contextmanager
def writing_subtitles(path: Path, *, vtt: bool) -> Iterator[SubtitleWriter]:
    """A file of subtitles, whole when the block ends."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        writer = SubtitleWriter(file, vtt=vtt)
        yield writer
        writer.close()


def _time(time_s: float, point: str) -> str:
    """``hours:minutes:seconds.milliseconds``."""
    seconds, milliseconds = divmod(round(1000 * time_s), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{milliseconds:03d}"
