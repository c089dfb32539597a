"""Workers do all tasks, and end with whoever started them."""

import math
import multiprocessing
import os
import time

import pytest
import torch

from experiments.workers import work_in
from kgclip.errors import KgclipError


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_know_their_task(jobs: int):
    with work_in(jobs) as work:
        assert dict(work(math.factorial, [(n,) for n in range(6)])) == {n: math.factorial(n) for n in range(6)}
        assert list(work(math.factorial, [])) == []
        with pytest.raises(ValueError, match="factorial"):
            list(work(math.factorial, [(-1,)]))


def test_each_process_has_one_thread():
    before = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    with work_in(2) as work:
        assert [threads for _, threads in work(torch.get_num_threads, [(), ()])] == [1, 1]
        assert dict(work(os.getenv, [("OMP_NUM_THREADS",)])) == {0: "1"}
    assert (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == before


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(KgclipError, match="a worker process was killed"), work_in(2) as work:
        list(work(os._exit, [(9,)]))


def test_an_interrupted_run_ends_its_workers():
    started = time.monotonic()

    def interrupted() -> None:
        with work_in(2) as work:
            next(work(time.sleep, [(0,), (600,), (600,), (600,)]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    # The pool's own thread may be waiting for the same processes, and note their end a moment later.
    while multiprocessing.active_children() and time.monotonic() - started < 60:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []
