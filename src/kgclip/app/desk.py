"""The model behind the page: asked by many, answering one at a time, within limits that are told in a sentence."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kgclip.engine.apart import Apart
from kgclip.engine.predict import Recognizer
from kgclip.sent import SentClip, read_sent
from kgclip.serving import Limits

T = TypeVar("T")


class Desk:
    """The model, its one worker and the folder of uploads.

    Args:
        recognizer: of the model as it is in its folder.
        limits: of each question.
        uploads: folder in which files of a person's own lie; only they are ever deleted.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits, uploads: Path):
        self.recognizer, self.limits, self.uploads = recognizer, limits, uploads
        self.videos = Apart(recognizer.pose)
        self._worker = ThreadPoolExecutor(1, "kgclip-model")

    def ask(self, question: Callable[[], T]) -> T:
        """What the model answers, after those who asked before.

        Raises:
            KgclipError: of the question, or the time is over; what has begun then ends by itself.
        """
        future = self._worker.submit(question)
        try:
            return future.result(self.limits.wait_s)
        except TimeoutError as error:
            future.cancel()
            raise self.limits.too_late() from error

    def read(self, path: Path, *, page: bool) -> SentClip:
        """What is needed of a file, which a process apart opens.

        Raises:
            KgclipError: it is too large or too long, or cannot be read, or not in time.
        """
        self.limits.check_size(path.name, path.stat().st_size)
        videos, num_frames = self.videos.within(self.limits.wait_s), self.recognizer.checkpoint.config.frames
        return read_sent(videos, path, path.name, num_frames, self.limits, page=page)

    @contextmanager
    def borrowed(self, path: Path) -> Iterator[Path]:
        """A file that a person has sent: deleted after use, with the folder that was made for it."""
        try:
            yield path
        finally:
            self.discard(path)

    def discard(self, path: Path) -> None:
        """Delete a file that was sent, and the folder that was made for it; any other file stays."""
        inside = path.resolve().parent
        if self.uploads.resolve() in inside.parents:
            shutil.rmtree(inside, ignore_errors=True)

    def close(self) -> None:
        """Answer no more."""
        self.videos.close()
        self._worker.shutdown(wait=False, cancel_futures=True)
