"""Tables of clips and of what annotators saw, as Parquet files of any size: read in passes, never whole."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from kgclip.errors import KgclipError
from kgclip.reading import check_file, one_sentence

WORDS = ("part", "state", "object")
_TEXT, _NUMBER = "text", "whole numbers"
_TEXTS = (pl.String, pl.Categorical, pl.Enum, pl.Null)
_ROWS: Mapping[str, str] = {"clip": _TEXT, "frame": _NUMBER, "part": _TEXT, "state": _TEXT, "object": _TEXT}
_CLIPS: Mapping[str, str] = {"clip": _TEXT, "action": _TEXT}
_MOST_WORDS = 100_000


def is_tables(path: Path | None) -> bool:
    """Whether this names a Parquet file, or a folder that holds nothing else."""
    if path is None or not path.is_dir():
        return path is not None and path.suffix.lower() == ".parquet"
    names = [each.name for each in path.iterdir() if each.name[0] not in "._"]
    return bool(names) and all(name.lower().endswith(".parquet") for name in names)


def scan_annotations(path: Path) -> pl.LazyFrame:
    """The rows of a Parquet file, or of all in a folder: what `Observations.save` writes, or columns of the same names.

    Returns:
        clip, frame (1-based image index), part, state and object (null: none). A frame without parts is a row whose
        part is null.

    Raises:
        KgclipError: there is no file, or one is damaged or lacks a column.
    """
    return _scan(path, _ROWS, "part annotations")


def read_clips(path: Path) -> pl.DataFrame:
    """The training clips that a Parquet file lists, or all in a folder: those of part ``train`` where there are parts.

    Returns:
        clip and action (null: no label), sorted by clip.

    Raises:
        KgclipError: as `scan_annotations`, or a clip is listed twice or without a name.
    """
    scan = _scan(path, _CLIPS, "clips", optional="part")
    with reading(path):
        if "part" in scan.collect_schema():
            scan = scan.filter(pl.col("part") == "train")
        clips = scan.select("clip", pl.col("action").cast(pl.Categorical)).collect(engine="streaming")
    if clips.is_empty():
        raise KgclipError(
            f"{path}: lists no training clip; expected one row for each, of part train where it has parts"
        )
    if clips["clip"].null_count():
        raise KgclipError(f"{path}: holds clips without a name; give each row one")
    clips = clips.sort("clip")
    twice = clips.filter(pl.col("clip") == pl.col("clip").shift()).head(1)
    if len(twice):
        raise KgclipError(f"{path}: lists clip {twice['clip'][0]!r} more than once; keep one row for each")
    return clips


def words_of(annotations: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Every combination of part, state and object, and the number of its rows; checks what must hold of all rows.

    Raises:
        KgclipError: there are no rows, one lacks its clip, frame or state, or a frame is not counted from 1.
    """
    lacking = pl.any_horizontal(pl.col("clip", "frame").is_null())
    with reading(path):
        words = (
            annotations.group_by(WORDS)
            .agg(rows=pl.len(), first=pl.col("frame").min(), lacking=lacking.sum())
            .collect(engine="streaming")
        )
    without_state = pl.col("part").is_not_null() & pl.col("state").is_null()
    if words.is_empty():
        raise KgclipError(f"{path}: holds no row; expected one for each body part in each frame")
    if words["lacking"].sum() or words.select(without_state.any()).item():
        raise KgclipError(f"{path}: has rows without a clip, a frame or a state; fill them in or leave them out")
    if (first := words.select(pl.col("first").min()).item()) < 1:
        raise KgclipError(f"{path}: has frame {first}; frames count from 1")
    if len(words) > _MOST_WORDS:
        raise KgclipError(
            f"{path}: has {len(words):,} combinations of part, state and object, expected at most {_MOST_WORDS:,}; are "
            "these columns words?"
        )
    return words.select(*WORDS, "rows")


def unknown_words(
    words: pl.DataFrame, allowed: Mapping[str, Collection[str] | None]
) -> tuple[pl.DataFrame, str | None]:
    """The combinations that are of allowed words only, and what the others are, as part of a sentence.

    Args:
        words: as `words_of` gives them.
        allowed: words of each column; None allows all.
    """
    words, problems = words.filter(pl.col("part").is_not_null()), []
    for column, values in allowed.items():
        if values is None:
            continue
        fits = pl.col(column).is_null() | pl.col(column).is_in([*values, *(["none"] if column == "object" else [])])
        others, words = words.filter(~fits), words.filter(fits)
        if len(others):
            example = str(others[column].min())
            problems.append(f"{others['rows'].sum():,} rows of an unknown {column} such as {example!r}")
    return words, ", ".join(problems) or None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what damaged tables do to polars into their sentence; what the disk does is not their fault."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if "(os error" in str(error):
            raise
        with one_sentence(path, "Parquet tables"):
            raise ValueError(str(error)) from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.iterdir() if each.name[0] not in "._" and each.suffix.lower() == ".parquet")


def _scan(path: Path, columns: Mapping[str, str], what: str, optional: str | None = None) -> pl.LazyFrame:
    """The rows of all files, in these columns; each file may write words as strings or as categories."""
    if not (files := _files(path)):
        raise KgclipError(f"{path}: holds no Parquet file; expected tables of {what}")
    scans = []
    for file in files:
        check_file(file)
        with reading(file):
            schema = pl.read_parquet_schema(file)
        for name, kind in columns.items():
            found = schema.get(name)
            if found is None or not (found in _TEXTS if kind == _TEXT else found.is_integer()):
                wanted = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
                raise KgclipError(f"{file}: has no column {name} of {kind}; a table of {what} has {wanted}")
        names = [*columns, optional] if optional in schema else [*columns]
        types = {name: pl.Int32 if columns.get(name) == _NUMBER else pl.String for name in names}
        scans.append(pl.scan_parquet(file, glob=False).select(pl.col(name).cast(kind) for name, kind in types.items()))
    if len({len(scan.collect_schema()) for scan in scans}) > 1:
        raise KgclipError(f"{path}: some of its files have a column {optional} and others not; write all alike")
    return pl.concat(scans)
