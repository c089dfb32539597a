"""Makes and renews an index of a folder of videos: what is known by its bytes is never read twice."""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kgclip.cluster import map_on_ray
from kgclip.copies import local_file
from kgclip.data.listing import library_at, videos_under
from kgclip.data.wording import printable
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, digest, read_json, write_json
from kgclip.locks import lock
from kgclip.progress import progress_bar
from kgclip.remains import clear_remains, remove_folder
from kgclip.remote import Stored
from kgclip.search.index import IndexedFile, SearchIndex, drop_others, write_index
from kgclip.search.rows import Reader, Reading, Rows, joined

IDENTITY_FILE = "identity.json"
# Readings are set aside after that time, so that a run that is broken off goes on from there.
SAVE_EVERY_S = 60.0
ReadFile = Callable[[Path], list[Reading]]
"""What reads the stretches of a clip, a function of a module or a partial of one; raises KgclipError."""


@dataclass(frozen=True)
class Indexed:
    """What a run did.

    Attributes:
        files, rows: in the index.
        read: clips that this run read; all others were known.
        gone: files that were in the index and are no longer in the folder, or have changed.
        faults: files that cannot be read, and why.
    """

    files: int
    rows: int
    read: int
    gone: int
    faults: dict[str, str]


def index_folder(
    reader: Reader, model: Path, library: Path, out: Path, *, on_ray: ReadFile | None = None, progress: bool = True
) -> Indexed:
    """Make an index, or renew the one that is there.

    Args:
        reader: of clips, with the model.
        model: the model's folder, which the index names.
        library: folder of videos, at any depth, here or at an address that `kgclip.remote` reads.
        out: folder of the index.
        on_ray: what reads a clip as ``reader`` does in the processes of a Ray cluster, if they are to read.

    Raises:
        KgclipError: the folder holds no video, none can be read, or the index is of another model or folder.
    """
    with library_at(library) as listed:
        found = _Library(_videos(listed.path), listed.address or library, listed.path)
        with lock(out):
            return _index(reader, model, found, out, on_ray, progress)


@dataclass(frozen=True)
class _Library:
    """Videos by their paths in the library, the place that the index names, and the folder that was looked at."""

    videos: list[Path]
    place: Path
    folder: Path


def _index(
    reader: Reader, model: Path, library: _Library, out: Path, on_ray: ReadFile | None, progress: bool
) -> Indexed:
    index = _earlier(out, reader, library.place)
    before = () if index is None else index.files
    found, faults = _found(library, before)
    work = _Work(out, reader, None if index is None else index.rows())
    found |= work.read({file: library.place / file.file for file, clip in found.items() if not clip}, on_ray, progress)
    faults |= work.faults
    whole = [replace(file, clip=clip) for file, clip in found.items() if clip in work.known]
    if not whole:
        first = next(iter(faults.values()))
        raise KgclipError(f"{library.place}: none of {len(library.videos)} videos can be read; the first: {first}")
    kept = set(whole)
    gone = len(set(before) - kept)
    rows = work.rows({file.clip for file in whole})
    places = (library.place.resolve(), model.resolve())
    if index is None or set(before) != kept or (index.library, index.model) != places:
        header = {"library": str(places[0]), "model": str(places[1])}
        header |= {"identity": reader.identity, "vocabulary": reader.vocabulary()}
        write_index(out, header, whole, rows)
    else:
        drop_others(index.content)
    work.done()
    return Indexed(len(whole), len(rows.vectors), work.num_read, gone, faults)


def _videos(library: Path) -> list[Path]:
    if not library.is_dir():
        raise KgclipError(f"{library}: is no folder; give the folder of videos that is to be indexed")
    found = [path.relative_to(library) for path in videos_under(library)]
    if not found:
        raise KgclipError(f"{library}: holds no video; give the folder of videos that is to be indexed")
    return found


def _earlier(out: Path, reader: Reader, library: Path) -> SearchIndex | None:
    """The index that is there, if it is of this model and this folder, which may have been moved."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    index = SearchIndex(out)
    index.check(reader.identity)
    is_there = isinstance(index.library, Stored) or index.library.is_dir()
    if index.library != library.resolve() and is_there:
        raise KgclipError(f"{out}: is the index of {index.library}, not of {library}; give another --out")
    return index


def _found(library: _Library, before: tuple[IndexedFile, ...]) -> tuple[dict[IndexedFile, str], dict[str, str]]:
    """The files with the SHA-256 of their bytes, which is "" where size or time have changed: they are to be read.

    Beside them, why files may not be looked at.
    """
    known = {(file.file, file.size, file.mtime_ns): file.clip for file in before}
    found, faults = {}, {}
    for video in library.videos:
        path = library.place / video
        try:
            # Names of other encodings are text that nothing can write.
            str(video).encode()
            state = (library.folder / video).stat()
            key = (video.as_posix(), state.st_size, state.st_mtime_ns)
            found[IndexedFile(*key, "")] = known.get(key, "")
        except OSError as error:
            faults[str(path)] = f"{path}: cannot be read ({error.strerror}); check its rights"
        except UnicodeEncodeError:
            faults[printable(path)] = f"{printable(path)}: has a name that is not UTF-8; rename the file or folder"
    return found, faults


def _look(path: Path, read: ReadFile, known: Container[str]) -> tuple[str, list[Reading] | KgclipError]:
    """The SHA-256 of a file's bytes, and what is read of it: nothing where they are known."""
    clip = ""
    try:
        with local_file(path) as file:
            clip = digest(file)
        return clip, [] if clip in known else read(path)
    except KgclipError as error:
        return clip, error


class _Work:
    """The readings at hand: of the index as it was, of runs that were broken off, and of this one."""

    def __init__(self, out: Path, reader: Reader, before: Rows | None):
        self.num_read, self.faults = 0, dict[str, str]()
        self._reader = reader
        self._folder = out.with_name(f".{out.name}.kgclip-part")
        clear_remains(out.parent, self._folder.name)
        clear_remains(self._folder)
        self._parts = ([] if before is None else [before]) + self._continued(reader.identity)
        self.known = {clip for part in self._parts for clip in part.places.clips}

    def _continued(self, identity: dict[str, Any]) -> list[Rows]:
        """What a run that was broken off has set aside."""
        file = self._folder / IDENTITY_FILE
        if not file.is_file():
            remove_folder(self._folder)  # whatever is left of it
            return []
        if read_json(file) != identity:
            raise KgclipError(f"{self._folder}: is of a run with another model that was broken off; remove it")
        folders = [folder for folder in self._folder.iterdir() if folder.name.isdecimal()]
        return [Rows.load(folder) for folder in sorted(folders, key=lambda folder: int(folder.name))]

    def read(self, paths: dict[IndexedFile, Path], on_ray: ReadFile | None, progress: bool) -> dict[IndexedFile, str]:
        """Read the files whose bytes are not known, and give the SHA-256 of all; ``faults`` has what is wrong."""
        clips: dict[IndexedFile, str] = {}
        fresh: dict[str, list[Reading]] = {}
        saved = time.monotonic()
        look = partial(_look, read=on_ray or self._reader.read, known=self.known)
        looks = (
            map(look, paths.values())
            if on_ray is None
            else map_on_ray(look, [path.absolute() for path in paths.values()], place="--engine ray")
        )
        try:
            with progress_bar("reading clips", len(paths), "clips", show=progress) as advance:
                for (file, path), seen in zip(paths.items(), looks, strict=True):
                    clips[file], result = ("", seen) if isinstance(seen, KgclipError) else seen
                    if isinstance(result, KgclipError):
                        self.faults[str(path)] = str(result)
                    elif clips[file] not in self.known:
                        fresh[clips[file]] = result
                        self.known.add(clips[file])
                    if time.monotonic() - saved > SAVE_EVERY_S:
                        self._set_aside(fresh)
                        saved = time.monotonic()
                    advance(1)
        finally:
            self._set_aside(fresh)
        return clips

    def _set_aside(self, fresh: dict[str, list[Reading]]) -> None:
        """Write down what was read."""
        if not fresh:
            return
        if self.num_read and not (self._folder / IDENTITY_FILE).is_file():
            # Saved alone, what is read from here on would come before what was lost.
            raise KgclipError(f"{self._folder}: was removed or moved while it was written; run it again")
        self._folder.mkdir(exist_ok=True, parents=True)
        if not (self._folder / IDENTITY_FILE).is_file():
            write_json(self._folder / IDENTITY_FILE, self._reader.identity)
        rows = Rows.of([(clip, reading) for clip, readings in fresh.items() for reading in readings])
        number = len([folder for folder in self._folder.iterdir() if folder.name.isdecimal()]) + 1
        with atomic_folder(self._folder / str(number)) as temporary:
            rows.save(temporary)
        self._parts.append(rows)
        self.num_read += len(fresh)
        fresh.clear()

    def rows(self, clips: set[str]) -> Rows:
        """The rows of these clips; those of the index as it was keep their ids."""
        return joined([part.only(clips) for part in self._parts])

    def done(self) -> None:
        """Remove what was set aside, in one step."""
        remove_folder(self._folder)
