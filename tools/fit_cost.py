"""What `kgclip fit` costs and how it grows: CPU seconds, memory and time for more and more clips of a data set.

    python -m tools.fit_cost DATA --pose movenet_lightning.tflite --clips 25 50 100

Each number of clips is a run of its own in a new process and folder, with clips at equal distances of each action.
Prints docs/generated/fit_cost.md.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from experiments.tables import short
from kgclip.data.clip import Clip
from kgclip.data.dataset import open_dataset
from kgclip.engine.code_version import code_version
from kgclip.errors import KgclipError
from kgclip.video.cut import file_of

ACTIONS = 5


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    data: Positional[Path]
    """data set with labels"""
    pose: Path | None = None
    """a MoveNet .tflite file; without it frames alone are read"""
    clips: Annotated[tuple[int, ...], tyro.conf.arg(help="numbers of clips")] = (25, 50, 100)
    backbone: str = "auto"
    """as of `kgclip fit`"""


@dataclass(frozen=True)
class Cost:
    """Of one run: clips, seconds on the clock and of all processors, most bytes of its largest process."""

    clips: int
    wall_s: float
    cpu_s: float
    memory_bytes: int


def chosen(clips: Sequence[Clip], count: int) -> list[Clip]:
    """As many clips, equally many of each of the first ACTIONS actions.

    Raises:
        KgclipError: there are not so many.
    """
    by_action: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.action is not None:
            by_action[clip.action].append(clip)
    each = count // ACTIONS
    groups = [by_action[action] for action in sorted(by_action)[:ACTIONS]]
    if not each or len(groups) < ACTIONS or any(len(group) < each for group in groups):
        raise KgclipError(f"--clips {count}: the first {ACTIONS} actions have not {each} clips each; lower it")
    return [group[i * len(group) // each] for group in groups for i in range(each)]


def measure(clips: Sequence[Clip], options: Options) -> Cost:
    """Run `kgclip fit` on these clips in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            place = Path(folder) / "clips" / str(clip.action)
            place.mkdir(parents=True, exist_ok=True)
            (place / clip.path.name).symlink_to(file_of(clip.path).resolve())
        words = [sys.executable, "-m", "kgclip", "fit", f"{folder}/clips", "--out", f"{folder}/out"]
        words += ["--backbone", options.backbone, *(() if options.pose is None else ("--pose", str(options.pose)))]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(words, check=True, capture_output=True)
        wall_s, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(len(clips), wall_s, cpu_s, 1024 * after.ru_maxrss)


def page(costs: Sequence[Cost], options: Options) -> list[str]:
    """The lines of the page; growth is from the fewest clips to the most."""
    first, last = costs[0], costs[-1]
    commit, poses = short(code_version()["commit"]), "with" if options.pose else "without"
    lines = [
        "# What fitting costs",
        "",
        f"Written by `python -m tools.fit_cost`, commit {commit}: `kgclip fit` on {ACTIONS} actions, backbone",
        f"{options.backbone}, {poses} poses, two processes; each row a new process. Memory is of the largest process,",
        "and so far the largest of all rows.",
        "",
        "| clips | seconds | CPU seconds | a clip more, CPU s | memory, MiB |",
        "|---:|---:|---:|---:|---:|",
    ]
    before: Cost | None = None
    for cost in costs:
        more = "–" if before is None else f"{(cost.cpu_s - before.cpu_s) / (cost.clips - before.clips):.2f}"
        memory = cost.memory_bytes / 2**20
        lines.append(f"| {cost.clips} | {cost.wall_s:.0f} | {cost.cpu_s:.0f} | {more} | {memory:.0f} |")
        before = cost
    if len(costs) > 1:
        times = last.clips / first.clips
        lines += ["", f"{times:.0f} times the clips took {last.cpu_s / first.cpu_s:.1f} times the CPU time."]
    return lines


def main(options: Options) -> None:
    """Measure and print the page.

    Raises:
        KgclipError: there are too few clips.
    """
    clips = open_dataset(options.data).clips
    groups = [chosen(clips, count) for count in sorted(options.clips)]
    print("\n".join(page([measure(group, options) for group in groups], options)))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except KgclipError as error:
        sys.exit(f"fit_cost: {error}")
