"""Reads the part annotations of a data set: one JSON file per frame, 575,000 of them in Kinetics-TPS."""

import logging
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int32

from kgclip.data.annotation_files import clip_folders, fingerprint, foreign_format, json_names
from kgclip.data.dataset import DataSet
from kgclip.data.frame_annotations import AllowedWords, FrameColumns, Problems, read_folders
from kgclip.data.observation_cache import ObservationCache
from kgclip.data.wording import count_of, printable
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
# And longer than asking for the state of the files in this many.
_FEW_TO_STAT = 1024
_MAX_PROBLEMS_SHOWN = 12


def read_observations(
    dataset: DataSet, *, keep_going: bool = False, workers: int = 1, cache: bool = True, progress: bool = True
) -> Observations:
    """Read every part annotation of a data set; docs/data.md describes the format.

    Args:
        dataset: a data set with annotations.
        keep_going: leave broken records out with a warning instead of raising.
        workers: number of processes that read.
        cache: take the result from an earlier call while no annotation file changes, and keep it for the next.
        progress: show a progress bar on stderr, if that is a terminal.

    Raises:
        KgclipError: there is no annotation, or there are unknown words, broken files or unknown clips; the message
            counts each kind of problem and gives three examples.
    """
    where = " and ".join(str(folder) for folder in dataset.annotation_folders) or str(dataset.root)
    folders, problems = _find_folders(dataset)
    if not folders and not problems.counts:
        raise KgclipError(
            f"{where}: holds no frame annotation{_other_files(dataset)}; expected [<class>/]<clip>/img_00001.json"
        )
    store = ObservationCache(dataset, folders) if cache else None
    observations = store.find(lambda places: _fingerprints(dataset, places, workers)) if store else None
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
    for root in dataset.annotation_folders:
        for _, folder in clip_folders(root):
            place = printable(os.path.relpath(folder, root.parent))
            clip = dataset.clip_of_folder(os.path.relpath(folder, root))
            if clip is None:
                problems.add(*_stray_folder(folder, place))
            elif folders.setdefault(clip, folder) != folder:
                problems.add("a second folder of annotations for one clip", place)
    return {clip: folders[clip] for clip in sorted(folders)}, problems


def _stray_folder(folder: str, place: str) -> tuple[str, str]:
    """What is wrong with a folder of JSON files that is no clip's, and where."""
    name = min(json_names(folder)[0])
    layout = foreign_format(Path(folder, name))
    if layout:
        return f"a file in the format of {layout}", f"{place}/{name}"
    return "annotations of a clip that the data set lacks", place


def _other_files(dataset: DataSet) -> str:
    """What lies in place of frame annotations, where that is known."""
    for folder in dataset.annotation_folders:
        for file in sorted(folder.glob("*.xml")):
            if layout := foreign_format(file):
                return f", but {file.name} in the format of {layout}"
    return ""


def _read(
    dataset: DataSet, folders: Mapping[str, str], workers: int, progress: bool
) -> Iterator[tuple[list[str], FrameColumns]]:
    """A few clips at a time with what is in their folders."""
    root = _common_root(dataset)
    read = partial(read_folders, root=root, allowed=_allowed_words(dataset))
    clips, tasks = _pieces(list(folders)), _pieces(list(folders.values()))
    results = map_in_workers(read, tasks, workers if len(folders) > _FEW_FOLDERS else 1, place=root)
    with progress_bar("Reading annotations", len(folders), "clips", show=progress) as advance:
        for names, columns in zip(clips, results, strict=True):
            yield names, columns
            advance(len(names))


def _pieces(items: list[str]) -> list[list[str]]:
    return [items[start : start + _FOLDERS_PER_TASK] for start in range(0, len(items), _FOLDERS_PER_TASK)]


def _fingerprints(dataset: DataSet, folders: Sequence[str], workers: int) -> Iterator[str]:
    workers = 1 if len(folders) <= _FEW_TO_STAT else workers
    return map_in_workers(fingerprint, folders, workers, place=_common_root(dataset), chunk=_FOLDERS_PER_TASK)


def _common_root(dataset: DataSet) -> str:
    return os.path.commonpath([str(folder.parent) for folder in dataset.annotation_folders])


def _allowed_words(dataset: DataSet) -> AllowedWords:
    vocabulary = dataset.vocabulary
    if vocabulary is None:
        return AllowedWords(frozenset(PARTS), None, None)
    return AllowedWords(frozenset(vocabulary.parts), frozenset(vocabulary.states), frozenset(vocabulary.objects))


def _tables(clips: Sequence[str], columns: FrameColumns) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn counts and positions into the rows of parts and of frames; a row holds the number of each of its names."""
    clip_of_frame = _owners(_array(columns.frames_per_folder))
    humans_per_frame = _array(columns.humans_per_frame)
    frame_of_human = _owners(humans_per_frame)
    # A human's number in its frame is its number overall minus that of the frame's first human.
    first_human = np.cumsum(humans_per_frame, dtype=np.int32) - humans_per_frame
    human = np.arange(len(frame_of_human), dtype=np.int32) - first_human[frame_of_human]
    human_of_record = _owners(_array(columns.records_per_human))
    frame_of_record = frame_of_human[human_of_record]
    frame, clip = _array(columns.frame), _words(clips, clip_of_frame)
    parts, states, objects = zip(*columns.triples, strict=True) if columns.triples else ((), (), ())
    record = _array(columns.record)
    rows = {
        "clip": clip.gather(pl.Series(frame_of_record)),
        "frame": frame[frame_of_record],
        "human": human[human_of_record].astype(np.int16),
        "part": _words(parts, record),
        "state": _words(states, record),
        "object": _words(objects, record),
    }
    return pl.DataFrame(rows), pl.DataFrame({"clip": clip, "frame": frame})


def _array(numbers: array) -> Int32[np.ndarray, " N"]:
    return np.array(numbers, dtype=np.int32)


def _owners(counts: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " M"]:
    """For counts 2, 0, 1: owners 0, 0, 2."""
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _words(words: Sequence[str | None], indices: Int32[np.ndarray, " N"]) -> pl.Series:
    return pl.Series(words, dtype=pl.Categorical).gather(pl.Series(indices))


def _listing(problems: Problems) -> str:
    """``3 times unknown state 'fly' (a, b, c), 1 time malformed JSON (d)``, the most frequent first."""
    kinds: Mapping[str, int] = problems.counts
    shown = sorted(kinds, key=lambda kind: (-kinds[kind], kind))[:_MAX_PROBLEMS_SHOWN]
    items = [f"{count_of(kinds[kind], 'time')} {kind} ({', '.join(problems.examples[kind])})" for kind in shown]
    if len(kinds) > len(shown):
        items.append(f"and {len(kinds) - len(shown)} more kinds of problem")
    return ", ".join(items)
