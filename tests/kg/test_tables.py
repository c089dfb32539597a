"""Tables of clips and annotations: what is read, and what is refused in one sentence."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kgclip.errors import KgclipError
from kgclip.kg.movement import PARTS
from kgclip.kg.tables import is_tables, read_clips, scan_annotations, unknown_words, words_of

ROW = {"clip": "a", "frame": 1, "part": "head", "state": "nod", "object": None}


def table(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def test_tables_are_parquet_files_and_folders_of_nothing_else(tmp_path: Path):
    file = table(tmp_path / "rows" / "1.parquet", ROW)
    (tmp_path / "rows" / "_SUCCESS").touch()
    assert is_tables(file)
    assert is_tables(file.parent)
    assert not is_tables(None)
    assert not is_tables(tmp_path)
    (file.parent / "clip").mkdir()
    assert not is_tables(file.parent)


def test_files_may_write_words_and_numbers_in_different_types(tmp_path: Path):
    folder = table(tmp_path / "rows" / "1.parquet", ROW).parent
    pl.DataFrame([ROW | {"object": "ball"}]).cast({"part": pl.Categorical, "frame": pl.UInt8}).write_parquet(
        folder / "2.parquet"
    )
    assert scan_annotations(folder).collect().rows() == [tuple(ROW.values()), ("a", 1, "head", "nod", "ball")]
    assert words_of(scan_annotations(folder), folder).sort("object").rows() == [
        ("head", "nod", None, 1),
        ("head", "nod", "ball", 1),
    ]


def test_of_parts_the_training_clips_are_taken(tmp_path: Path):
    rows = [
        {"clip": clip, "action": action, "part": part}
        for clip, action, part in [
            ("b", "jump", "train"),
            ("a", None, "train"),
            ("c", "jump", "test"),
            ("d", "jump", None),
        ]
    ]
    path = table(tmp_path / "clips.parquet", *rows)
    assert read_clips(path).rows() == [("a", None), ("b", "jump")]
    path = table(tmp_path / "all.parquet", *({"clip": row["clip"], "action": row["action"]} for row in rows))
    assert read_clips(path)["clip"].to_list() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": "one"}, "has no column frame of whole numbers"),
        ({"frame": 0}, "has frame 0; frames count from 1"),
        ({"frame": 2**40}, "is damaged, expected Parquet tables"),
        ({"clip": None}, "has rows without a clip, a frame or a state"),
        ({"state": None}, "has rows without a clip, a frame or a state"),
    ],
    ids=str,
)
def test_what_no_annotation_is_is_refused(change: dict[str, Any], sentence: str, tmp_path: Path):
    path = (
        table(tmp_path / "rows.parquet", ROW, ROW | change)
        if "one" not in change.values()
        else table(tmp_path / "rows.parquet", ROW | change)
    )
    with pytest.raises(KgclipError, match=f"rows.parquet: {sentence}"):
        words_of(scan_annotations(path), path)


def test_damaged_and_missing_tables_are_one_sentence(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(KgclipError, match="cannot be read"):
        scan_annotations(path)
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(KgclipError, match=r"rows\.parquet: is damaged, expected Parquet tables"):
        scan_annotations(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(KgclipError, match="holds no Parquet file"):
        scan_annotations(tmp_path / "empty")
    table(path, ROW)
    whole = path.read_bytes()
    path.write_bytes(whole[:10] + b"\0" * 40 + whole[50:])
    with pytest.raises(KgclipError, match=r"rows\.parquet: is damaged, expected Parquet tables"):
        words_of(scan_annotations(path), path)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("a", "jump"), ("a", "run")], "lists clip 'a' more than once"),
        ([("a", "jump"), (None, "run")], "holds clips without a name"),
        ([], "lists no training clip"),
    ],
)
def test_what_no_list_of_clips_is_is_refused(rows: list[tuple[str, str]], sentence: str, tmp_path: Path):
    pl.DataFrame(rows, schema={"clip": pl.String, "action": pl.String}, orient="row").write_parquet(
        tmp_path / "c.parquet"
    )
    with pytest.raises(KgclipError, match=rf"c\.parquet: {sentence}"):
        read_clips(tmp_path / "c.parquet")


def test_rows_of_unknown_words_are_counted_and_named(tmp_path: Path):
    rows = [
        ROW,
        ROW | {"part": "tail"},
        ROW | {"part": "tail"},
        ROW | {"object": "moon"},
        ROW | {"part": None, "state": None},
    ]
    path = table(tmp_path / "rows.parquet", *rows)
    words = words_of(scan_annotations(path), path)
    known, problem = unknown_words(words, {"part": PARTS, "state": None, "object": ["ball"]})
    assert known.select("part", "object").rows() == [("head", None)]
    assert problem == "2 rows of an unknown part such as 'tail', 1 rows of an unknown object such as 'moon'"
