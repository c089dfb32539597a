"""Stores what was read from a tree of annotations, until a file in it is added, removed or changed."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from kgclip.data.annotation_files import fingerprint
from kgclip.data.dataset import DataSet
from kgclip.errors import KgclipError
from kgclip.kg.observations import Observations
from kgclip.parallel import map_in_workers
from kgclip.remains import clear_remains

logger = logging.getLogger(__name__)

# Raise it when the reader makes something else of the same files.
_READER_VERSION = 2
# Starting worker processes takes longer than asking for the state of the files in this many folders.
_FEW_FOLDERS = 1024


class ObservationCache:
    """The Parquet file ``observations-<data set>-<content>.parquet`` of one data set in the user's cache folder.

    The content's key covers the clip, name, size and time of change of every annotation file, and the vocabulary.
    Where the folder cannot be written, nothing is kept.

    Args:
        dataset: the data set.
        folders: the annotation folder of each clip.
    """

    def __init__(self, dataset: DataSet, folders: dict[str, str]) -> None:
        self._dataset, self._folders = dataset, folders
        self._home = user_cache()
        self._prefix = f"observations-{_digest([str(folder.resolve()) for folder in dataset.annotation_folders])}-"

    def find(self, workers: int) -> Observations | None:
        """Read what was stored, or return None if there is nothing or the annotations have changed since."""
        if not any(self._home.glob(f"{self._prefix}*.parquet")):
            return None  # asking the system for the state of half a million files takes seconds
        folders = list(self._folders.values())
        workers = 1 if len(folders) <= _FEW_FOLDERS else workers
        path = self._path(map_in_workers(fingerprint, folders, workers, place=str(self._dataset.root), chunk=32))
        try:
            return Observations.load(path) if path.is_file() else None
        except KgclipError as error:
            logger.warning("%s; the annotations are read again", error)
            return None

    def store(self, observations: Observations, fingerprints: Iterable[str]) -> None:
        """Store what was read from files with these fingerprints, one per folder, in place of anything older."""
        path = self._path(fingerprints)
        try:
            clear_remains(self._home)
            observations.save(path)
            for older in set(self._home.glob(f"{self._prefix}*.parquet")) - {path}:
                older.unlink(missing_ok=True)
        except (OSError, KgclipError) as error:
            logger.info("%s: the annotations that were read cannot be stored here (%s)", self._home, error)

    def _path(self, fingerprints: Iterable[str]) -> Path:
        vocabulary = None if self._dataset.vocabulary is None else asdict(self._dataset.vocabulary)
        content = [_READER_VERSION, vocabulary, list(zip(self._folders, fingerprints, strict=True))]
        return self._home / f"{self._prefix}{_digest(content)}.parquet"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def user_cache() -> Path:
    """The folder for what can be made again: ``$XDG_CACHE_HOME/kgclip``, or ``~/.cache/kgclip``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kgclip"
