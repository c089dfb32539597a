"""Files that are whole or absent, and Parquet tables that carry a JSON header."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from torch import Tensor

_METADATA_KEY = b"kgclip"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it when the block ends, and vanishes when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    except (OSError, ValueError) as error:
        raise KgclipError(f"{path}: cannot be read as JSON ({error}); restore the file") from error


def save_tensors(tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Write tensors as safetensors, atomically and flushed to the disk."""
    # Imported here: listing files and reading graphs need no torch.
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())


def write_table(table: pa.Table, path: Path, header: dict[str, Any]) -> None:
    """Write a table as Parquet, atomically, with ``header`` as JSON under the metadata key ``kgclip``."""
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(header)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path, content: str, version: int) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table written by ``write_table`` and its header, whose ``content`` and ``version`` must be these.

    Raises:
        KgclipError: the file is missing, damaged, not written by kgclip, of other content or of a newer version.
    """
    if not path.is_file():
        raise KgclipError(f"{path}: no such file; expected a kgclip {content} in Parquet")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise KgclipError(f"{path}: not a readable Parquet file ({reason}); write it again or restore it") from error
    metadata = (table.schema.metadata or {}).get(_METADATA_KEY)
    try:
        header = json.loads(metadata) if metadata is not None else None
    except ValueError as error:
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
