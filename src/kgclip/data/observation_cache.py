"""Stores what was read from a tree of annotations, until a file in it is added, removed or changed."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from kgclip.data.dataset import DataSet
from kgclip.errors import KgclipError
from kgclip.kg.observations import Observations

logger = logging.getLogger(__name__)

# Raise it when the reader makes something else of the same files.
_READER_VERSION = 2


class ObservationCache:
    """The Parquet file ``observations-<data set>-<content>.parquet`` of one data set.

    The content's key covers the clip, name, size and time of change of every annotation file, and the vocabulary. The
    file lies in ``<root>/.kgclip``, or in ``$XDG_CACHE_HOME/kgclip`` (``~/.cache/kgclip``) where the root cannot be
    written; where neither can, nothing is kept.

    Args:
        dataset: the data set.
        folders: the annotation folder of each clip.
    """

    def __init__(self, dataset: DataSet, folders: Mapping[str, str]) -> None:
        self._folders = folders
        self._vocabulary = None if dataset.vocabulary is None else asdict(dataset.vocabulary)
        places = [str(folder.resolve()) for folder in dataset.annotation_folders]
        self._prefix = f"observations-{_digest(places)}-"
        self._home = user_cache()

    def find(self, fingerprints: Callable[[Sequence[str]], Iterable[str]]) -> Observations | None:
        """Read what was stored, or return None if there is nothing or the annotations have changed since.

        Args:
            fingerprints: gives those of folders (:func:`kgclip.data.annotation_files.fingerprint`).
        """
        if not any(self._home.glob(f"{self._prefix}*.parquet")):
            return None  # asking the system for the state of half a million files takes seconds
        path = self._home / self._name(fingerprints(list(self._folders.values())))
        if not path.is_file():
            return None
        try:
            return Observations.load(path)
        except KgclipError as error:
            logger.warning("%s; the annotations are read again", error)
            return None

    def store(self, observations: Observations, fingerprints: Iterable[str]) -> None:
        """Store what was read from files with these fingerprints, one per folder, in place of anything older."""
        name = self._name(fingerprints)
        try:
            observations.save(self._home / name)
            for path in self._home.glob(f"{self._prefix}*.parquet"):
                if path.name != name:
                    path.unlink(missing_ok=True)
        except OSError as error:
            logger.info("%s: the annotations that were read cannot be stored here (%s)", self._home, error)

    def _name(self, fingerprints: Iterable[str]) -> str:
        content = [_READER_VERSION, self._vocabulary, list(zip(self._folders, fingerprints, strict=True))]
        return f"{self._prefix}{_digest(content)}.parquet"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def user_cache() -> Path:
    """The folder for what can be made again: ``$XDG_CACHE_HOME/kgclip``, or ``~/.cache/kgclip``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kgclip"
