"""Reading part annotations, one JSON file a frame, against a loop over json.load; and reading them again."""

import json
import os
import random
import tempfile
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.harness import Row, compare, in_new_process, limit
from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset

FILES, FRAMES_PER_CLIP = 575_000, 150
WORKERS = 2
PARTS = ("head", "hip", *(f"{side}_{part}" for side in ("left", "right") for part in ("arm", "hand", "leg", "foot")))
# About as many movements as the published graph has: 390, 300 of them with an object.
STATES = [f"state_{index}" for index in range(9)]
TOUCHES = [(f"state_{index % 9}", f"object_{index}") for index in range(30)]


def human(rng: random.Random, number: int) -> dict[str, Any]:
    """One annotated person as in Kinetics-TPS: ten parts, some of which touch something."""
    parts = {}
    for index, name in enumerate(PARTS):
        box = [rng.randrange(300) for _ in range(4)]
        parts[name] = {"number": index + 1, "name": name, "box": box, "verb": rng.choice(STATES)}
        if rng.random() < 0.2:
            state, touched = rng.choice(TOUCHES)
            parts[name] |= {"verb": state, "obj_class": touched, "obj_bbox": box}
    return {"number": number, "box": [0, 0, 300, 200], "parts": parts}


def write_tree(root: Path, num_files: int) -> None:
    """A data set in the layout of Kinetics-TPS whose videos are empty files."""
    rng = random.Random(0)
    frames = [json.dumps({"humans": [human(rng, n + 1) for n in range(rng.choice((1, 1, 2)))]}) for _ in range(2000)]
    for clip in range(-(-num_files // FRAMES_PER_CLIP)):
        action, name = f"action_{clip % 24}", f"clip{clip:05d}"
        folder = root / "train_annotations" / action / name
        folder.mkdir(parents=True)
        video = root / "train_videos" / action / f"{name}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.touch()
        for number in range(min(FRAMES_PER_CLIP, num_files - clip * FRAMES_PER_CLIP)):
            (folder / f"img_{number + 1:05d}.json").write_text(rng.choice(frames))


def load_all(root: Path) -> int:
    """The plain loop: every file through json.load, nothing kept but a count."""
    records = 0
    for file in sorted((root / "train_annotations").rglob("*.json")):
        with file.open() as handle:
            records += sum(len(person["parts"]) for person in json.load(handle)["humans"])
    return records


def read_all(root: Path, *, cache: bool) -> int:
    """Ours, with everything kept."""
    return len(read_observations(open_dataset(root), workers=WORKERS, cache=cache, progress=False).parts)


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


def benchmark(num_files: int = FILES) -> list[Row]:
    """Reading for the first time, and again."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "data"
        write_tree(root, num_files)
        check_same(root)
        what = f"reading {num_files:,} annotation files"
        first: Callable[[], Any] = lambda: read_all(root, cache=False)  # noqa: E731
        rows = [compare(f"{what}, {WORKERS} workers", first, lambda: load_all(root), "a loop over json.load", goal=4.0)]
        rows.append(limit(f"{what} again", lambda: read_all(root, cache=True), 2.0))
        rows.append(Row(f"{what}: most memory", None, in_new_process(peak_gib, root, WORKERS), goal=1.0, unit="GiB"))
    return rows


def check_same(root: Path) -> None:
    """Stop unless both saw the same number of records."""
    found, expected = read_all(root, cache=False), load_all(root)
    if found != expected:
        raise SystemExit(f"read {found} records, the plain loop {expected}: this is no fair comparison")
