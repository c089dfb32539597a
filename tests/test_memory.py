"""Freed memory is kept by the process and used again, or given back."""

import ctypes
import subprocess
import sys

import pytest

from kgclip.memory import give_back_freed_memory, keep_freed_memory

# In a process of its own: the setting holds for a whole process. Prints page faults once the heap has found its form.
FAULTS = """
import resource, sys, torch
from kgclip.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(40, 2**20, dtype=torch.uint8) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(8):
    faults()
print(kept, sum(faults() for _ in range(3)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_memory_is_not_faulted_in_again():
    def run(how: str) -> tuple[str, int]:
        command = [sys.executable, "-c", FAULTS, how]
        kept, faults = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return kept, int(faults)

    kept, faults = run("keep")
    if kept == "False":
        pytest.skip("this C library is not glibc")
    assert faults < 0.05 * run("leave")[1]


# What lies before a block in use is not given back by itself. Prints MiB in use before and after.
HELD = """
import resource
from kgclip.memory import give_back_freed_memory
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20
blocks = [bytearray(100_000) for _ in range(1000)]
del blocks[:-1]
before = held()
give_back_freed_memory()
print(before, held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_freed_memory_is_given_back():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library is not glibc")
    command = [sys.executable, "-c", HELD]
    before, after = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert before - after > 80


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
    give_back_freed_memory()
