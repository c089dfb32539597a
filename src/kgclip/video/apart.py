"""Videos of strangers, opened and decoded by a process apart, within limits on its memory, processor and time.

What a file does to its decoder happens there. The two speak in lines of JSON and plain pixels: nothing that comes back
is run, and no size in it is believed beyond the limits.
"""

import json
import queue
import resource
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

import msgspec
import numpy as np

from kgclip.copies import local_file
from kgclip.errors import KgclipError
from kgclip.reading import parse_json
from kgclip.video.cut import Cut, VideoPath, file_of
from kgclip.video.decode import VideoInfo, probe
from kgclip.video.frames import ClipFrames, read_clip

_LONGEST_LINE = 2**24


@dataclass(frozen=True)
class ReaderLimits:
    """What a process may take for one file.

    Attributes:
        memory: bytes above what it takes before it opens any.
        cpu_s: seconds of the processor.
        wait_s: seconds altogether.
    """

    memory: int = 2 * 2**30
    cpu_s: int = 60
    wait_s: float = 120.0


class _Question(msgspec.Struct):
    file: str
    num_frames: int | None
    interval: tuple[float, float] | None

    def video(self) -> VideoPath:
        return Path(self.file) if self.interval is None else Cut(Path(self.file), *self.interval)


class _Answer(msgspec.Struct, omit_defaults=True):
    error: str | None = None
    info: VideoInfo | None = None
    shape: tuple[int, int, int, int] = (0, 0, 0, 3)
    indices: list[int] = []
    times_s: list[float] = []
    duration_s: float = 0.0
    fps: float = 0.0
    num_frames: int = 0


class _EndedError(Exception):
    """The process ended, or says what it must not; the text says why."""


class Apart:
    """Reads videos as `probe` and `read_clip` do, in processes apart: as many as threads ask at a time.

    They end with this object, with this process, or by `close`.
    """

    def __init__(self, limits: ReaderLimits | None = None):
        self.limits = limits or ReaderLimits()
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()
        self._end = weakref.finalize(self, _end_all, self._idle)

    def probe(self, path: VideoPath) -> VideoInfo:
        """As `kgclip.video.decode.probe`.

        Raises:
            KgclipError: the file cannot be read within the limits.
        """
        answer, _ = self._ask(path, None)
        if answer.info is None:
            raise KgclipError(f"{file_of(path)}: its reader gave no answer; leave it out")
        return answer.info

    def read_clip(self, path: VideoPath, num_frames: int, *, threads: int = 1) -> ClipFrames:
        """As `kgclip.video.frames.read_clip`, by one thread whatever ``threads`` is; raises as :meth:`probe`."""
        answer, images = self._ask(path, num_frames)
        indices, times_s = np.array(answer.indices, np.int64), np.array(answer.times_s, np.float64)
        if not len(images) == len(indices) == len(times_s) == num_frames:
            raise KgclipError(f"{file_of(path)}: its reader gave {len(images)} frames of {num_frames}; leave it out")
        return ClipFrames(images, indices, times_s, answer.duration_s, answer.fps, answer.num_frames)

    def close(self) -> None:
        """End the processes; nothing may be asked any more."""
        self._end()

    def _ask(self, path: VideoPath, num_frames: int | None) -> tuple[_Answer, np.ndarray]:
        with local_file(file_of(path)) as file:
            return self._ask_of(replace(path, file=file) if isinstance(path, Cut) else file, num_frames)

    def _ask_of(self, path: VideoPath, num_frames: int | None) -> tuple[_Answer, np.ndarray]:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = _Process(self.limits)
        interval = (path.start_s, path.end_s) if isinstance(path, Cut) else None
        try:
            answer, images = process.ask(_Question(str(file_of(path)), num_frames, interval))
        except _EndedError as error:
            raise KgclipError(f"{file_of(path)}: {error}; convert it or leave it out") from error
        except BaseException:
            process.end()
            raise
        self._idle.put(process)
        if answer.error is not None:
            raise KgclipError(answer.error)
        return answer, images


class _Process:
    """One process, which answers one question after the other."""

    def __init__(self, limits: ReaderLimits):
        self._limits = limits
        command = [sys.executable, "-m", "kgclip.video.apart", str(limits.memory), str(limits.cpu_s)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question: _Question) -> tuple[_Answer, np.ndarray]:
        process, late = self._process, threading.Event()
        timer = threading.Timer(self._limits.wait_s, lambda: (late.set(), process.kill()))
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(msgspec.to_builtins(question)).encode() + b"\n")
            process.stdin.flush()
            return self._answer(process.stdout)
        except (OSError, EOFError, ValueError, MemoryError) as error:
            self.end()
            raise _EndedError(self._reason(late.is_set())) from error
        finally:
            timer.cancel()

    def _answer(self, pipe: IO[bytes]) -> tuple[_Answer, np.ndarray]:
        line = pipe.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        answer = msgspec.convert(parse_json(line), _Answer)
        if min(answer.shape) < 0 or int(np.prod(answer.shape, dtype=object)) > self._limits.memory:
            raise ValueError(answer.shape)
        images = np.empty(answer.shape, np.uint8)
        view = images.reshape(-1).data
        while view:
            count = pipe.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            view = view[count:]
        return answer, images

    def end(self) -> None:
        """End it, if it has not ended by itself, and say how, once nothing more is asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _reason(self, late: bool) -> str:
        code = self._process.returncode
        if late:
            return f"took longer than {self._limits.wait_s:g} s to read"
        if code == -signal.SIGXCPU:
            return f"took more than {self._limits.cpu_s} s of the processor to read"
        return f"ended its reader ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


def _end_all(idle: "queue.LifoQueue[_Process]") -> None:
    while not idle.empty():
        idle.get().end()


def _serve(memory: int, cpu_s: int, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions, each within the limits, until there are no more."""
    _limit_for_good(resource.RLIMIT_CORE, 0)
    _limit_for_good(resource.RLIMIT_FSIZE, 0)  # it writes nothing but its pipe
    if sys.platform == "linux":  # elsewhere the system does not hold a process to it
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _limit_for_good(resource.RLIMIT_AS, taken + memory)
    for line in questions:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(usage.ru_utime + usage.ru_stime) + cpu_s + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        answer, images = _answer_to(msgspec.convert(json.loads(line), _Question))
        answers.write(json.dumps(msgspec.to_builtins(answer)).encode() + b"\n")
        if images is not None:
            answers.write(images.tobytes())
        answers.flush()


def _answer_to(question: _Question) -> tuple[_Answer, np.ndarray | None]:
    try:
        video = question.video()
        if question.num_frames is None:
            return _Answer(info=probe(video)), None
        clip = read_clip(video, question.num_frames)
    except KgclipError as error:
        return _Answer(error=str(error)), None
    images = np.ascontiguousarray(clip.images)
    height, width = images.shape[1:3]
    shape = (len(images), height, width, 3)
    facts = (clip.indices.tolist(), clip.times_s.tolist(), clip.duration_s, clip.fps, clip.num_frames)
    return _Answer(None, None, shape, *facts), images


def _limit_for_good(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
