"""A doctor for data sets: what is missing, broken or doubtful, before any time goes into training."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise
from pathlib import Path

from kgclip.data.annotation_files import frame_number, json_names
from kgclip.data.clip import PARTS_OF_A_DATA_SET, Clip
from kgclip.data.dataset import DataSet
from kgclip.data.tables import read_table
from kgclip.data.wording import count_of, examples_of, printable
from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.kg.inspect import Finding, Severity
from kgclip.progress import progress_bar
from kgclip.video.cut import Cut, VideoPath, file_of, seconds
from kgclip.video.decode import VideoInfo, probe
from kgclip.video.frames import MOST_PIXELS

# Annotation tools round, and count a film's length in other ways.
LONGEST_EXCESS_S = 0.5
_MOST_ASPECT, _MOST_FRAMES = 4, 100_000  # an hour
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def check_dataset(
    dataset: DataSet,
    *,
    decode: Callable[[VideoPath], VideoInfo] | None = probe,
    workers: int = 1,
    progress: bool = True,
) -> list[Finding]:
    """Look for what would fail or mislead later; errors come first, then warnings, then information.

    The words inside the annotations are not checked here: ``read_observations`` does that.

    Args:
        decode: opens one video and raises KgclipError if it is broken; None leaves the videos' content unchecked.
        workers: threads that decode.
    """
    present = [clip for clip in dataset.clips if file_of(clip.path).is_file()]
    found, broken = _decode_all(present, decode, workers, progress) if decode else ({}, [])
    findings = [
        *dataset.findings,
        *_missing(dataset),
        *_finding("error", "unreadable-video", broken, "that cannot be read as videos"),
        *_unreasonable(found),
        *_small_classes(dataset),
        *_duplicates(present),
        *_shared_sources(dataset),
        *_annotations(dataset, {clip: info.num_frames for clip, info in found.items()}),
        *_intervals(dataset, found),
        *_foreign_files(dataset),
    ]
    return sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))


def _finding(severity: Severity, rule: str, cases: Sequence[str], what: str, noun: str = "clip") -> Iterator[Finding]:
    if cases:
        yield Finding(severity, rule, f"{count_of(len(cases), noun)} {what}: {examples_of(cases)}", tuple(cases))


def _decode_all(
    clips: Sequence[Clip], decode: Callable[[VideoPath], VideoInfo], workers: int, progress: bool
) -> tuple[dict[str, VideoInfo], list[str]]:
    """What is known of each readable clip, and what is wrong with the others."""

    def attempt(clip: Clip) -> VideoInfo | KgclipError:
        try:
            return decode(clip.path)
        except KgclipError as error:
            return error

    found: dict[str, VideoInfo] = {}
    broken: list[str] = []
    bar = progress_bar("Opening videos", len(clips), "clips", show=progress)
    with ThreadPoolExecutor(max(1, workers)) as pool, bar as advance:
        for clip, result in zip(clips, pool.map(attempt, clips), strict=True):
            advance(1)
            if isinstance(result, KgclipError):
                broken.append(str(result))
            else:
                found[clip.id] = result
    return found, broken


def _unreasonable(infos: dict[str, VideoInfo]) -> Iterator[Finding]:
    """Clips that take much time or memory, or whose times cannot be those of a camera."""
    large = [
        f"{clip} ({info.width}x{info.height})" for clip, info in infos.items() if info.width * info.height > MOST_PIXELS
    ]
    yield from _finding("warning", "large-frames", large, "of frames above Full HD, scaled down as they are read")
    flat = [
        f"{clip} ({info.width}x{info.height})"
        for clip, info in infos.items()
        if max(info.width, info.height) > _MOST_ASPECT * min(info.width, info.height)
    ]
    yield from _finding("warning", "odd-aspect", flat, "of frames of which only a square in the middle is seen")
    long = [f"{clip} ({info.num_frames:,} frames)" for clip, info in infos.items() if info.num_frames > _MOST_FRAMES]
    yield from _finding("warning", "long-clip", long, "of more frames than a clip of one action has; cut them")
    rates = [f"{clip} ({info.fps:.3g} frames a second)" for clip, info in infos.items() if not 1 <= info.fps <= 1000]
    yield from _finding("warning", "odd-rate", rates, "whose times are those of no camera; write them again")


def _missing(dataset: DataSet) -> Iterator[Finding]:
    missing = [str(clip.path) for clip in dataset.clips if not file_of(clip.path).is_file()]
    yield from _finding("error", "missing-video", missing, "whose video is missing")
    # The lists that come with Kinetics-TPS name videos that may since have vanished from the web.
    for table in (dataset.root / "train_labels.csv", *sorted((dataset.root / "list").glob("video_*_flist.csv"))):
        if not table.is_file():
            continue
        names = {Path(row["video"]).name for row in read_table(table) if row.get("video")}
        # A list may give file names with or without extension, and names may have dots.
        absent = sorted(name for name in names if not {name, Path(name).stem} & dataset.ids_by_name.keys())
        yield from _finding("error", "missing-video", absent, f"listed in {table.name} without a video")
    unlabeled = [clip.id for clip in dataset.clips if clip.action is None]
    yield from _finding("info", "unlabeled-clip", unlabeled, "without an action label")


def _small_classes(dataset: DataSet) -> Iterator[Finding]:
    trainable = [clip for clip in dataset.clips if clip.part != "test"]
    counts = Counter(clip.action for clip in trainable)
    small = [action for action in dataset.actions if counts[action] < 2]
    yield from _finding("warning", "small-class", small, "with fewer than 2 clips to train and validate on", "class")
    sources = Counter(action for action, _ in {(clip.action, clip.source) for clip in trainable})
    single = [action for action in dataset.actions if counts[action] > 1 and sources[action] == 1]
    what = "cut from one source, so that none can be held out"
    yield from _finding("warning", "single-source", single, what, "class")


def _duplicates(clips: Sequence[Clip]) -> Iterator[Finding]:
    sizes = {file: file.stat().st_size for file in {file_of(clip.path) for clip in clips}}
    same_size = Counter(sizes.values())
    # Empty files are unreadable rather than copies of each other.
    digests = {file: digest(file) for file, size in sizes.items() if size and same_size[size] > 1}
    by_content: dict[tuple, list[Clip]] = defaultdict(list)
    for clip in clips:
        if content := digests.get(file_of(clip.path)):
            times = (clip.path.start_s, clip.path.end_s) if isinstance(clip.path, Cut) else ()
            by_content[content, *times].append(clip)
    across, alike = [], []
    for group in by_content.values():
        if len(group) > 1:
            kinds = {(clip.part, clip.action) for clip in group}
            (across if len(kinds) > 1 else alike).append(" = ".join(clip.id for clip in group))
    yield from _finding("error", "duplicate-content", across, "of equal files under several labels or parts", "group")
    yield from _finding("warning", "duplicate-content", alike, "of equal files", "group")


def _shared_sources(dataset: DataSet) -> Iterator[Finding]:
    sources = {part: {clip.source for clip in dataset.clips if clip.part == part} for part in PARTS_OF_A_DATA_SET}
    for one, other in combinations(PARTS_OF_A_DATA_SET, 2):
        shared = sorted(sources[one] & sources[other])
        yield from _finding("warning", "shared-source", shared, f"with clips in both {one} and {other}", "source")


def _annotations(dataset: DataSet, lengths: dict[str, int]) -> Iterator[Finding]:
    if dataset.annotations is None:
        return
    annotated: set[str] = set()
    strays: list[str] = []
    beyond: list[str] = []
    for clip, folder, place in dataset.annotated():
        if clip is None:
            strays.append(place)
            continue
        annotated.add(clip)
        last = max(map(frame_number, json_names(folder)))
        if last > lengths.get(clip, last):
            beyond.append(f"{clip} (frame {last} of {lengths[clip]})")
    # Test clips come without annotations, unless the data set has any of them.
    tested = (dataset.root / "test_annotations").is_dir()
    without = [clip.id for clip in dataset.clips if clip.id not in annotated and (clip.part != "test" or tested)]
    yield from _finding("error", "annotation-without-clip", strays, "without a clip", "annotation folder")
    yield from _finding("error", "frame-beyond-end", beyond, "annotated beyond the last frame")
    yield from _finding("warning", "clip-without-annotation", without, "without annotations")


def _intervals(dataset: DataSet, found: Mapping[str, VideoInfo]) -> Iterator[Finding]:
    """What is doubtful about clips that are cut by time."""
    cuts = [(clip.path, clip) for clip in dataset.clips if isinstance(clip.path, Cut)]
    cuts.sort(key=lambda pair: pair[0])
    beyond = [
        f"{clip.id} (its film ends after {seconds(cut.start_s + found[clip.id].duration_s)} s)"
        for cut, clip in cuts
        if clip.id in found and cut.end_s - cut.start_s - found[clip.id].duration_s > LONGEST_EXCESS_S
    ]
    both = [
        f"{one.id} and {other.id}"
        for (first, one), (second, other) in pairwise(cuts)
        if first.file == second.file and second.start_s < first.end_s and one.action != other.action
    ]
    yield from _finding("error", "interval-beyond-end", beyond, "cut beyond the end of the film")
    yield from _finding("warning", "overlapping-intervals", both, "of clips of two actions that share frames", "pair")


def _foreign_files(dataset: DataSet) -> Iterator[Finding]:
    folders = {dataset.root, *(file_of(clip.path).parent for clip in dataset.clips)}
    files = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
    foreign = [file for file in files if file.name.startswith(("._", "__MACOSX"))]
    names = sorted(printable(os.path.relpath(file, dataset.root)) for file in foreign)
    yield from _finding("info", "foreign-file", names, "that macOS puts into archives, which are passed over", "file")
