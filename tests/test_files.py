import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from kgclip.errors import KgclipError
from kgclip.files import (
    atomic_folder,
    atomic_path,
    digest,
    load_tensors,
    read_json,
    read_table,
    read_text,
    save_tensors,
    write_json,
    write_table,
)
from kgclip.reading import check_unpacked

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


KILLED = """
import pathlib, sys, torch
from kgclip.files import save_tensors
print("begun", flush=True)
save_tensors({"a": torch.zeros(2**25)}, pathlib.Path(sys.argv[1]))
"""


def test_weights_have_ordinary_permissions_and_no_nameless_remains(tmp_path: Path):
    save_tensors({"a": torch.zeros(3)}, tmp_path / "t")
    assert list(tmp_path.iterdir()) == [tmp_path / "t"]
    write_json(tmp_path / "plain", 1)
    assert (tmp_path / "t").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "x")], stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 4 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
    remains = {path.name for path in tmp_path.iterdir()} - {"t", "plain", "x"}
    assert all(name.startswith(f".x.kgclip-{process.pid}-") for name in remains)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "device", "."):
        for read in (read_text, read_json, digest, load_tensors):
            with pytest.raises(
                KgclipError, match=r"is (a named pipe|a device|a folder), expected a file; check the path"
            ):
                read(tmp_path / name)
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 2**40)  # takes no room
    with pytest.raises(KgclipError, match=r"large: has 1,099,511,627,776 bytes, expected at most 67,108,864; split it"):
        read_text(tmp_path / "large")


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


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    theirs = tmp_path / "model.tmp"
    theirs.mkdir()
    (theirs / "notes").touch()

    def stop() -> None:
        with atomic_folder(tmp_path / "model") as temporary:
            (temporary / "half").touch()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert list(tmp_path.iterdir()) == [theirs]
    with atomic_folder(tmp_path / "model") as temporary:
        assert temporary.name.startswith(f".model.kgclip-{os.getpid()}-")
        (temporary / "whole").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "model.tmp", "notes", "whole"]
    assert (tmp_path / "model").stat().st_mode == theirs.stat().st_mode


def test_a_folder_never_replaces_what_is_there(tmp_path: Path):
    for made in (Path.mkdir, Path.touch):
        made(tmp_path / "out")
        if (tmp_path / "out").is_dir():
            (tmp_path / "out" / "theirs").touch()
        there = pytest.raises(KgclipError, match=r"out: exists already; name another place or remove it")
        with there, atomic_folder(tmp_path / "out") as temporary:
            (temporary / "ours").touch()
        assert not (tmp_path / "out" / "ours").exists()
        assert list(tmp_path.iterdir()) == [tmp_path / "out"]
        subprocess.run(["rm", "-r", tmp_path / "out"], check=True)


FULL = """
import resource, signal, sys, pathlib, torch
from kgclip.files import save_tensors, write_json, write_table
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # a disk with room for a thousand bytes
path = pathlib.Path(sys.argv[1])
import pyarrow as pa
for write in (
    lambda: save_tensors({"a": torch.zeros(1000)}, path),
    lambda: write_json(path, "a" * 2000),
    lambda: write_table(pa.table({"x": [str(n) for n in range(1000)]}), path, {}),
):
    try:
        write()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "out")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    reason = os.strerror(errno.EFBIG)
    sentence = f"KgclipError {tmp_path}/out: cannot be written ({reason}); make room or name a place on another disk"
    assert lines == [sentence] * 3
    assert list(tmp_path.iterdir()) == []


def test_texts_digests_and_json(tmp_path: Path):
    file = tmp_path / "t"
    file.write_bytes("\ufeffé".encode())
    assert read_text(file) == "é"
    assert digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(b"\xff")
    with pytest.raises(KgclipError, match=r"t: not UTF-8 text \(byte 0\)"):
        read_text(file)
    write_json(file, {"a": [1, None]})
    assert read_json(file) == {"a": [1, None]}
    file.write_text("[" * 100_000)
    with pytest.raises(KgclipError, match="t: cannot be read as JSON"):
        read_json(file)


@pytest.mark.parametrize("content", [b"[" + b'{"":0},' * 2_500_000 + b"0]", b"[" + b"[]," * 6_000_000 + b"0]"])
def test_json_that_would_fill_the_memory_is_refused(content: bytes):
    for given in (content, content.decode()):
        with pytest.raises(ValueError, match="more values than memory is given for"):
            check_unpacked(given)
    check_unpacked(content, 2**30)


def test_a_header_of_tensors_is_bounded(tmp_path: Path):
    file = tmp_path / "a.safetensors"
    file.write_bytes((2**22 + 1).to_bytes(8, "little"))
    os.truncate(file, 2**22 + 9)
    with pytest.raises(KgclipError, match=r"a\.safetensors: is no safetensors file, its header would have 4,194,305"):
        load_tensors(file)
