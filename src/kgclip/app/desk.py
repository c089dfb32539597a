"""The model behind the page: asked by many, answering one at a time, within limits that are told in a sentence."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.video.decode import probe

T = TypeVar("T")
MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one person may ask for.

    Attributes:
        size_mb: of a file, in MB of 2²⁰ bytes.
        length_s: of a video.
        wait_s: for an answer, those before in the queue included.
        files: at a time.
    """

    size_mb: int = 100
    length_s: float = 60.0
    wait_s: float = 60.0
    files: int = 100

    def __str__(self) -> str:
        return f"{self.size_mb} MB and {self.length_s:g} s"


class Desk:
    """The model, its one worker and the folder of uploads.

    Args:
        recognizer: of the model as it is in its folder.
        limits: of each question.
        uploads: folder in which files of a person's own lie; only they are ever deleted.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits, uploads: Path):
        self.recognizer, self.limits, self.uploads = recognizer, limits, uploads
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
            raise KgclipError(
                f"no answer within {self.limits.wait_s:g} s: the model is slow here or busy with others; "
                "try again, or a shorter clip"
            ) from error

    def check(self, path: Path) -> None:
        """Refuse a file that is too large or too long.

        Raises:
            KgclipError: it is, or no video can be read from it.
        """
        if path.stat().st_size > self.limits.size_mb * MEGABYTE:
            raise KgclipError(
                f"{path.name}: is larger than the {self.limits.size_mb} MB that this page takes; make it smaller"
            )
        length = probe(path).duration_s
        if length > self.limits.length_s:
            raise KgclipError(
                f"{path.name}: lasts {length:.1f} s, and this page takes up to {self.limits.length_s:g} s; "
                "cut it, or find what happens in it with `kgclip watch`"
            )

    @contextmanager
    def borrowed(self, path: Path) -> Iterator[Path]:
        """A file that a person has sent: deleted after use, with the folder that was made for it.

        Raises:
            KgclipError: what is wrong with the file, named as the person named it.
        """
        try:
            yield path
        except KgclipError as error:
            raise KgclipError(str(error).replace(str(path), path.name)) from error
        finally:
            self.discard(path)

    def discard(self, path: Path) -> None:
        """Delete a file that was sent, and the folder that was made for it; any other file stays."""
        inside = path.resolve().parent
        if self.uploads.resolve() in inside.parents:
            shutil.rmtree(inside, ignore_errors=True)

    def close(self) -> None:
        """Answer no more."""
        self._worker.shutdown(wait=False, cancel_futures=True)
