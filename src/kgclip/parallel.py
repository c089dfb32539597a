"""Worker processes for work on many files."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from loky import BrokenProcessPool, ProcessPoolExecutor

from kgclip.errors import KgclipError

T = TypeVar("T")
R = TypeVar("R")


def map_in_workers(
    function: Callable[[T], R], tasks: Sequence[T], workers: int, *, place: str, chunk: int = 1
) -> Iterator[R]:
    """The results of a function in the order of its tasks, by worker processes if there is more than one.

    They are not forked, as the threads and locks of polars and torch do not survive that, and they do not import the
    caller's script, which may load much that reading files does not need.

    Args:
        function: one of a module, or a partial of one.
        place: what is worked on, for the sentence of an error.
        chunk: number of tasks that are sent to a process at once.

    Raises:
        KgclipError: a process died.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(workers, initializer=follow, initargs=(os.getpid(),)) as pool:
        try:
            yield from pool.map(function, tasks, chunksize=chunk)
        except BrokenProcessPool:
            raise KgclipError(
                f"{place}: a worker process ended early, perhaps for want of memory; use one worker"
            ) from None


def follow(parent: int) -> None:
    """Have this process end with its parent, also with one that was killed and could not say so."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
