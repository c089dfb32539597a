"""How the process treats memory that it frees on the CPU."""

import ctypes
import sys
from typing import Any

# Numbers of glibc's mallopt; see malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Larger blocks than this are given back.
KEPT_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next allocation; returns whether it does (elsewhere nothing changes).

    Every step allocates and frees the same megabytes or gigabytes of activations. Given back to the system, they
    return page by page, zeroed. The most memory used grows by what lies free between blocks in use, a tenth or so.
    """
    mallopt = _glibc("mallopt")
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, KEPT_BYTES) and mallopt(M_TRIM_THRESHOLD, -1))


def give_back_freed_memory() -> None:
    """Have glibc give all freed memory back to the system (elsewhere nothing changes).

    It keeps, for each thread, about as much as was ever used at once, so that a process that works for days only grows.
    """
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
