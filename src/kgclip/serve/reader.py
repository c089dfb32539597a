"""Reads strangers' files through a process of its own, which is replaced where a file kills it or takes too long."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.reading import parse_json
from kgclip.report.explanation_page import ClipMedia
from kgclip.serve.child import Request
from kgclip.video.frames import MOST_PIXELS, ClipFrames

START_S = 120.0
"""A process that has not begun by then is none."""
_MOST_HEAD = 64 * 2**20
_COMMAND = (sys.executable, "-P", "-m", "kgclip.serve.child")


@dataclass(frozen=True)
class ReadClip:
    """What was read of a file, which may go.

    Attributes:
        file: what it was called by who sent it.
        frames: of the clip.
        pose: where one was asked for.
        media: what a page shows of it, where that was asked for.
    """

    file: str
    frames: ClipFrames
    pose: ClipPose | None
    media: ClipMedia | None


class Reader:
    """One process that reads one file at a time; for one thread at a time.

    Args:
        died: is called whenever a process has to be replaced.
        command: that starts the process.
    """

    def __init__(self, died: Callable[[], None] = lambda: None, command: tuple[str, ...] = _COMMAND):
        self._died, self._command = died, command
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have the process ready.

        Raises:
            KgclipError: it does not start.
        """
        if self._child is not None and self._child.poll() is None:
            return
        self.close()
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        # In a session of its own: Ctrl-C is for the server, which lets files be read to their end.
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        if self._answer(None, START_S) is None:
            raise KgclipError("serve: the process that reads files does not start; check the installation and memory")

    def read(self, request: Request, timeout_s: float) -> ReadClip:
        """What the process reads of a file.

        Raises:
            KgclipError: the file cannot be read, or the process died of it, or was killed as it took too long.
        """
        self.start()
        begun = time.monotonic()
        found = self._answer(request, timeout_s)
        if found is None:
            self.close()
            self._died()
            late = time.monotonic() - begun >= timeout_s
            what = f"was not read within {timeout_s:.0f} s" if late else "cannot be read, the process that tried died"
            raise KgclipError(f"{request.file}: {what}; re-encode it or make it smaller")
        head, images = found
        if "error" in head:
            raise KgclipError(head["error"])
        frames = ClipFrames(
            images,
            np.array(head["indices"], np.int64),
            np.array(head["times_s"], np.float64),
            head["duration_s"],
            head["fps"],
            head["num_frames"],
        )
        media = head.get("media")
        return ReadClip(
            request.file,
            frames,
            _pose(head.get("pose")),
            None if media is None else ClipMedia(Path(request.file), **media),
        )

    def _answer(self, request: Request | None, timeout_s: float) -> tuple[dict[str, Any], np.ndarray] | None:
        """The next answer of the process; None where it died, was killed, or says what cannot be."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        clock = threading.Timer(timeout_s, child.kill)
        clock.start()
        try:
            if request is not None:
                child.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
                child.stdin.flush()
            head = parse_json(child.stdout.readline(_MOST_HEAD))
            return head, _images(child.stdout, head.get("shape"), 0 if request is None else request.frames)
        except (OSError, ValueError, AttributeError, TypeError):
            return None
        finally:
            clock.cancel()

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()


def _images(pipe: IO[bytes], shape: list[int] | None, num_frames: int) -> np.ndarray:
    """The frames that follow a line of JSON; none where it says nothing of them."""
    if shape is None:
        return np.empty((0, 0, 0, 3), np.uint8)
    count, height, width, channels = shape
    # Sizes are rounded up where large frames are scaled down.
    if count != num_frames or channels != 3 or not 0 < height * width <= 2 * MOST_PIXELS:
        raise ValueError(f"frames of shape {shape}")
    images = np.empty((count, height, width, 3), np.uint8)
    rest = images.data.cast("B")
    while rest:
        got = pipe.readinto(rest)  # pyright: ignore[reportAttributeAccessIssue]
        if not got:
            raise ValueError("the frames end early")
        rest = rest[got:]
    return images


def _pose(values: dict[str, Any] | None) -> ClipPose | None:
    if values is None:
        return None
    tracks = tuple(
        Track(np.array(track["rows"], np.int64), np.array(track["keypoints"], np.float32)) for track in values["tracks"]
    )
    return ClipPose(
        np.array(values["frame_index"], np.int32),
        np.array(values["time_s"], np.float64),
        values["width"],
        values["height"],
        tracks,
    )
