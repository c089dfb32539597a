"""Makes and renews an index of a folder of videos: what is known by its bytes is never read twice."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.data.clip import is_foreign, is_video
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, digest, read_json, write_json
from kgclip.locks import lock
from kgclip.progress import progress_bar
from kgclip.remains import clear_remains, remove_folder
from kgclip.search.index import IndexedFile, SearchIndex, drop_others, write_index
from kgclip.search.rows import Reader, Reading, Rows, joined

IDENTITY_FILE = "identity.json"
# Readings are set aside after that time, so that a run that is broken off goes on from there.
SAVE_EVERY_S = 60.0


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


def index_folder(reader: Reader, model: Path, library: Path, out: Path, *, progress: bool = True) -> Indexed:
    """Make an index, or renew the one that is there.

    Args:
        reader: of clips, with the model.
        model: the model's folder, which the index names.
        library: folder of videos, at any depth.
        out: folder of the index.

    Raises:
        KgclipError: the folder holds no video, none can be read, or the index is of another model or folder.
    """
    videos = _videos(library)
    with lock(out):
        index = _earlier(out, reader, library)
        before = () if index is None else index.files
        files, closed = _files(library, videos, before)
        work = _Work(out, reader, None if index is None else index.rows())
        faults = work.read({file.clip: library / file.file for file in reversed(files)}, progress)
        whole = [file for file in files if file.clip in work.known]
        if not whole:
            first = next(iter((closed | faults).values()))
            raise KgclipError(f"{library}: none of {len(videos)} videos can be read; the first: {first}")
        kept = set(whole)
        gone = len(set(before) - kept)
        rows = work.rows({file.clip for file in whole})
        if set(before) != kept:
            header = {"library": str(library.resolve()), "model": str(model.resolve())}
            header |= {"identity": reader.identity, "vocabulary": reader.vocabulary()}
            write_index(out, header, whole, rows)
        elif index is not None:
            drop_others(index.content)
        work.done()
        reasons = closed | {str(library / file.file): faults[file.clip] for file in files if file.clip in faults}
        return Indexed(len(whole), len(rows.vectors), work.num_read, gone, reasons)


def _videos(library: Path) -> list[Path]:
    if not library.is_dir():
        raise KgclipError(f"{library}: is no folder; give the folder of videos that is to be indexed")
    found = sorted(path.relative_to(library) for path in library.rglob("*") if is_video(path.name) and path.is_file())
    found = [path for path in found if not any(is_foreign(part) for part in path.parts)]
    if not found:
        raise KgclipError(f"{library}: holds no video; give the folder of videos that is to be indexed")
    return found


def _earlier(out: Path, reader: Reader, library: Path) -> SearchIndex | None:
    """The index that is there, if it is of this model and this folder, which may have been moved."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    index = SearchIndex(out)
    index.check(reader.identity)
    if index.library != library.resolve() and index.library.is_dir():
        raise KgclipError(f"{out}: is the index of {index.library}, not of {library}; give another --out")
    return index


def _files(
    library: Path, videos: list[Path], before: tuple[IndexedFile, ...]
) -> tuple[list[IndexedFile], dict[str, str]]:
    """The files with the SHA-256 of their bytes, which are read only where size or time have changed.

    Beside them, why files may not be opened.
    """
    known = {(file.file, file.size, file.mtime_ns): file.clip for file in before}
    files, closed = [], {}
    for video in videos:
        path = library / video
        try:
            state = path.stat()
            key = (video.as_posix(), state.st_size, state.st_mtime_ns)
            files.append(IndexedFile(*key, known.get(key) or digest(path)))
        except OSError as error:
            closed[str(path)] = f"{path}: cannot be read ({error.strerror}); check its rights"
    return files, closed


class _Work:
    """The readings at hand: of the index as it was, of runs that were broken off, and of this one."""

    def __init__(self, out: Path, reader: Reader, before: Rows | None):
        self.num_read = 0
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

    def read(self, clips: dict[str, Path], progress: bool) -> dict[str, str]:
        """Read the clips that are not known, and give what is wrong with those that cannot be read."""
        faults: dict[str, str] = {}
        todo = {clip: path for clip, path in clips.items() if clip not in self.known}
        fresh: list[tuple[str, Reading]] = []
        saved = time.monotonic()
        try:
            with progress_bar("reading clips", len(todo), "clips", show=progress) as advance:
                for clip, path in sorted(todo.items(), key=lambda item: item[1]):
                    try:
                        fresh += [(clip, reading) for reading in self._reader.read(path)]
                    except KgclipError as error:
                        faults[clip] = str(error)
                    if time.monotonic() - saved > SAVE_EVERY_S:
                        self._set_aside(fresh)
                        fresh, saved = [], time.monotonic()
                    advance(1)
        finally:
            self._set_aside(fresh)
        return faults

    def _set_aside(self, readings: list[tuple[str, Reading]]) -> None:
        if not readings:
            return
        if self.num_read and not (self._folder / IDENTITY_FILE).is_file():
            # Saved alone, what is read from here on would come before what was lost.
            raise KgclipError(f"{self._folder}: was removed or moved while it was written; run it again")
        self._folder.mkdir(exist_ok=True, parents=True)
        if not (self._folder / IDENTITY_FILE).is_file():
            write_json(self._folder / IDENTITY_FILE, self._reader.identity)
        rows = Rows.of(readings)
        number = len([folder for folder in self._folder.iterdir() if folder.name.isdecimal()]) + 1
        with atomic_folder(self._folder / str(number)) as temporary:
            rows.save(temporary)
        self._parts.append(rows)
        read = set(rows.places.clips)
        self.known |= read
        self.num_read += len(read)

    def rows(self, clips: set[str]) -> Rows:
        """The rows of these clips; those of the index as it was keep their ids."""
        return joined([part.only(clips) for part in self._parts])

    def done(self) -> None:
        """Remove what was set aside, in one step."""
        remove_folder(self._folder)
