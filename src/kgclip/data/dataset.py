"""A data set of labeled clips on disk, in any of three layouts (docs/data.md)."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from kgclip.errors import KgclipError

Part = Literal["train", "val", "test"]
PARTS_OF_A_DATA_SET: tuple[Part, ...] = ("train", "val", "test")

# fmt: off
VIDEO_EXTENSIONS = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".webm", ".wmv",
})
# fmt: on

# Kinetics: 11-character YouTube id, start and end second. Several clips may be cut from one video.
_KINETICS_ID = re.compile(r"(?P<youtube>[\w-]{11})_\d{6}_\d{6}", re.ASCII)


@dataclass(frozen=True)
class Clip:
    """One video file with its action label.

    ``id`` is the file's stem, unique in the data set. ``action`` has spaces, not underscores, and is None for a clip
    without a label. ``source`` names the video that the clip was cut from: clips of one source look alike and belong
    on one side of a split. ``part`` is what the data set itself prescribes, None where it leaves the choice.
    """

    id: str
    path: Path
    action: str | None
    source: str
    part: Part | None


@dataclass(frozen=True)
class Vocabulary:
    """The words that part annotations may use, with spaces, in the order of their list files."""

    parts: tuple[str, ...]
    states: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """Clips sorted by id, with the folder of their part annotations and its vocabulary, where there are any.

    ``root`` is the folder of the data set (for a CSV, the folder that holds it).
    """

    root: Path
    clips: tuple[Clip, ...]
    annotations: Path | None
    vocabulary: Vocabulary | None

    @cached_property
    def actions(self) -> list[str]:
        """The action names in alphabetical order."""
        return sorted({clip.action for clip in self.clips if clip.action is not None})

    @cached_property
    def by_id(self) -> dict[str, Clip]:
        """Every clip by its id."""
        return {clip.id: clip for clip in self.clips}

    @cached_property
    def annotation_folders(self) -> tuple[Path, ...]:
        """Every folder that holds annotations: ``train_annotations`` brings ``test_annotations`` along."""
        if self.annotations is None:
            return ()
        if self.annotations != self.root / "train_annotations":
            return (self.annotations,)
        folders = [self.root / f"{part}_annotations" for part in PARTS_OF_A_DATA_SET]
        return tuple(folder for folder in folders if folder.is_dir())


def open_dataset(path: Path, annotations: Path | None = None) -> DataSet:
    """Open a data set, telling its layout from what lies at ``path``.

    Accepted are a Kinetics-TPS root (``train_videos/<class>/<clip>.mp4``), class folders (``<class>/<clip>.mp4``, also
    under ``train/``, ``val/`` and ``test/``) and a CSV with the columns ``video,label[,split][,source]``.

    Args:
        path: the folder or the CSV file.
        annotations: a folder of frame annotations in the Kinetics-TPS format, ``[<class>/]<clip>/img_00001.json``;
            a Kinetics-TPS root brings its own.

    Raises:
        KgclipError: nothing usable lies there, a class has no clip, or two files have the same stem.
    """
    path = Path(path)
    if annotations is not None and not annotations.is_dir():
        raise KgclipError(f"{annotations}: is no folder of annotations; give the folder that holds [<class>/]<clip>/")
    if path.is_file():
        root, clips = path.parent, _unique(_read_csv(path))
    elif not path.is_dir():
        raise KgclipError(f"{path}: not found; expected a folder of videos or a CSV file")
    elif (path / "train_videos").is_dir():
        root, clips = path, _read_class_folders(path, _kinetics_tps_folders(path), annotations)
        if annotations is None and (path / "train_annotations").is_dir():
            annotations = path / "train_annotations"
    else:
        root, clips = path, _read_class_folders(path, _plain_folders(path, annotations), annotations)
    if not clips:
        raise KgclipError(f"{path}: holds no clip; expected train_videos/<class>/, <class>/<clip>.mp4 or a CSV")
    return DataSet(root, clips, annotations, _find_vocabulary(root, annotations))


def action_name(class_name: str) -> str:
    """The action that a class folder or a label names: underscores are spaces."""
    return " ".join(class_name.replace("_", " ").split())


def source_of(clip_id: str) -> str:
    """The YouTube id of a Kinetics clip; the clip itself where its name says nothing about its source."""
    match = _KINETICS_ID.fullmatch(clip_id)
    return match["youtube"] if match else clip_id


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header into one dictionary per row, without surrounding blanks.

    Raises:
        KgclipError: the file is empty, is not UTF-8 text, or a row has more or fewer cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise KgclipError(f"{path}: is no CSV file in UTF-8 ({error}); expected video,label[,split][,source]") from None
    if not rows:
        raise KgclipError(f"{path}: is empty; expected a header and one row per clip")
    header = rows[0]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise KgclipError(
                f"{path}: row {number} has {len(row)} cells, expected {len(header)} as in the header; "
                "put cells that contain a comma in double quotes"
            )
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def _read_csv(path: Path) -> Iterator[Clip]:
    if path.suffix.lower() != ".csv":
        raise KgclipError(f"{path}: is a {path.suffix or 'nameless'} file; expected a folder of videos or a .csv file")
    rows = read_table(path)
    missing = [column for column in ("video", "label") if rows and column not in rows[0]]
    if missing:
        raise KgclipError(
            f"{path}: has no column {' and '.join(missing)}, got {','.join(rows[0])}; "
            "the header must be video,label[,split][,source]"
        )
    for number, row in enumerate(rows, start=2):
        if not row["video"]:
            raise KgclipError(f"{path}: row {number} names no video; fill the cell or remove the row")
        file = path.parent / row["video"]
        yield Clip(
            id=file.stem,
            path=file,
            action=action_name(row["label"]) or None,
            source=row.get("source") or source_of(file.stem),
            part=_as_part(row.get("split", ""), f"{path}: row {number}"),
        )


def _as_part(word: str, where: str) -> Part | None:
    if not word:
        return None
    for part in PARTS_OF_A_DATA_SET:
        if word.lower() == part:
            return part
    raise KgclipError(f"{where} has split {word!r}; expected train, val, test or nothing")


def _kinetics_tps_folders(root: Path) -> Iterator[tuple[Path, Part | None]]:
    for part in PARTS_OF_A_DATA_SET:
        if (root / f"{part}_videos").is_dir():
            yield root / f"{part}_videos", part


def _plain_folders(root: Path, annotations: Path | None) -> Iterator[tuple[Path, Part | None]]:
    """Either ``root`` itself, or its train, val and test folders where ``train`` holds folders of its own."""
    train = root / "train"
    if not (train.is_dir() and any(_visible_folders(train))):
        yield root, None
        return
    for folder in _visible_folders(root):
        if folder.name in PARTS_OF_A_DATA_SET:
            yield folder, _as_part(folder.name, str(folder))
        elif not _same(folder, annotations):
            raise KgclipError(
                f"{folder}: lies beside train/, so that it is no class; expected train/, val/ and test/ only, "
                "move it elsewhere"
            )


def _read_class_folders(
    root: Path, folders: Iterable[tuple[Path, Part | None]], annotations: Path | None
) -> tuple[Clip, ...]:
    sources = _sources_from_labels(root / "train_labels.csv")
    clips: list[Clip] = []
    empty: dict[str, Path] = {}
    for parent, part in folders:
        stray = next(_videos(parent), None)
        # Test videos are sometimes given without their labels.
        if stray is not None and part != "test":
            raise KgclipError(f"{stray}: lies outside of any class folder; expected {parent}/<class>/{stray.name}")
        classes = [folder for folder in _visible_folders(parent) if not _same(folder, annotations)]
        for folder, action in [(parent, None), *((folder, action_name(folder.name)) for folder in classes)]:
            files = list(_videos(folder))
            if not files and action is not None:
                empty[action] = folder
            clips += [
                Clip(file.stem, file, action, sources.get(file.stem) or source_of(file.stem), part) for file in files
            ]
    for action in {clip.action for clip in clips if clip.action is not None}:
        empty.pop(action, None)
    for folder in empty.values():
        raise KgclipError(
            f"{folder}: is a class folder without a clip; expected a video file such as <clip>.mp4 directly in it, "
            "add one or remove the folder"
        )
    return _unique(clips)


def _sources_from_labels(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = read_table(path)
    if not rows or not {"video", "source"} <= rows[0].keys():
        return {}
    return {row["video"]: row["source"] for row in rows}


def _unique(clips: Iterable[Clip]) -> tuple[Clip, ...]:
    by_id: dict[str, Clip] = {}
    for clip in clips:
        other = by_id.setdefault(clip.id, clip)
        if other is not clip:
            raise KgclipError(
                f"{clip.path}: has the same name as {other.path}; a clip is known by its file name without the "
                "extension, so rename one of the two"
            )
    return tuple(by_id[clip_id] for clip_id in sorted(by_id))


def _visible_folders(folder: Path) -> Iterator[Path]:
    yield from (entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith("."))


def _videos(folder: Path) -> Iterator[Path]:
    # A clip's name may start with "-", but not with ".": these are other programs' temporary files.
    for entry in sorted(folder.iterdir()):
        if entry.suffix.lower() in VIDEO_EXTENSIONS and not entry.name.startswith(".") and not entry.is_dir():
            yield entry


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and folder.resolve() == other.resolve()


def _find_vocabulary(root: Path, annotations: Path | None) -> Vocabulary | None:
    """Read ``list/`` in the annotations' own folder, or else in the root."""
    for folder in [root / "list"] if annotations is None else [annotations / "list", root / "list"]:
        if any((folder / name).is_file() for name in ("body_part.txt", "part_stat.txt", "object.txt")):
            return Vocabulary(
                parts=_read_words(folder / "body_part.txt"),
                states=_read_words(folder / "part_stat.txt"),
                objects=_read_words(folder / "object.txt"),
            )
    return None


def _read_words(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise KgclipError(
            f"{path}: not found; expected body_part.txt, part_stat.txt and object.txt in {path.parent}, one word a line"
        )
    try:
        words = [action_name(line) for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise KgclipError(f"{path}: is no UTF-8 text ({error}); expected one word a line") from None
    return tuple(dict.fromkeys(word for word in words if word))
