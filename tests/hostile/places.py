"""What stands in place of a file: nothing that could be read, or what would be waited for without end."""

import os
import socket
from pathlib import Path

from tests.hostile.case import EITHER, READ, REFUSED, Make

MOST_NAME = 255


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def _endless_null(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/null")


def _socket(file: Path) -> None:
    file.unlink()
    here = Path.cwd()
    os.chdir(file.parent)  # addresses of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)
    os.chdir(here)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def _link(file: Path) -> None:
    other = file.with_name(f".sound{file.suffix}")
    file.rename(other)
    file.symlink_to(other.name)


def _closed(file: Path) -> None:
    file.chmod(0)


def _sparse(file: Path) -> None:
    """Takes no room on the disk, and is more than any reader but FFmpeg takes: that one goes through every byte."""
    os.truncate(file, 288 * 2**20)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _missing(file: Path) -> None:
    file.unlink()


PLACES: dict[str, tuple[Make, str]] = {
    "a named pipe": (_pipe, REFUSED),
    "a device without end": (_device, REFUSED),
    "a device without content": (_endless_null, REFUSED),
    "a socket": (_socket, REFUSED),
    "a folder": (_folder, REFUSED),
    "a link to itself": (_loop, REFUSED),
    "a link to nothing": (_nowhere, REFUSED),
    "a link to a sound file": (_link, READ),
    "no permission": (_closed, REFUSED),
    "288 MiB": (_sparse, EITHER),
    "empty": (_empty, REFUSED),
    "gone": (_missing, REFUSED),
}
"""With how each ends for every reader, but for :data:`UNLIKE`."""
UNLIKE: dict[tuple[str, str], str] = {
    ("list, sources", "gone"): READ,
    ("words", "empty"): READ,
    ("graph, TSV", "empty"): READ,
    ("sentence encoder, length", "gone"): READ,
    ("sentence encoder, length", "a link to nothing"): READ,
    ("sentence encoder, length", "a link to itself"): READ,
}
