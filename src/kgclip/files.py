"""The one place for files: written whole or not at all, and read within bounds."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgclip.errors import KgclipError
from kgclip.reading import check_file, one_sentence, open_regular, parse_json, read_bytes
from kgclip.remains import final_path, temporary_prefix

if TYPE_CHECKING:
    from torch import Tensor

_METADATA_KEY, _PARQUET = b"kgclip", {"compression": "zstd", "write_page_checksum": True}
_MOST_UNPACKED, _ROWS_OF_A_BATCH = 2**29, 2**16
_MOST_TEXT = 2**26
# Columns, or groups of a million rows, of Parquet (many thousands take minutes); bytes of the header of safetensors.
_MOST_LISTED, _MOST_HEADER = 1000, 2**24
# 30,000 tensors; a network with 16 MiB of them takes seconds to open.
_MOST_HEADER_OF_WEIGHTS = 2**22
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it when the block ends, and vanishes when it raises.

    Raises:
        KgclipError: the disk is full.
    """
    with disk_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=temporary_prefix(path), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner can read
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends, and vanishes when it raises.

    ``path`` must not exist, or be an empty folder: nothing is ever replaced.

    Raises:
        KgclipError: the disk is full, or something stands at ``path``.
    """
    with disk_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(path), dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            try:
                temporary.replace(path)
            except OSError as error:
                if not path.exists():
                    raise
                raise KgclipError(f"{path}: exists already; name another place or remove it") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Give a folder for what is needed until ``path`` is written; a full disk is an error as of `atomic_path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_room(path), tempfile.TemporaryDirectory(prefix=temporary_prefix(path), dir=path.parent) as name:
        yield Path(name)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex; KgclipError if it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """Read UTF-8 text, with or without a byte order mark; its lines end in line feeds.

    Raises:
        KgclipError: the file cannot be read, is too large, is not UTF-8, or holds a null character.
    """
    content = read_bytes(path, _MOST_TEXT)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KgclipError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:  # no name of a file may
        raise KgclipError(f"{path}: holds a null character, as no text does; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def write_json(path: Path, value: Any) -> None:
    """Write JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        KgclipError: the file cannot be read or is not JSON.
    """
    content = read_bytes(path)
    try:
        return parse_json(content)
    except ValueError as error:
        raise KgclipError(f"{path}: cannot be read as JSON ({error}); restore the file") from error


def save_tensors(tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Write tensors as safetensors, atomically and flushed to the disk."""
    # Imported here: listing files and reading graphs need no torch.
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # In a folder of its own: safetensors writes beside its file under a name that would not be known as ours.
    prefix = temporary_prefix(path)
    with atomic_path(path) as temporary, tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        whole = Path(folder, path.name)
        try:
            save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, whole)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error
        with whole.open("rb+") as handle:
            os.fsync(handle.fileno())
        whole.replace(temporary)


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """Read safetensors.

    Raises:
        KgclipError: the file is missing, no regular file, or damaged.
    """
    from safetensors.torch import load_file

    check_safetensors(path, _MOST_HEADER_OF_WEIGHTS)
    with one_sentence(path, "tensors in a safetensors file"):
        return load_file(path)


def check_safetensors(path: Path, most_header: int = _MOST_HEADER) -> None:
    """Refuse, before a library opens it, what is no regular file or has so long a header that it fills the memory.

    Raises:
        KgclipError: it is; the message names the file.
    """
    with open_regular(path) as file:
        size, rest = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size - 8
    # A header that is longer than its file is the library's to tell: it reads none of it.
    if most_header < size <= rest:
        raise KgclipError(
            f"{path}: is no safetensors file, its header would have {size:,} bytes, expected at most {most_header:,}; "
            "restore it or write it again"
        )


def write_table(table: pa.Table, path: Path, header: dict[str, Any]) -> None:
    """Write a table as Parquet, atomically, with ``header`` as JSON under the metadata key ``kgclip``."""
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(header)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, **_PARQUET)


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write what `write_table` would, part by part and atomically; `write_header` comes last."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, **_PARQUET) as writer:
        yield writer


def write_header(writer: pq.ParquetWriter, header: dict[str, Any]) -> None:
    """End the table with its header."""
    writer.add_key_value_metadata({_METADATA_KEY: json.dumps(header)})


def read_table(
    path: Path, content: str, version: int, *, most_rows: int = 20_000_000
) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table written by ``write_table`` and its header, whose ``content`` and ``version`` must be these.

    Columns of strings come as dictionaries, as they lie in the file: a string that a million rows repeat stays one.

    Raises:
        KgclipError: the file is missing, damaged, not written by kgclip, of other content or of a newer version, or
            would fill the memory: it has more than ``most_rows``, or unpacks to more than ``_MOST_UNPACKED``.
    """
    if not path.exists():
        raise KgclipError(f"{path}: no such file; expected a kgclip {content} in Parquet")
    check_file(path)
    try:
        with pq.ParquetFile(path, thrift_container_size_limit=_MOST_LISTED) as file:
            strings = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        options = {"thrift_container_size_limit": _MOST_LISTED, "page_checksum_verification": True}
        with pq.ParquetFile(path, read_dictionary=strings, **options) as file:
            table, metadata = _read_batches(path, file, content, most_rows), file.metadata.metadata or {}
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise KgclipError(f"{path}: not a readable Parquet file ({reason}); write it again or restore it") from error
    try:
        header = parse_json(metadata[_METADATA_KEY]) if _METADATA_KEY in metadata else None
    except ValueError as error:
        raise KgclipError(f"{path}: its kgclip metadata is damaged; write it again or restore it") from error
    if not isinstance(header, dict) or header.get("content") != content:
        found = f"kgclip {header['content']}" if isinstance(header, dict) and "content" in header else "other Parquet"
        raise KgclipError(f"{path}: holds {found[:80]}, expected a kgclip {content}; check the path")
    if header.get("version") != version:
        raise KgclipError(
            f"{path}: {content} format version {str(header.get('version'))[:20]}, this kgclip reads {version}; "
            "build the file again with this kgclip"
        )
    return table, header


def _read_batches(path: Path, file: pq.ParquetFile, content: str, most_rows: int) -> pa.Table:
    """All rows, or none where they would fill the memory, as the header says of rows and reading of the rest."""
    # Nothing is asked of single columns: pyarrow ends the process where their damaged metadata contradict themselves.
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    rows = max(file.metadata.num_rows, sum(group.num_rows for group in groups))
    if rows > most_rows:
        raise KgclipError(f"{path}: has {rows:,} rows; a {content} of at most {most_rows:,} can be read")
    num_bytes = sum(max(group.total_byte_size, 0) for group in groups)
    batches: list[pa.RecordBatch] = []
    if num_bytes <= _MOST_UNPACKED:
        num_bytes = 0
        for batch in file.iter_batches(_ROWS_OF_A_BATCH, use_threads=False):
            num_bytes += batch.nbytes
            if num_bytes > _MOST_UNPACKED:
                break
            batches.append(batch)
    if num_bytes > _MOST_UNPACKED:
        raise KgclipError(f"{path}: unpacks to more than {_MOST_UNPACKED:,} bytes, as no {content} does; leave it out")
    return pa.Table.from_batches(batches, file.schema_arrow)


@contextmanager
def disk_room(path: Path) -> Iterator[None]:
    """Turn a full disk, whoever meets it in the block, into a sentence that names what was to be written.

    polars has the number of the error in its text.
    """
    try:
        yield
    except Exception as error:
        said = re.search(r"\(os error (\d+)\)", str(error))
        number = int(said[1]) if said else getattr(error, "errno", None)
        if number not in _FULL:
            raise
        reason = os.strerror(number)
        raise KgclipError(
            f"{final_path(path)}: cannot be written ({reason}); make room or name a place on another disk"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
