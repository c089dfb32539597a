"""Time and memory of the solved head for more and more clips, whose features are made as they are read.

    python -m benchmarks.many_clips --clips 10000 100000 1000000

Each number of clips is a new process. At the fewest, what the sums over batches give new clips is compared with what is
solved at once. Prints a table.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro
from torch import Tensor

from kgclip.models import fit_head
from kgclip.models.closed_form import SolvedTargets
from kgclip.models.fit_head import fit_closed_form

FRAMES, WIDTH, ACTIONS, MOVEMENTS, CLIPS_OF_SOURCE = 1, 128, 24, 40, 4


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    clips: Annotated[tuple[int, ...], tyro.conf.arg(help="numbers of clips")] = (10_000, 100_000, 1_000_000)
    threads: int = 1
    """of torch"""
    one: int | None = None
    """measure this number in this process"""


class MadeClips:
    """Clips whose features follow from their row, so that no memory holds them; around a center of their action."""

    def __init__(self, count: int):
        self.shape = (count, FRAMES, WIDTH)
        draw = torch.Generator().manual_seed(0)
        self.centers = torch.randn(ACTIONS, WIDTH, generator=draw)
        self.mix = torch.randn(997, WIDTH, generator=draw), torch.randn(1009, WIDTH, generator=draw)

    def __getitem__(self, rows: Tensor) -> Tensor:
        noise = self.mix[0][rows % 997] + self.mix[1][rows // 997 % 1009]
        return (self.centers[rows % ACTIONS] + noise)[:, None]


def targets(count: int) -> SolvedTargets:
    """Every clip has its action, and its action's movements."""
    rows = torch.arange(count)
    shows = torch.rand(ACTIONS, MOVEMENTS, generator=torch.Generator().manual_seed(1))
    return SolvedTargets(torch.eye(ACTIONS)[rows % ACTIONS], shows[rows % ACTIONS], rows // CLIPS_OF_SOURCE)


def memory() -> int:
    """The most bytes of this process so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(count: int) -> dict[str, float]:
    """Seconds, bytes on top of what the libraries and targets take, and how many left-out clips are recognized."""
    goal = targets(count)
    before, started, busy = memory(), time.perf_counter(), time.process_time()
    _, left_out = fit_closed_form(MadeClips(count), goal)
    busy = time.process_time() - busy
    seconds, top1 = time.perf_counter() - started, (left_out[1].mm.argmax(dim=1) == goal.performs.argmax(dim=1))
    return {
        "clips": count,
        "seconds": seconds,
        "cpu": busy,
        "bytes": memory() - before,
        "top1": float(top1.float().mean()),
    }


def apart(count: int) -> float:
    """The largest difference of a score of new clips between sums over batches and all at once."""
    most = fit_head.MOST_AT_ONCE
    goal, new = targets(count), MadeClips(2 * count)[torch.arange(count, count + 500)]
    summed = fit_closed_form(MadeClips(count), goal)[0](new)
    fit_head.MOST_AT_ONCE = count
    whole = fit_closed_form(MadeClips(count), goal)[0](new)
    fit_head.MOST_AT_ONCE = most
    pairs = ((summed.mm, whole.mm), (summed.tri, whole.tri), (summed.shares, whole.shares))
    return max(float((one - other).abs().max()) for one, other in pairs if one is not None and other is not None)


def main(options: Options) -> None:
    """Measure and print."""
    if options.one is not None:
        torch.set_num_threads(options.threads)
        print(json.dumps(measure(options.one)))
        return
    print("| clips | seconds | CPU seconds | memory on top, MiB | top-1 |\n|---:|---:|---:|---:|---:|")
    for count in options.clips:
        words = [sys.executable, "-m", "benchmarks.many_clips", "--one", str(count), "--threads", str(options.threads)]
        row = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        memory = row["bytes"] / 2**20
        print(f"| {count:,} | {row['seconds']:.0f} | {row['cpu']:.0f} | {memory:.0f} | {row['top1']:.3f} |", flush=True)
    # All at once, more would take the memory that sums are there to save.
    fewest = min(*options.clips, 10_000)
    print(f"\nAt {fewest:,} clips, scores of new clips differ from those of a head that is solved at once")
    print(f"by {apart(fewest):.0e}.")


if __name__ == "__main__":
    main(tyro.cli(Options))
