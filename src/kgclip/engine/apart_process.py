"""Processes that open strangers' videos: started, asked one question at a time, and replaced where a file ends one."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import msgspec
import numpy as np

from kgclip.engine.apart_child import Answer, Question, Setup
from kgclip.errors import KgclipError
from kgclip.reading import parse_json

T = TypeVar("T")
START_S = 120.0
"""A process that has not begun by then is none."""
MOST_QUESTIONS = 10_000
"""After so many a process is replaced: decoders keep up to half a kilobyte at each, gigabytes in days."""
COMMAND = (sys.executable, "-P", "-m", "kgclip.engine.apart_child")
_LONGEST_LINE = 2**26


@dataclass(frozen=True)
class Limits:
    """What a process may take for one file.

    Attributes:
        memory: bytes above what it takes before it opens any.
        cpu_s: seconds of the processor.
        wait_s: seconds altogether.
    """

    memory: int = 2 * 2**30
    cpu_s: int = 60
    wait_s: float = 120.0


class EndedError(Exception):
    """The process ended, or says what it must not; the text says why."""


class Pool:
    """As many processes as threads ask at a time.

    Args:
        setup: of each.
        died: is called whenever one ends by a file.
    """

    def __init__(self, setup: Setup, died: Callable[[], None]):
        self._setup, self._died = setup, died
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all: set[_Process] = set()
        weakref.finalize(self, _end_all, self._all)

    def start(self, count: int) -> None:
        """Have so many processes ready; raises KgclipError where one does not start."""
        while len(self._all) < count:
            self._idle.put(self._started())

    def ask(self, question: Question, wait_s: float, most_bytes: int, made: Callable[[Any, np.ndarray], T]) -> T:
        """What is made of the facts and bytes of an answer.

        Args:
            question: about one file.
            wait_s: after so many seconds the process is killed.
            most_bytes: more are not believed.
            made: raises ValueError where facts and bytes do not fit each other.

        Raises:
            EndedError: there is no answer that may be.
            KgclipError: the file cannot be read, or no process starts.
        """
        process = self._ready()
        try:
            answer, content = process.ask(question, wait_s, most_bytes)
            if answer.error is not None:
                raise KgclipError(answer.error)
            result = made(answer.facts, content)
        except KgclipError:
            self._put_back(process)
            raise
        except (OSError, EOFError, ValueError, MemoryError) as error:
            self._end(process)
            self._died()
            raise EndedError(process.reason(self._setup.cpu_s, wait_s)) from error
        except BaseException:
            self._end(process)
            raise
        self._put_back(process)
        return result

    def close(self) -> None:
        """End the processes, also those that are asked."""
        _end_all(self._all)

    def _put_back(self, process: "_Process") -> None:
        if process.asked < MOST_QUESTIONS:
            self._idle.put(process)
        else:
            self._end(process)

    def _ready(self) -> "_Process":
        with suppress(queue.Empty):
            while True:
                process = self._idle.get_nowait()
                if process.is_alive():
                    return process
                self._end(process)
        return self._started()

    def _started(self) -> "_Process":
        process = _Process(self._setup)
        self._all.add(process)
        return process

    def _end(self, process: "_Process") -> None:
        self._all.discard(process)
        process.end()


class _Process:
    """One process, which answers one question after the other."""

    def __init__(self, setup: Setup):
        self._late, self.asked = False, 0
        # One thread: as many of these as there are processors may run. In a session of its own: Ctrl-C is for who
        # asks, and who serves lets files be read to their end.
        self._process = subprocess.Popen(
            [*COMMAND, json.dumps(msgspec.to_builtins(setup))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            answer, _ = self._answer(START_S, 0)
        except (OSError, EOFError, ValueError):
            answer = Answer("the process that opens videos does not start; check the installation and memory")
        if answer.error is not None:
            self.kill()
            raise KgclipError(answer.error)

    def ask(self, question: Question, wait_s: float, most_bytes: int) -> tuple[Answer, np.ndarray]:
        """The answer and the bytes that follow it; any error means that the process is of no use any more."""
        self.asked += 1
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(msgspec.to_builtins(question)).encode() + b"\n")
        pipe.flush()
        return self._answer(wait_s, most_bytes)

    def _answer(self, wait_s: float, most_bytes: int) -> tuple[Answer, np.ndarray]:
        pipe = self._process.stdout
        assert pipe is not None
        timer = threading.Timer(wait_s, self._kill_late)
        timer.start()
        try:
            line = pipe.readline(_LONGEST_LINE)
            if not line.endswith(b"\n"):
                raise EOFError
            answer = msgspec.convert(parse_json(line), Answer)
            if not 0 <= answer.num_bytes <= most_bytes:
                raise ValueError(f"{answer.num_bytes} bytes")
            return answer, _content(pipe, answer.num_bytes)
        finally:
            timer.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def is_alive(self) -> bool:
        """Whether it has not ended while nothing was asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, if it is not about to end by itself."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self.kill()

    def kill(self) -> None:
        """End it, whatever it does."""
        process = self._process
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def reason(self, cpu_s: int, wait_s: float) -> str:
        """Why it ended."""
        code = self._process.returncode
        if self._late:
            return f"took longer than {wait_s:.3g} s to read"
        if code == -signal.SIGXCPU:
            return f"took more than {cpu_s} s of the processor to read"
        return f"ended its reader ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


def _content(pipe: IO[bytes], num_bytes: int) -> np.ndarray:
    content = np.empty(num_bytes, np.uint8)
    rest = content.data
    while rest:
        count = pipe.readinto(rest)  # pyright: ignore[reportAttributeAccessIssue]
        if not count:
            raise EOFError
        rest = rest[count:]
    return content


def _end_all(processes: set[_Process]) -> None:
    while processes:
        with suppress(KeyError):
            processes.pop().kill()


def nothing() -> None:
    """What happens where nobody wants to know."""
