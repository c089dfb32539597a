"""Reads the part annotations of a data set: one JSON file per frame, 575,000 of them in Kinetics-TPS."""

import logging
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from kgclip.data.annotation_files import foreign_format, json_names
from kgclip.data.dataset import DataSet
from kgclip.data.frame_annotations import AllowedWords, FrameColumns, Problems, read_folders
from kgclip.data.observation_cache import ObservationCache
from kgclip.data.wording import count_of
from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from kgclip.kg.observations import Observations
from kgclip.parallel import map_in_workers
from kgclip.progress import progress_bar

logger = logging.getLogger(__name__)

# Kinetics-TPS has about 150 frames a clip, so that a task is about 5,000 files: 0.1 s.
_FOLDERS_PER_TASK = 32
# Starting worker processes takes longer than reading this many folders.
_FEW_FOLDERS = 256
_MAX_PROBLEMS_SHOWN = 12


def read_observations(
    dataset: DataSet, *, keep_going: bool = False, workers: int = 1, cache: bool = True, progress: bool = True
) -> Observations:
    """Read every part annotation of a data set; docs/data.md describes the format.

    Args:
        keep_going: leave broken records out with a warning instead of raising.
        workers: number of processes that read.
        cache: take the result from an earlier call while no annotation file changes, and keep it for the next.

    Raises:
        KgclipError: there is no annotation, or there are unknown words, broken files or unknown clips; the message
            counts each kind of problem and gives three examples.
    """
    where = " and ".join(map(str, dataset.annotation_folders or [dataset.root]))
    folders, problems = _find_folders(dataset)
    if not folders and not problems.counts:
        raise KgclipError(
            f"{where}: holds no frame annotation{_other_files(dataset)}; expected [<class>/]<clip>/img_00001.json"
        )
    store = ObservationCache(dataset, folders) if cache else None
    observations = store.find(workers) if store else None
    if observations is None:
        of_files = Problems()
        fingerprints, tables = [], [_tables([], FrameColumns())]
        for clips, columns in _read(dataset, folders, workers, progress):
            tables.append(_tables(clips, columns))
            fingerprints += columns.fingerprints
            of_files.merge(columns.problems)
        observations = Observations(*(pl.concat(pieces) for pieces in zip(*tables, strict=True)))
        if store and not of_files.counts:
            store.store(observations, fingerprints)
        problems.merge(of_files)
    if problems.counts:
        sentence = f"{where}: {_listing(problems)}"
        if not keep_going or observations.frames.is_empty():
            raise KgclipError(f"{sentence}; correct them, or leave these records out with --keep-going")
        logger.warning("%s; these records are left out", sentence)
    return observations


def without_movements(observations: Observations) -> str | None:
    """Why annotations hold no movement, None if they hold one."""
    parts = observations.parts
    if parts.is_empty():
        return f"their {count_of(len(observations.frames), 'annotated frame')} without any body part"
    with_object = (pl.col("state") == "others") & pl.col("object").is_not_null()
    if parts.filter(~pl.col("state").is_in(["none", "others"]) | with_object).is_empty():
        return f"their {count_of(len(parts), 'state')} all 'none' or 'others', which are no movements"
    return None


def _find_folders(dataset: DataSet) -> tuple[dict[str, str], Problems]:
    """The annotation folder of each clip, in the order of the clips' ids."""
    folders: dict[str, str] = {}
    problems = Problems()
    for clip, folder, place in dataset.annotated():
        if clip is None:
            name = min(json_names(folder))
            if layout := foreign_format(Path(folder, name)):
                problems.add(f"a file in the format of {layout}", f"{place}/{name}")
            else:
                problems.add("annotations of a clip that the data set lacks", place)
        elif folders.setdefault(clip, folder) != folder:
            problems.add("a second folder of annotations for one clip", place)
    return dict(sorted(folders.items())), problems


def _other_files(dataset: DataSet) -> str:
    """What lies in place of frame annotations, where that is known."""
    for folder in dataset.annotation_folders:
        for file in sorted(folder.glob("*.xml")):
            if layout := foreign_format(file):
                return f", but {file.name} in the format of {layout}"
    return ""


def _read(
    dataset: DataSet, folders: dict[str, str], workers: int, progress: bool
) -> Iterator[tuple[list[str], FrameColumns]]:
    """A few clips at a time with what is in their folders."""
    root = str(dataset.annotation_folders[0].parent)
    read = partial(read_folders, root=root, allowed=_allowed_words(dataset))
    clips = list(folders)
    pieces = [clips[start : start + _FOLDERS_PER_TASK] for start in range(0, len(clips), _FOLDERS_PER_TASK)]
    tasks = [[folders[clip] for clip in piece] for piece in pieces]
    results = map_in_workers(read, tasks, workers if len(folders) > _FEW_FOLDERS else 1, place=root)
    with progress_bar("Reading annotations", len(folders), "clips", show=progress) as advance:
        for piece, columns in zip(pieces, results, strict=True):
            yield piece, columns
            advance(len(piece))


def _allowed_words(dataset: DataSet) -> AllowedWords:
    words = dataset.vocabulary
    if words is None:
        return AllowedWords(frozenset(PARTS))
    return AllowedWords(frozenset(words.parts), frozenset(words.states), frozenset((*words.objects, "none")))


def _tables(clips: Sequence[str], columns: FrameColumns) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of parts and of frames; a row holds the number of each of its names."""
    frames = pl.DataFrame({"clip": _words(clips, columns.folder), "frame": _numbers(columns.frame)})
    parts, states, objects = zip(*columns.triples, strict=True) if columns.triples else ((), (), ())
    frame_of_record = np.repeat(np.arange(len(frames)), columns.records_per_frame)
    rows = frames[frame_of_record].with_columns(
        human=_numbers(columns.human).cast(pl.Int16),
        part=_words(parts, columns.record),
        state=_words(states, columns.record),
        object=_words(objects, columns.record),
    )
    return rows, frames


def _numbers(column: array) -> pl.Series:
    return pl.Series(np.array(column, dtype=np.int32))


def _words(words: Sequence[str | None], column: array) -> pl.Series:
    return pl.Series(words, dtype=pl.Categorical).gather(_numbers(column))


def _listing(problems: Problems) -> str:
    """``3 times unknown state 'fly' (a, b, c), 1 time malformed JSON (d)``, the most frequent first."""
    kinds = sorted(problems.counts.items(), key=lambda item: (-item[1], item[0]))
    items = [
        f"{count_of(count, 'time')} {kind} ({', '.join(problems.examples[kind])})"
        for kind, count in kinds[:_MAX_PROBLEMS_SHOWN]
    ]
    if len(kinds) > len(items):
        items.append(f"and {len(kinds) - len(items)} more kinds of problem")
    return ", ".join(items)
