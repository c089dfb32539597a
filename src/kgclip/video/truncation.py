"""Whether a file ends before the place where its own header says it does."""

from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.video.container import VideoFile

RIFF = b"RIFF"
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
HEAD_BYTES = 256


def check_length(file: VideoFile) -> None:
    """Raise KgclipError where a file is shorter than it declares itself to be."""
    if "mp4" in file.container.format.name:
        expected = max((e.pos + e.size for e in file.stream.index_entries), default=0)
    else:
        expected = declared_bytes(file.path)  # of AVI without the 8 bytes of its head, which some writers count in
    size = file.path.stat().st_size
    if expected > size:
        raise KgclipError(f"{file.path}: is truncated, {size} of at least {expected} bytes; copy it again or drop it")


def declared_bytes(path: Path) -> int:
    """The length in bytes that the head of an AVI, Matroska or WebM file declares; 0 where it declares none.

    A file shorter than that is truncated.

    AVI is a RIFF chunk (its size, 4 bytes, follows the tag); Matroska is an EBML header and a segment, each with its
    size after the tag (RFC 8794, RFC 9559).
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(RIFF):
        size = int.from_bytes(head[4:8], "little")
        return 0 if size == 0xFFFFFFFF else size
    if head.startswith(EBML):
        size, start = _ebml_size(head, len(EBML))
        if size is not None and head[start + size :].startswith(SEGMENT):
            size, start = _ebml_size(head, start + size + len(SEGMENT))
            return 0 if size is None else start + size
    return 0


def _ebml_size(data: bytes, start: int) -> tuple[int | None, int]:
    """The size written at `start`, None where it is left open, and the position after it.

    The zeros before the first 1 bit tell how many bytes follow; all ones after it stand for *unknown*.
    """
    length = 9 - data[start].bit_length() if start < len(data) else 9
    if length > 8 or start + length > len(data):
        return None, start
    bits = 7 * length
    size = int.from_bytes(data[start : start + length], "big") & (2**bits - 1)
    return (None if size == 2**bits - 1 else size), start + length
