"""Reads a Kinetics-TPS root: ``train_videos/<class>/<clip>.mp4``, and the same in val_videos and test_videos."""

import unicodedata
from pathlib import Path

from kgclip.data.clip import PARTS_OF_A_DATA_SET, Entry, Part
from kgclip.data.readers.class_folders import read_classes


def recognizes(path: Path) -> bool:
    """Whether there are training videos."""
    return (path / "train_videos").is_dir()


def read(path: Path, annotations: Path | None) -> list[Entry]:
    """Read the clips of all parts; a clip's id is its file's stem, by which annotations and submissions name it.

    Raises:
        KgclipError: a video lies outside of the class folders, or a class has no clip.
    """
    folders: list[tuple[Path, Part | None]] = [(path / f"{part}_videos", part) for part in PARTS_OF_A_DATA_SET]
    return read_classes(
        [pair for pair in folders if pair[0].is_dir()],
        annotations,
        lambda file: unicodedata.normalize("NFC", file.stem),
    )
