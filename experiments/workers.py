"""Functions called in worker processes that end with the process that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from kgclip.errors import KgclipError

R = TypeVar("R")

# With more than one thread a process, the workers get in each other's way.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@runtime_checkable
class Work(Protocol):
    """Something that calls a function once a task."""

    def __call__(self, function: Callable[..., R], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, R]]:
        """Call it with the arguments of each task; gives (position of the task, result) as they are done."""
        ...


@contextmanager
def work_in(jobs: int) -> Iterator[Work]:
    """Workers of one thread each; 1 calls the functions in this process.

    If the block raises, the tasks in work are broken off.
    """
    threads = torch.get_num_threads()
    environment = {name: os.environ.get(name) for name in _ONE_THREAD}
    torch.set_num_threads(1)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        if jobs == 1:
            yield _work_here
        else:
            with _pool(jobs) as pool:
                yield _WorkInPool(pool)
    finally:
        torch.set_num_threads(threads)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _work_here(function: Callable[..., R], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, R]]:
    for position, arguments in enumerate(tasks):
        yield position, function(*arguments)


class _WorkInPool:
    def __init__(self, pool: ProcessPoolExecutor):
        self.pool = pool

    def __call__(self, function: Callable[..., R], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, R]]:
        futures = {self.pool.submit(function, *arguments): position for position, arguments in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise KgclipError(
                "a worker process was killed, perhaps for want of memory; give the same command again, which goes on "
                "from here, with a smaller --jobs"
            ) from error


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    # Fork would copy the locks of this process' threads; spawned workers start clean.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        workers = set(multiprocessing.active_children()) - others
        for process in workers:
            process.terminate()
        for process in workers:
            process.join()
        raise
    finally:
        pool.shutdown()


def _begin() -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole group of processes; this one is ended by its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
