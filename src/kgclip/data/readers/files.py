"""Finds the files that lists name: relative to which folder, and spelled or encoded otherwise on this disk."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kgclip.data.clip import clip_id, is_video, visible_folders
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
            self._by_id[folder] = {}
            with suppress(OSError):
                names = filter(is_video, sorted(os.listdir(folder)))  # noqa: PTH208
                self._by_id[folder] = {clip_id(name): folder / name for name in names}
        return self._by_id[folder]


def files_beside(table: Path, names: Sequence[str]) -> ListedFiles:
    """Where most of a list's files lie: in its folder, in the one above, or in a folder in either."""
    tried = names[:: max(1, len(names) // _NUM_TRIED)]
    bases: list[Path] = []
    for base in (table.parent, table.parent.parent):
        bases.append(base)
        with suppress(KgclipError):  # the folder above may be closed to this user
            bases += visible_folders(base)
    candidates = [ListedFiles(base) for base in bases]
    # Of several with as many, the first.
    return max(candidates, key=lambda files: sum(os.path.isfile(files.find(name)) for name in tried))  # noqa: PTH113
