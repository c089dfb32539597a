"""The process that opens strangers' videos: it may be killed, and what becomes of it is one sentence.

    python -m kgclip.engine.apart_child SETUP

SETUP is JSON. One question a line comes on the standard input and is answered on the standard output: a line of JSON,
then plain bytes. Nothing that goes through these pipes can run code in the process that reads it.
"""

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from kgclip.errors import KgclipError
from kgclip.memory import give_back_freed_memory
from kgclip.parallel import follow
from kgclip.reading import one_sentence
from kgclip.video.cut import Cut, VideoPath
from kgclip.video.decode import probe
from kgclip.video.frames import read_clip
from kgclip.video.preview import preview

Content = bytes | memoryview
TIDY_EVERY = 100
"""Questions after which freed memory is given back: a service asks for days."""


class Setup(msgspec.Struct):
    """What holds for all questions: the limits of `kgclip.engine.apart.Limits`, and fields of the source of poses."""

    memory: int
    cpu_s: int
    pose: dict[str, Any] | None = None


class Question(msgspec.Struct):
    """What is wanted of a file, or of a part of it from and to a second; how many frames; the id of a clip's pose."""

    task: Literal["probe", "read_clip", "preview", "observe"]
    file: str
    interval: tuple[float, float] | None
    num_frames: int = 0
    clip: str = ""

    def video(self) -> VideoPath:
        """The file, or its part."""
        return Path(self.file) if self.interval is None else Cut(Path(self.file), *self.interval)


class Answer(msgspec.Struct):
    """Why there is none, or facts, and how many bytes follow."""

    error: str | None = None
    facts: Any = None
    num_bytes: int = 0


def main() -> None:
    """Answer questions until their end."""
    follow(os.getppid())
    setup = msgspec.json.decode(sys.argv[1], type=Setup)
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        # Before the limits: the estimator is no stranger's, and may be large.
        observe = _observer(setup.pose)
    except KgclipError as error:
        _say(answers, Answer(str(error)))
        return
    _limit_for_good(setup.memory)
    _say(answers, Answer())
    for number, line in enumerate(sys.stdin.buffer, 1):
        used = resource.getrusage(resource.RUSAGE_SELF)
        most_s = int(used.ru_utime + used.ru_stime) + setup.cpu_s + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        question = msgspec.convert(json.loads(line), Question)
        try:
            with one_sentence(Path(question.file), "a video"):
                facts, content = observe(question) if question.task == "observe" else _read(question)
        except KgclipError as error:
            _say(answers, Answer(str(error)))
        else:
            _say(answers, Answer(None, facts, len(content)), content)
            del facts, content
        if number % TIDY_EVERY == 0:
            give_back_freed_memory()


def _say(answers: BinaryIO, answer: Answer, content: Content = b"") -> None:
    # Names may hold half characters, which this JSON escapes.
    answers.write(json.dumps(msgspec.to_builtins(answer)).encode() + b"\n")
    answers.write(content)
    answers.flush()


def _read(question: Question) -> tuple[Any, Content]:
    video = question.video()
    if question.task == "probe":
        return asdict(probe(video)), b""
    if question.task == "preview":
        return None, preview(video)
    clip = read_clip(video, question.num_frames)
    facts = {
        "shape": clip.images.shape,
        "indices": clip.indices.tolist(),
        "times_s": clip.times_s.tolist(),
        "duration_s": clip.duration_s,
        "fps": clip.fps,
        "num_frames": clip.num_frames,
    }
    return facts, np.ascontiguousarray(clip.images).data.cast("B")


def _observer(fields: dict[str, Any] | None) -> Any:
    """What finds the people of a clip; it is loaded already."""
    if fields is None:
        return None
    from kgclip.pose.annotate import PoseSource, observe, prepare

    source = PoseSource(**fields)
    prepare(source)

    def look(question: Question) -> tuple[Any, Content]:
        pose = observe(question.clip, question.video(), source)
        tracks = [{"rows": track.rows.tolist(), "keypoints": track.keypoints.tolist()} for track in pose.tracks]
        facts = {
            "frame_index": pose.frame_index.tolist(),
            "time_s": pose.time_s.tolist(),
            "width": pose.width,
            "height": pose.height,
            "tracks": tracks,
        }
        return facts, b""

    return look


def _limit_for_good(memory: int) -> None:
    """Write no file but the pipe, and take no more memory than given above what is taken now."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform == "linux":  # elsewhere the system does not hold a process to it
        taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        limits[resource.RLIMIT_DATA] = taken + memory
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
