"""`kgclip watch`."""

import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from tyro.conf import Positional

from kgclip.cli.output import parse, say
from kgclip.cli.predict import action_names, trained_recognizer
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.engine.predict import Recognizer
    from kgclip.engine.watch import ActionSpan, Shown, Watcher
    from kgclip.video.stream import StreamFrame

T = TypeVar("T")
STDOUT = Path("-")
VIDEO_RATE = 12.5
"""Frames a second of the annotated video, at least."""


@dataclass(frozen=True)
class WatchCommand:
    """Find the actions in a long video file, a camera or a stream: when each starts and ends, how sure, and why.

    Ctrl-C ends it with what was found. A camera or stream that stalls or drops is opened again.

    Examples:

      kgclip watch model film.mp4

      kgclip watch model film.mp4 --srt film.srt --html film.html

      kgclip watch model rtsp://camera.local/stream --jsonl -

      kgclip watch model 0 --video seen.mp4
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    source: Positional[str]
    """a video file, the number or device of a camera (0, /dev/video0), or an address (rtsp, rtmp, http, tcp, udp)"""
    jsonl: Path | None = None
    """file for one JSON object a span, each written as soon as the span has ended; - prints them"""
    srt: Path | None = None
    """file for subtitles"""
    vtt: Path | None = None
    """file for subtitles as WebVTT"""
    video: Path | None = None
    """mp4 file for the video with action, probability and joints in it"""
    html: Path | None = None
    """file for a page with the time line"""
    actions: str | None = None
    """the actions to choose from: names with commas between, or a text file with one a line; default: the model's"""
    window_s: float | None = None
    """seconds that are looked at together; default: 0.7 of the usual training clip"""
    step_s: float | None = None
    """seconds from one window to the next; default: an eighth of a window"""
    enter: float | None = None
    """probability from which on an action starts; default: the model's threshold of "unknown" """
    leave: float | None = None
    """probability below which it ends; default: half of --enter"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    pose: str | None = None
    """for a model that reads pose: its estimator, keypoints of the file, or none; default: the one in its folder"""
    people: int = 4
    """where poses are read, of how many people at most each has a row; 1 gives one row, of whoever moves most"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""


def watch(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(WatchCommand, argv, "watch")
    from kgclip.engine.film_pose import open_film_pose, with_people
    from kgclip.locks import claim_output

    outputs = {"--srt": command.srt, "--vtt": command.vtt, "--video": command.video, "--html": command.html}
    outputs |= {"--jsonl": None if command.jsonl == STDOUT else command.jsonl}
    for option, path in outputs.items():
        if path is not None:
            claim_output(path, option)
    recognizer = trained_recognizer(
        command.model, command.encoder, command.encoder_weights, command.pose, command.device
    )
    pose = open_film_pose(command.source, recognizer.pose)
    source = Interruptible()
    with source.catching(), ExitStack() as stack:
        written = FilmOutputs(command, stack)
        watcher = _watcher(command, recognizer, pose, written)
        # What is found is written also where the source fails on its way.
        frames = source.of(_frames(command.source, watcher.plan.rate))
        for span in watcher.spans(with_people(frames, pose)):
            written.take(span)
        written.write_page(command, watcher)
    if not written.spans and source.error is None:
        say("no action was found; a smaller --enter finds more", error=True)
    if source.error is not None:
        raise source.error
    return 0


def _frames(source: str, rate: float) -> "Iterator[StreamFrame]":
    from kgclip.video.live import connection, read_live
    from kgclip.video.stream import is_live, read_film, shown_name

    if is_live(source):
        return read_live(shown_name(source), connection(source, rate))
    return read_film(Path(source), rate)


def _watcher(command: WatchCommand, recognizer: "Recognizer", pose: object, outputs: "FilmOutputs") -> "Watcher":
    from kgclip.engine.watch import Watcher, WatchOptions
    from kgclip.pose.keypoints import ClipPose
    from kgclip.video.stream import is_live, shown_name

    actions = () if command.actions is None else action_names(command.actions)
    brought = pose if isinstance(pose, ClipPose) else None
    return Watcher(
        recognizer,
        WatchOptions(command.window_s, command.step_s, command.enter, command.leave, actions, command.people),
        name=shown_name(command.source),
        pose=brought,
        posed=pose is not None and brought is None,
        rate=0.0 if command.video is None else VIDEO_RATE,
        live=is_live(command.source),
        show=None if command.video is None else outputs.show,
        pictures=command.html is not None,
    )


def _remove_empty(path: Path, kind: type[BaseException] | None, *_: object) -> None:
    """Take away a file that an error left empty, so that it does not stand in the way of the next run."""
    if kind is not None and path.is_file() and not path.stat().st_size:
        path.unlink()


class FilmOutputs:
    """Everything that spans and frames are written to; files of one film are whole once `stack` has ended."""

    def __init__(self, command: WatchCommand, stack: ExitStack):
        from kgclip.report.film_page import FilmPage
        from kgclip.report.subtitles import writing_subtitles
        from kgclip.video.encode import writing_frames

        self.spans = 0
        self._takers: list[Callable[[ActionSpan], None]] = []
        self._page = None if command.html is None else FilmPage()
        if command.jsonl != STDOUT:
            self._takers.append(lambda span: say(describe(span)))
        if command.jsonl is not None:
            opened = nullcontext(sys.stdout) if command.jsonl == STDOUT else command.jsonl.open("x", encoding="utf-8")
            file = stack.enter_context(opened)
            if command.jsonl != STDOUT:
                stack.push(partial(_remove_empty, command.jsonl))
            self._takers.append(lambda span: print(json.dumps(span.to_json()), file=file, flush=True))
        for path, vtt in ((command.srt, False), (command.vtt, True)):
            if path is not None:
                self._takers.append(stack.enter_context(writing_subtitles(path, vtt=vtt)).write)
        self._video = None
        if command.video is not None:
            self._video = stack.enter_context(writing_frames(command.video, VIDEO_RATE))
        if self._page is not None:
            self._takers.append(self._page.add)

    def take(self, span: "ActionSpan") -> None:
        """Write a span."""
        self.spans += 1
        for taker in self._takers:
            taker(span)

    def show(self, shown: "Shown") -> None:
        """Write a frame."""
        from kgclip.report.annotated import annotated

        if self._video is not None:
            self._video.write(annotated(shown), shown.time_s)

    def write_page(self, command: WatchCommand, watcher: "Watcher") -> None:
        """Write the page of all spans, if one is asked for."""
        from kgclip.video.stream import is_live

        if self._page is not None and command.html is not None:
            file = None if is_live(command.source) else Path(command.source)
            self._page.write(command.html, watcher, file)


def describe(span: "ActionSpan") -> str:
    """One span for a person."""
    why = f", because {' and '.join(span.reasons)}" if span.reasons else ""
    who = "" if span.person is None else f"person {span.person}: "
    return f"{span.start_s:9.2f} – {span.end_s:.2f} s  {who}{span.action}, {span.probability:.0%}{why}"


class Interruptible:
    """A source that Ctrl-C ends, after the frame that is being read; what goes wrong after its first frame ends it too.

    Attributes:
        error: what went wrong.
    """

    def __init__(self) -> None:
        self.error: KgclipError | None = None
        self._asked = self._waiting = False

    def of(self, frames: Iterable[T]) -> Iterator[T]:
        """The frames of the source."""
        iterator, begun = iter(frames), False
        while not self._asked:
            try:
                self._waiting = True
                frame = next(iterator, None)
            except KeyboardInterrupt:
                return
            except KgclipError as error:
                if not begun:
                    raise
                self.error = error
                return
            finally:
                self._waiting = False
            if frame is None:
                return
            begun = True
            yield frame

    @contextmanager
    def catching(self) -> Iterator[None]:
        """While the block runs, Ctrl-C ends the source; a second one ends the program."""

        def interrupt(number: int, frame: object) -> None:
            if self._waiting or self._asked:
                raise KeyboardInterrupt
            self._asked = True

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
