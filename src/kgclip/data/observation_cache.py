"""Keeps what was read from a tree of annotations, until a file in it is added, removed or changed."""

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
_READER_VERSION = 1


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
        self._homes = (dataset.root / ".kgclip", _user_cache())

    def find(self, fingerprints: Callable[[Sequence[str]], Iterable[str]]) -> Observations | None:
        """Read what was kept, or return None if there is nothing or the annotations have changed since.

        Args:
            fingerprints: gives those of folders (:func:`kgclip.data.annotation_files.fingerprint`).
        """
        kept = [path for home in self._homes for path in home.glob(f"{self._prefix}*.parquet")]
        if not kept:  # asking the system for the state of half a million files takes seconds
            return None
        name = self._name(fingerprints(list(self._folders.values())))
        for path in kept:
            if path.name == name:
                try:
                    return Observations.load(path)
                except KgclipError as error:
                    logger.warning("%s; the annotations are read again", error)
        return None

    def store(self, observations: Observations, fingerprints: Iterable[str]) -> None:
        """Keep what was read from files with these fingerprints, one per folder, in place of anything older."""
        name = self._name(fingerprints)
        for home in self._homes:
            try:
                if not _may_write(home):
                    continue
                observations.save(home / name)
                for path in home.glob(f"{self._prefix}*.parquet"):
                    if path.name != name:
                        path.unlink(missing_ok=True)
            except OSError as error:
                logger.info("%s: the annotations that were read cannot be kept here (%s)", home, error)
            else:
                return

    def _name(self, fingerprints: Iterable[str]) -> str:
        content = [_READER_VERSION, self._vocabulary, list(zip(self._folders, fingerprints, strict=True))]
        return f"{self._prefix}{_digest(content)}.parquet"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _user_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kgclip"


def _may_write(home: Path) -> bool:
    """Whether the nearest existing folder may be written; an administrator respects its mode bits too."""
    existing = home
    while not existing.exists():
        existing = existing.parent
    return bool(existing.stat().st_mode & 0o222) and os.access(existing, os.W_OK)
