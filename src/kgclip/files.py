"""The one place for files: whole or absent, never over what is there, and one process at a time on one output."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from torch import Tensor

_METADATA_KEY = b"kgclip"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it when the block ends, and vanishes when it raises.

    Raises:
        KgclipError: the disk is full.
    """
    with _disk_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
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
    with _disk_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
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


def free_output(path: Path, option: str = "--out") -> None:
    """Refuse to write where something is already.

    Raises:
        KgclipError: ``path`` exists; the message names the option that gave it.
    """
    if os.path.lexists(path):
        raise KgclipError(f"{path}: exists already; choose another {option} or remove it")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other processes off an output (a file or a folder) while the block runs, by a lock file beside it.

    Raises:
        KgclipError: another process works on it; the message names its process id.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.kgclip-lock")
    handle = _locked(file, path)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(handle)


def _locked(file: Path, path: Path) -> int:
    """An open lock file that this process holds; one that its holder has just removed is made again."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode() or "?"
            os.close(handle)
            raise KgclipError(
                f"{path}: process {holder} is writing it; wait until that ends, or choose another --out"
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(file.stat(), os.fstat(handle)):
                return handle
        os.close(handle)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """Read UTF-8 text, with or without a byte order mark.

    Raises:
        KgclipError: the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise KgclipError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise KgclipError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        KgclipError: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KgclipError(f"{path}: cannot be read as JSON ({error}); restore the file") from error


def save_tensors(tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Write tensors as safetensors, atomically and flushed to the disk."""
    # Imported here: listing files and reading graphs need no torch.
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, temporary)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())


def write_table(table: pa.Table, path: Path, header: dict[str, Any]) -> None:
    """Write a table as Parquet, atomically, with ``header`` as JSON under the metadata key ``kgclip``."""
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(header)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(
    path: Path, content: str, version: int, *, most_rows: int = 100_000_000
) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table written by ``write_table`` and its header, whose ``content`` and ``version`` must be these.

    Raises:
        KgclipError: the file is missing, damaged, not written by kgclip, of other content or of a newer version, or has
            more than ``most_rows``, by which a small file can fill the memory.
    """
    if not path.is_file():
        raise KgclipError(f"{path}: no such file; expected a kgclip {content} in Parquet")
    try:
        num_rows = pq.read_metadata(path).num_rows
        if num_rows > most_rows:
            raise KgclipError(f"{path}: has {num_rows:,} rows; a {content} of at most {most_rows:,} can be read")
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise KgclipError(f"{path}: not a readable Parquet file ({reason}); write it again or restore it") from error
    metadata = (table.schema.metadata or {}).get(_METADATA_KEY)
    try:
        header = json.loads(metadata) if metadata is not None else None
    except (ValueError, RecursionError) as error:
        raise KgclipError(f"{path}: its kgclip metadata is damaged; write it again or restore it") from error
    if not isinstance(header, dict) or header.get("content") != content:
        found = f"kgclip {header['content']}" if isinstance(header, dict) and "content" in header else "other Parquet"
        raise KgclipError(f"{path}: holds {found}, expected a kgclip {content}; check the path")
    if header.get("version") != version:
        raise KgclipError(
            f"{path}: {content} format version {header.get('version')}, this kgclip reads {version}; "
            "build the file again with this kgclip"
        )
    return table, header


@contextmanager
def _disk_room(path: Path) -> Iterator[None]:
    """Turn a full disk, whoever meets it, into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = os.strerror(error.errno)
        raise KgclipError(f"{path}: cannot be written ({reason}); make room or name a place on another disk") from error


def _prefix(path: Path) -> str:
    """What names of temporary files and folders start with: hidden, and known as ours by program and process."""
    return f".{path.name}.kgclip-{os.getpid()}-"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
