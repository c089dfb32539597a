"""One clip of a data set, as a reader lists it and as the data set knows it."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgclip.errors import KgclipError
from kgclip.video.cut import Cut, VideoPath, absolute, cut_id, file_of

Part = Literal["train", "val", "test"]
PARTS_OF_A_DATA_SET: tuple[Part, Part, Part] = ("train", "val", "test")

# fmt: off
VIDEO_EXTENSIONS = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".webm", ".wmv",
})
# fmt: on
_PART_OF_WORD: dict[str, Part] = {
    **{part: part for part in PARTS_OF_A_DATA_SET},
    **{"validate": "val", "validation": "val", "valid": "val", "training": "train"},
}


@dataclass(frozen=True)
class Clip:
    """One video file, or a cut of one, with its action label.

    ``id`` is unique in the data set: the path in its folder without the extension, or the file's stem in Kinetics data;
    that of a cut ends in its times. ``path`` is what is read, so that nothing can pass over the times of a cut.
    ``action`` has spaces, not underscores, and is None for a clip without a label. ``source`` names the video that the
    clip was cut from, or is the clip's id where that is unknown: clips of one source look alike and belong on one side
    of a split. ``part`` is what the data set itself prescribes, None where it leaves the choice.
    """

    id: str
    path: VideoPath
    action: str | None
    source: str
    part: Part | None


@dataclass(frozen=True)
class Entry:
    """One clip as a reader lists it: label and source as written there, None where nothing is written."""

    id: str
    path: VideoPath
    label: str | None
    part: Part | None = None
    source: str | None = None


def clip_id(path: Path | str) -> str:
    """A relative path as a clip's id: forward slashes, composed characters (Unicode NFC), no extension of a video."""
    plain = Path(os.path.normpath(str(path).replace("\\", "/")))
    named = plain.with_suffix("") if plain.suffix.lower() in VIDEO_EXTENSIONS else plain
    return unicodedata.normalize("NFC", str(named))


def id_of_file(video: VideoPath) -> str:
    """The id of a video that no data set names: its folder and its name, and the times of a cut."""
    film = "/".join(clip_id(str(file_of(absolute(video)))).lstrip("/").split("/")[-2:])
    return cut_id(film, video) if isinstance(video, Cut) else film


def part_named(word: str, where: str) -> Part | None:
    """The part that a cell names, None for an empty one.

    Raises:
        KgclipError: it is another word.
    """
    if word and word.lower() not in _PART_OF_WORD:
        raise KgclipError(f"{where} has split {word!r}; expected train, val, test or nothing")
    return _PART_OF_WORD.get(word.lower())


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, in order, without foreign ones; KgclipError if it cannot be read."""
    return [entry for entry in _visible(folder) if os.path.isdir(entry)]  # noqa: PTH112


def videos_in(folder: Path) -> list[Path]:
    """The videos directly in a folder, in order, without foreign ones; KgclipError if it cannot be read."""
    return [entry for entry in _visible(folder) if is_video(entry.name) and not os.path.isdir(entry)]  # noqa: PTH112


def is_foreign(name: str) -> bool:
    """Whether a file or folder is hidden or made by a system (``._clip.mp4``, ``__MACOSX``, ``@eaDir``)."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def is_video(name: str) -> bool:
    """Whether a file of this name is a video of the data set; it may start with "-"."""
    return not is_foreign(name) and Path(name).suffix.lower() in VIDEO_EXTENSIONS


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not is_foreign(entry.name))
    except OSError as error:
        raise KgclipError(f"{folder}: cannot be read ({error.strerror}); check the path and its permissions") from None
