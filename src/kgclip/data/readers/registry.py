"""The readers of data sets: one file each, and one call adds another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kgclip.data.clip import Entry
from kgclip.data.readers import class_folders, csv_table, hmdb_splits, kinetics_csv, kinetics_tps, label_list
from kgclip.errors import KgclipError


@dataclass(frozen=True)
class Reader:
    """One layout of data sets.

    Attributes:
        recognizes: whether a path is a data set of this layout; the path exists.
        read: the clips there; the second argument is the folder of annotations, if one was given, which may lie inside
            the data set and holds no clips.
    """

    layout: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Path | None], Iterable[Entry]]


# The first that recognizes a path reads it, so that the more particular ones come first.
_BUILT_IN = (
    Reader("a Kinetics-TPS root (train_videos/<class>/)", kinetics_tps.recognizes, kinetics_tps.read),
    Reader("HMDB splits (<class>_test_split1.txt)", hmdb_splits.recognizes, hmdb_splits.read),
    Reader("class folders (<class>/<clip>.mp4)", class_folders.recognizes, class_folders.read),
    Reader("a Kinetics CSV (youtube_id,time_start,time_end)", kinetics_csv.recognizes, kinetics_csv.read),
    Reader("a CSV (video,label[,start,end])", csv_table.recognizes, csv_table.read),
    Reader("a text list (path label)", label_list.recognizes, label_list.read),
)
_added: list[Reader] = []


def register_reader(reader: Reader) -> None:
    """Add a reader of one's own, which is asked before the built-in ones and those added earlier."""
    _added.insert(0, reader)


def layouts() -> str:
    """Every layout that is read, for a message."""
    return ", ".join(reader.layout for reader in (*_added, *_BUILT_IN))


def reader_of(path: Path) -> Reader:
    """The reader of what lies at a path.

    Raises:
        KgclipError: nothing lies there, or no reader recognizes it.
    """
    if not (path.is_file() or path.is_dir()):
        raise KgclipError(f"{path}: not found; expected {layouts()}")
    for reader in (*_added, *_BUILT_IN):
        if reader.recognizes(path):
            return reader
    raise KgclipError(f"{path}: is a {path.suffix or 'nameless'} file; expected {layouts()}")
