"""Finds the files that lists name: relative to which folder, and spelled or encoded otherwise on this disk."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from kgclip.data.clip import VIDEO_EXTENSIONS, clip_id, is_foreign, visible_folders
from kgclip.errors import KgclipError

_NUM_TRIED = 20


class ListedFiles:
    """The files in one folder, by the names that a list gives them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self._by_id: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path:
        """The file of that name, or with other separators, Unicode form or extension; as written if there is none."""
        path = self.base / name
        if os.path.isfile(path):  # noqa: PTH113 (is_file raises where a folder may not be entered)
            return path
        path = self.base / name.replace("\\", "/")
        return self._files_in(path.parent).get(clip_id(path.name), path)

    def _files_in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._by_id:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208
            except OSError:
                names = []
            videos = [name for name in names if not is_foreign(name) and Path(name).suffix.lower() in VIDEO_EXTENSIONS]
            self._by_id[folder] = {clip_id(name): folder / name for name in videos}
        return self._by_id[folder]


def files_beside(table: Path, names: Sequence[str]) -> ListedFiles:
    """Where most of a list's files lie: in its folder, in the one above, or in a folder in either."""
    tried = names[:: max(1, len(names) // _NUM_TRIED)]
    best, most = ListedFiles(table.parent), 0
    for base in _folders_near(table.parent):
        files = ListedFiles(base)
        num_found = sum(os.path.isfile(files.find(name)) for name in tried)  # noqa: PTH113
        if num_found > most:
            best, most = files, num_found
    return best


def _folders_near(folder: Path) -> Iterator[Path]:
    for base in (folder, folder.parent):
        yield base
        with suppress(KgclipError):  # the folder above may be closed to this user
            yield from visible_folders(base)
