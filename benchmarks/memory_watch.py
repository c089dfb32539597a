"""The most memory that reading annotations takes, workers included; imports nothing that reading does not."""

import os
from multiprocessing import active_children
from pathlib import Path
from threading import Event, Thread

from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset


def peak_gib(root: Path, workers: int) -> float:
    """Most memory at once of this process and its workers while it reads, in GiB, looked at every 10 ms."""
    peak, stop = [0], Event()

    def watch() -> None:
        while not stop.wait(0.01):
            pids = [os.getpid(), *(child.pid for child in active_children())]
            peak[0] = max(peak[0], sum(_resident(pid) for pid in pids if pid is not None))

    watcher = Thread(target=watch)
    watcher.start()
    read_observations(open_dataset(root), workers=workers, cache=False, progress=False)
    stop.set()
    watcher.join()
    return peak[0] / 2**30


def _resident(pid: int) -> int:
    """Bytes of memory of a process that may have ended."""
    file = Path(f"/proc/{pid}/statm")
    try:
        return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
