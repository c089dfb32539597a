"""The process that opens strangers' files: it may be killed, and what becomes of it is one sentence.

    python -m kgclip.serve.child

One request a line comes on its standard input and is answered on its standard output: a line of JSON, then the bytes of
the frames. Nothing that goes through these pipes can run code in the process that reads it.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kgclip.errors import KgclipError
from kgclip.parallel import follow
from kgclip.reading import one_sentence
from kgclip.serving import Limits
from kgclip.video.frames import ClipFrames, read_clip

MOST_MEMORY = 4 * 2**30
"""Of data; a file that takes more gives a sentence."""


@dataclass(frozen=True)
class Request:
    """What is to be read.

    Attributes:
        path: of the file; it is not named in any answer.
        file: what the file was called by who sent it.
        clip: id by which keypoints are found.
        frames: T.
        length_s: longest video that is taken.
        media: whether what a page shows of the video is wanted too.
        pose: fields of the source of poses; None leaves pose out.
    """

    path: str
    file: str
    clip: str
    frames: int
    length_s: float
    media: bool = False
    pose: dict[str, Any] | None = None


def main() -> None:
    """Answer requests until their end."""
    follow(os.getppid())
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _say(answers, {"ready": True})
    for line in sys.stdin.buffer:
        request = Request(**json.loads(line))
        try:
            with one_sentence(Path(request.path), "a video"):
                head, clip = _read(request)
        except KgclipError as error:
            _say(answers, {"error": str(error).replace(request.path, request.file)})
        else:
            _say(answers, head, np.ascontiguousarray(clip.images).data)
            del clip


def _say(answers: BinaryIO, head: dict[str, Any], images: memoryview | bytes = b"") -> None:
    answers.write(json.dumps(head).encode() + b"\n")
    answers.write(images)
    answers.flush()


def _read(request: Request) -> tuple[dict[str, Any], ClipFrames]:
    path = Path(request.path)
    clip = read_clip(path, request.frames)
    Limits(length_s=request.length_s).check_length(request.file, clip.duration_s)
    head: dict[str, Any] = {
        "shape": clip.images.shape,
        "indices": clip.indices.tolist(),
        "times_s": clip.times_s.tolist(),
        "duration_s": clip.duration_s,
        "fps": clip.fps,
        "num_frames": clip.num_frames,
    }
    if request.pose is not None:
        head["pose"] = _pose(request)
    if request.media:
        from kgclip.report.explanation_page import ClipMedia

        media = ClipMedia.of(path, request.frames)
        head["media"] = {name: getattr(media, name) for name in ("video", "poster", "strip", "sha256")}
    return head, clip


def _pose(request: Request) -> dict[str, Any]:
    from kgclip.pose.annotate import PoseSource, observe

    pose = observe(request.clip, Path(request.path), PoseSource(**(request.pose or {})))
    tracks = [{"rows": track.rows.tolist(), "keypoints": track.keypoints.tolist()} for track in pose.tracks]
    return {
        "frame_index": pose.frame_index.tolist(),
        "time_s": pose.time_s.tolist(),
        "width": pose.width,
        "height": pose.height,
        "tracks": tracks,
    }


if __name__ == "__main__":
    main()
