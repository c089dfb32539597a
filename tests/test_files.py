from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgclip.errors import KgclipError
from kgclip.files import atomic_path, read_table, write_table

TABLE = pa.table({"x": [1, 2, 3]})


def test_a_table_keeps_its_rows_and_header(tmp_path: Path):
    path = tmp_path / "new folder" / "t.parquet"
    header = {"content": "test table", "version": 1, "more": ["é", None]}
    write_table(TABLE, path, header)
    table, read = read_table(path, "test table", 1)
    assert table.to_pydict() == {"x": [1, 2, 3]}
    assert read == header


def test_a_failed_write_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "t.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_ordinary_permissions(tmp_path: Path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "t") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "t").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_cannot_be_read_is_named(tmp_path: Path):
    path = tmp_path / "t.parquet"
    with pytest.raises(KgclipError, match=r"t\.parquet: no such file; expected a kgclip test table"):
        read_table(path, "test table", 1)
    path.write_text("hello")
    with pytest.raises(KgclipError, match=r"t\.parquet: not a readable Parquet file"):
        read_table(path, "test table", 1)
    pq.write_table(TABLE, path)
    with pytest.raises(KgclipError, match="holds other Parquet, expected a kgclip test table"):
        read_table(path, "test table", 1)
    write_table(TABLE, path, {"content": "another table", "version": 1})
    with pytest.raises(KgclipError, match="holds kgclip another table, expected a kgclip test table"):
        read_table(path, "test table", 1)
    write_table(TABLE, path, {"content": "test table", "version": 2})
    with pytest.raises(KgclipError, match="format version 2, this kgclip reads 1"):
        read_table(path, "test table", 1)
    pq.write_table(TABLE.replace_schema_metadata({"kgclip": "{"}), path)
    with pytest.raises(KgclipError, match="metadata is damaged"):
        read_table(path, "test table", 1)
