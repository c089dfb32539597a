"""One clip that somebody sent: what is done with it, and what came of it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kgclip.visible import visible

State = Literal["waiting", "reading", "recognizing", "done", "failed"]
MOST_NAME = 120
_BEAT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What is given to who asked.

    Attributes:
        explanation: JSON in UTF-8.
        page: HTML in UTF-8, where one was asked for.
    """

    explanation: bytes
    page: bytes | None

    @property
    def num_bytes(self) -> int:
        """Of both."""
        return len(self.explanation) + len(self.page or b"")


@dataclass(eq=False)
class Job:
    """A clip on its way from an upload to an answer.

    Attributes:
        file: its name, made safe.
        page: whether a page is wanted.
        request: id of the request that sent it.
        folder: of its own, in which the upload lies until it was read.
        over: is called when it is done or has failed.
        state: of the work.
        status: of HTTP, for a job that failed.
        error: why, in one sentence.
        answer: of a job that is done.
        fetched: whether anything of the answer was given.
        clock: that ends it when its time is over.
    """

    file: str
    page: bool
    request: str
    folder: Path
    over: Callable[["Job"], None]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    began_s: float = field(default_factory=time.monotonic)
    state: State = "waiting"
    status: int = 200
    error: str | None = None
    answer: Answer | None = None
    fetched: bool = False
    clock: asyncio.TimerHandle | None = None
    _history: list[State] = field(default_factory=lambda: ["waiting"])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> Path:
        """Of the upload."""
        return self.folder / "upload"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "failed")

    def move(self, state: State) -> None:
        """Tell all who listen of a new state; a job that is over stays as it is."""
        if self.is_over:
            return
        self.state = state
        self._history.append(state)
        self._changed.set()
        self._changed = asyncio.Event()
        if self.is_over:
            self.over(self)

    def finish(self, answer: Answer) -> None:
        """The work is done."""
        if not self.is_over:
            self.answer = answer
            self.move("done")

    def fail(self, status: int, error: str) -> None:
        """No answer comes."""
        if not self.is_over:
            self.status, self.error = status, error
            self.move("failed")

    async def states(self) -> AsyncIterator[State | None]:
        """All states, those before too, until it is over; None now and then, while nothing changes."""
        shown = 0
        while True:
            changed = self._changed
            while shown < len(self._history):
                shown += 1
                yield self._history[shown - 1]
            if self.is_over:
                return
            try:
                async with asyncio.timeout(_BEAT_S):
                    await changed.wait()
            except TimeoutError:
                yield None


def safe_name(name: str) -> str:
    """A file's name without folders, and without what could steer a terminal; "clip" where nothing is left."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    last = visible(last.strip())[:MOST_NAME]
    return last if last.strip(".") else "clip"
