"""How well actions are found in long films, against a sliding argmax and against a model without the graph.

    python -m experiments.localization --work WORK --out docs/generated/localization.md

A film joins test clips of actions that the model knows, each once and in any order, with gaps between them: test clips
of actions that it was never shown. Which actions these are is drawn by the seed; both models are trained on the others.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

from experiments.data import open_data
from experiments.detection import Stretch, matches_at, mean_average_precision
from experiments.hold_out import draw_novel
from experiments.protocol import DataSpec
from experiments.tables import table
from kgclip.compare import mean_and_interval
from kgclip.config import ModelConfig, TrainConfig, without_graph
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.splits import Split, SplitOptions, make_split
from kgclip.data.wording import count_of
from kgclip.engine.film_pose import PosedFrame
from kgclip.engine.predict import Recognizer
from kgclip.engine.spans import SpanFinder, SpanRule
from kgclip.engine.train import train
from kgclip.engine.watch import Watcher, WatchOptions
from kgclip.engine.windows import FilmWindow, FilmWindows, WindowContent
from kgclip.files import atomic_path
from kgclip.video.decode import open_video
from kgclip.video.encode import writing_frames
from kgclip.video.stream import read_film

# A quarter of the actions is never shown to the model.
GAP_ACTIONS = 0.25
OVERLAPS = (0.3, 0.5, 0.7)
# Every window is given its first action: no threshold, no gaps closed, nothing dropped.
ARGMAX = SpanRule(enter=0.0, leave=0.0, merge_s=-1.0, least_s=0.0)
WATCHED, LOWER, BASELINE = "`kgclip watch`", "`kgclip watch --enter 0.25`", "sliding argmax, CLIP only"
SPEED = "speed"
SPEED_DIGITS = {"frames a second": 0, "frames a processor second": 0, "times": 1}
# Way of finding → whether by the model with the graph, and from which probability on: None from its threshold of
# "unknown", 0 a sliding argmax.
WAYS: dict[str, tuple[bool, float | None]] = {
    WATCHED: (True, None),
    LOWER: (True, 0.25),
    "sliding argmax, KG-CLIP": (True, 0.0),
    "hysteresis, CLIP only": (False, None),
    "hysteresis from 0.25 on, CLIP only": (False, 0.25),
    BASELINE: (False, 0.0),
}
_STREAM = 11
"""Of random numbers, of its own."""


@dataclass(frozen=True)
class Command:
    """Measure how well actions are found in films that are joined from test clips."""

    out: Path
    """file to write"""
    work: Path = Path("work")
    """folder for figures and features, which are made once"""
    data: Path | None = None
    """a data set with part annotations and a test part; default: synthetic figures"""
    backbone: str = "synthetic"
    """what encodes frames"""
    seeds: int = 5
    """films; the seed draws the actions that the models do not know, the clips and their order"""
    clips_per_action: int = 2
    """clips of each known action in a film"""
    threads: int = 2
    """of torch"""


@dataclass(frozen=True)
class Film:
    """A film and the truth about it."""

    path: Path
    actions: tuple[Stretch, ...]
    num_frames: int
    duration_s: float


def make_film(path: Path, clips: list[Clip], known: set[str]) -> Film:
    """Join clips, each in its own frame rate; those of known actions are what is to be found."""
    at_s, count, actions = 0.0, 0, []
    with writing_frames(path, 25.0) as writer:
        for clip in clips:
            with open_video(clip.path) as video:
                indices = np.arange(video.num_frames)
                for image, time_s in zip(video.read(indices), video.times_s(indices), strict=True):
                    writer.write(image, at_s + float(time_s))
                if clip.action in known:
                    actions.append(Stretch(str(clip.action), at_s, at_s + video.duration_s))
                at_s, count = at_s + video.duration_s, count + video.num_frames
    return Film(path, tuple(actions), count, at_s)


def draw_clips(dataset: DataSet, split: Split, gap: tuple[str, ...], each: int, seed: int) -> list[Clip]:
    """Test clips of known actions in a drawn order, each after a clip of an action that the model does not know."""
    rng = np.random.default_rng([seed, _STREAM])
    test = [dataset.by_id[clip] for clip in split.test]
    test = [test[i] for i in rng.permutation(len(test))]
    others = [clip for clip in test if clip.action in gap]
    shown = [
        clip
        for action in sorted({str(clip.action) for clip in test} - set(gap))
        for clip in [clip for clip in test if clip.action == action][:each]
    ]
    shown = [shown[i] for i in rng.permutation(len(shown))]
    return [clip for i, mine in enumerate(shown) for clip in (others[i % len(others)], mine)]


def read_windows(recognizer: Recognizer, film: Film) -> list[FilmWindow]:
    """The windows of a film, which all ways of finding share."""
    plan = Watcher(recognizer).plan
    frames = (PosedFrame(frame.image, frame.time_s) for frame in read_film(film.path, plan.rate))
    return list(FilmWindows(recognizer, plan, None, None, lambda frame: None).of(frames))


def find(recognizer: Recognizer, windows: list[FilmWindow], rule: SpanRule) -> list[Stretch]:
    """What a rule makes of the windows of a film."""
    finder = SpanFinder[WindowContent](rule)
    spans = [*(span for window in windows for span in finder.add(window)), *finder.close()]
    names = recognizer.checkpoint.actions
    return [Stretch(names[span.action], span.start_s, span.end_s, span.probability) for span in spans]


def speed(recognizer: Recognizer, film: Film) -> dict[str, float]:
    """How fast a film is watched: decoding, encoding, windows, and the explanation of each span."""
    watcher, started, busy = Watcher(recognizer, name=film.path.name), time.monotonic(), time.process_time()
    frames = (PosedFrame(frame.image, frame.time_s) for frame in read_film(film.path, watcher.plan.rate))
    for _ in watcher.spans(frames):
        pass
    wall_s, busy_s = time.monotonic() - started, time.process_time() - busy
    return {
        "frames a second": film.num_frames / wall_s,
        "frames a processor second": film.num_frames / busy_s,
        "times": film.duration_s / wall_s,
    }


def measure_seed(command: Command, seed: int, scratch: Path) -> dict[str, dict[str, float]]:
    """The figures of one film by way of finding."""
    data = open_data(DataSpec("films", command.data, backbone=command.backbone), 0, command.work)
    dataset = open_dataset(data.root)
    gap = draw_novel(tuple(dataset.actions), GAP_ACTIONS, seed)
    split = make_split(dataset, SplitOptions(seed=seed), validate=False)
    shown = {clip.id for clip in dataset.clips if clip.action not in gap}
    trained, labeled = (tuple(clip for clip in part if clip in shown) for part in (split.train, split.labelled))
    file = scratch / "split.json"
    Split(trained, (), split.test, labeled).save(file)
    config = TrainConfig(
        data=data.root,
        out=scratch / "kg",
        features=data.features,
        seed=seed,
        workers=1,
        device="cpu",
        model=ModelConfig(command.backbone),
        split=SplitOptions(file=file, seed=seed),
    )
    known = {str(dataset.by_id[clip].action) for clip in labeled}
    film = make_film(scratch / "film.mp4", draw_clips(dataset, split, gap, command.clips_per_action, seed), known)
    results: dict[str, dict[str, float]] = {}
    for graph, run in ((True, config), (False, without_graph(replace(config, out=scratch / "plain")))):
        train(run, show_progress=False)
        recognizer = Recognizer.from_pretrained(run.out)
        windows = read_windows(recognizer, film)
        for way, (with_graph, enter) in WAYS.items():
            if with_graph == graph:
                rule = ARGMAX if enter == 0 else Watcher(recognizer, WatchOptions(enter=enter)).rule
                results[way] = measure(film, find(recognizer, windows, rule))
        if graph:
            results[SPEED] = speed(recognizer, film)
    return results


def measure(film: Film, found: list[Stretch]) -> dict[str, float]:
    """The figures of what was found in a film."""
    matches = matches_at(found, film.actions, 0.5)
    return {f"mAP at {least}": mean_average_precision(found, film.actions, least) for least in OVERLAPS} | {
        "F1 at 0.5": matches.f1,
        "boundary error, s": matches.boundary_error_s,
        "found": matches.recall,
        "spans a true one": len(found) / len(film.actions),
    }


def page(command: Command, results: list[dict[str, dict[str, float]]]) -> str:
    """The figures as a table in Markdown."""

    def values(way: str, key: str) -> list[float]:
        return [seed[way][key] for seed in results]

    def text(numbers: list[float], digits: int = 3, sign: str = "") -> str:
        mean, half = mean_and_interval(numbers)
        return f"{mean:{sign}.{digits}f} ± {half:.{digits}f}"

    shown = list(results[0][WATCHED])
    rows = [[way, *(text(values(way, key)) for key in shown)] for way in WAYS]
    for way in (WATCHED, LOWER):
        pairs = [[a - b for a, b in zip(values(way, key), values(BASELINE, key), strict=True)] for key in shown]
        rows.append([f"{way} minus {BASELINE}", *(text(pair, sign="+") for pair in pairs)])
    numbers = [text(values(SPEED, key), digits) for key, digits in SPEED_DIGITS.items()]
    where = "synthetic figures" if command.data is None else command.data.name
    return (
        f"Films joined from test clips, {len(results)} of them, each with models of its own: "
        f"{command.clips_per_action} clips of each action that the model knows, in drawn order, and before each a clip "
        "of an action that it was never shown (a quarter of the actions, drawn). Mean ± 95 % interval over films.\n\n"
        "A sliding argmax gives every window its first action; windows are the same for all. mAP ranks spans by "
        "probability and asks little of the last ones; F1 counts every false span. *Boundary error* (mean distance of "
        "starts and ends) and *found* (share of the true spans) are of spans that overlap a true one of their action "
        "by half at least.\n\n"
        f"{table(('', *shown), rows)}\n\n"
        f"Speed of {WATCHED}, decoding and explanations included, with {count_of(command.threads, 'thread')}: "
        f"{numbers[0]} frames of the film a second, {numbers[2]} times as fast as it plays; {numbers[1]} frames "
        "a second of processor time.\n\n"
        f"Data: {where}, backbone {command.backbone}; `python -m experiments.localization`.\n"
    )


def main(argv: list[str]) -> int:
    """Run the command."""
    command = tyro.cli(Command, args=argv)
    torch.set_num_threads(command.threads)
    results = []
    for seed in range(command.seeds):
        with tempfile.TemporaryDirectory(prefix="kgclip-films-") as scratch:
            results.append(measure_seed(command, seed, Path(scratch)))
        print(f"seed {seed}: {results[-1]}", file=sys.stderr, flush=True)
    text = page(command, results)
    with atomic_path(command.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
