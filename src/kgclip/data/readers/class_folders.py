"""Reads folders of videos by action: ``<class>/<clip>.mp4``, also under ``train/``, ``val/`` and ``test/``."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kgclip.data.clip import (
    PARTS_OF_A_DATA_SET,
    Entry,
    Part,
    clip_id,
    is_foreign,
    is_video,
    part_named,
    videos_in,
    visible_folders,
)
from kgclip.errors import KgclipError
from kgclip.kg.names import spelling_key


def recognizes(path: Path) -> bool:
    """Whether this is a folder: any other layout of folders is asked before."""
    return path.is_dir()


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read class folders; a clip's id is its path inside ``path``, as equal file names in two classes are usual.

    Raises:
        KgclipError: a video lies outside of the class folders, a class has no clip, or train/ has a strange neighbor.
    """
    return read_classes(_parts_of(path, annotations), annotations, lambda file: clip_id(file.relative_to(path)))


def read_classes(
    folders: Iterable[tuple[Path, Part | None]], annotations: Path | None, id_of: Callable[[Path], str]
) -> list[Entry]:
    """Read the class folders in each of these folders.

    Raises:
        KgclipError: a video lies outside of the class folders or in a folder of one, or a class has no clip.
    """
    entries: list[Entry] = []
    empty: dict[str, Path] = {}
    for parent, part in folders:
        strays = videos_in(parent)
        # Test videos are sometimes given without their labels.
        if strays and part != "test":
            raise KgclipError(
                f"{strays[0]}: lies outside of any class folder; expected {parent}/<class>/{strays[0].name}"
            )
        entries += [Entry(id_of(file), file, None, part) for file in strays]
        for folder in visible_folders(parent):
            if _same(folder, annotations):
                continue
            files = videos_in(folder)
            if not files:
                empty[spelling_key(folder.name)] = folder
            _check_depth(folder)
            entries += [Entry(id_of(file), file, folder.name, part) for file in files]
    for name in sorted(empty.keys() - {spelling_key(entry.label or "") for entry in entries}):
        raise KgclipError(
            f"{empty[name]}: is a class folder without a clip; expected a video file such as <clip>.mp4 directly in "
            "it, add one or remove the folder"
        )
    return entries


def _check_depth(folder: Path) -> None:
    """Raise KgclipError if a folder somewhere in that of a class holds a video, which would not be read."""
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not is_foreign(name)]
        deeper = () if Path(place) == folder else sorted(filter(is_video, files))
        if deeper:
            raise KgclipError(
                f"{Path(place, deeper[0])}: lies in a folder inside a class folder; move it to "
                f"{folder / deeper[0]}, or take {place} out"
            )


def _parts_of(root: Path, annotations: Path | None) -> Iterator[tuple[Path, Part | None]]:
    """Either ``root`` itself, or its train, val and test folders where ``train`` holds folders of its own."""
    train = root / "train"
    if not (train.is_dir() and visible_folders(train)):
        yield root, None
        return
    for folder in visible_folders(root):
        if folder.name in PARTS_OF_A_DATA_SET:
            yield folder, part_named(folder.name, str(folder))
        elif not _same(folder, annotations):
            raise KgclipError(
                f"{folder}: lies beside train/, so that it is no class; expected train/, val/ and test/ only, "
                "move it elsewhere"
            )


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and folder.resolve() == other.resolve()
