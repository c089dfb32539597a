"""Hostile videos."""

import struct

from tests.fuzz.seeds import CONTAINERS
from tests.hostile.case import EITHER, REFUSED, Case, Make, cases, holding

VIDEOS = tuple(f"video, {suffix}" for suffix in CONTAINERS)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\0IEND\xaeB`\x82"
LARGE_PNG = PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:]
_OF_EVERY_VIDEO: dict[str, tuple] = {
    "its first third": (lambda sound: sound[: len(sound) // 3], EITHER),
    "its first hundred bytes": (lambda sound: sound[:100], EITHER),
    "its last half": (lambda sound: sound[len(sound) // 2 :], EITHER),
    "nothing but zeros": (lambda sound: bytes(len(sound)), REFUSED),
    "its head and zeros": (lambda sound: sound[:200] + bytes(len(sound) - 200), EITHER),
    "itself twice": (lambda sound: sound * 2, EITHER),
    "every fourth byte turned": (
        lambda sound: bytes(b ^ 255 if n % 4 == 3 else b for n, b in enumerate(sound)),
        REFUSED,
    ),
    "text": ("plain text\n" * 100, REFUSED),
    "a picture": (PNG, REFUSED),
    "a picture of 2**31 by 2**31": (LARGE_PNG, REFUSED),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(200), REFUSED),
    "a playlist": ("#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", REFUSED),
    "a list of files": ("ffconcat version 1.0\nfile /etc/passwd\n", REFUSED),
    "a session elsewhere": ("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n", REFUSED),
    "a manifest": ('<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>', REFUSED),
    "subtitles": ("1\n00:00:00,000 --> 00:00:01,000\n{\\pos(1,1)}x\n", REFUSED),
}


def box(kind: bytes, content: bytes) -> bytes:
    """A box of MP4."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def within(kind: bytes, at: int, value: bytes) -> Make:
    """An MP4 with bytes of one of its boxes replaced, counted from behind the box's name."""

    def change(sound: bytes) -> bytes:
        start = sound.index(kind) + 4 + at
        return sound[:start] + value + sound[start + len(value) :]

    return holding(change)


def _of_size(width: int, height: int) -> bytes:
    """A GIF of one pixel on a canvas."""
    canvas = struct.pack("<HH", width, height)
    return b"GIF89a" + canvas + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


BIG = struct.pack(">I", 2**32 - 1)
MP4 = cases(
    "video, mp4",
    {
        "boxes 100,000 deep": (
            b"".join(struct.pack(">I", 8 * (100_000 - n)) + b"moov" for n in range(100_000)),
            REFUSED,
        ),
        "a box of size 0": (box(b"ftyp", b"isom\0\0\0\0isom") + b"\0\0\0\0moov", REFUSED),
        "a box of size 1": (box(b"ftyp", b"isom\0\0\0\0isom") + b"\0\0\0\x01moov" + b"\xff" * 8, REFUSED),
        "four billion samples of one size": (within(b"stsz", 4, struct.pack(">II", 1, 2**32 - 1)), EITHER),
        "50 million samples of one size": (within(b"stsz", 4, struct.pack(">II", 1, 50_000_000)), EITHER),
        "more sizes than there are": (within(b"stsz", 8, BIG), EITHER),
        "more chunks than there are": (within(b"stco", 4, BIG), EITHER),
        "chunks of 50 million samples": (within(b"stsc", 12, struct.pack(">I", 50_000_000)), EITHER),
        "times of four billion samples": (within(b"stts", 8, BIG), EITHER),
        "ten million times that are not there": (within(b"stts", 4, struct.pack(">I", 10_000_000)), EITHER),
        "a time of 2**31": (within(b"stts", 12, struct.pack(">I", 2**31 - 1)), EITHER),
        "a scale of 0": (within(b"mdhd", 12, bytes(4)), EITHER),
        "a scale of 2**32": (within(b"mdhd", 12, BIG), EITHER),
        "a matrix of zeros": (within(b"tkhd", 40, bytes(36)), EITHER),
        "a matrix of nonsense": (within(b"tkhd", 40, b"\xff" * 36), EITHER),
        "pictures of no size": (within(b"avc1", 24, bytes(4)), EITHER),
        "pictures of 65535 by 65535": (within(b"avc1", 24, b"\xff" * 4), EITHER),
        "a chunk beyond the end": (within(b"stco", 8, struct.pack(">I", 2**31)), REFUSED, "truncated"),
        "edits of nothing": (within(b"elst", 4, bytes(4)), EITHER),
        "an edit at -1": (within(b"elst", 12, b"\xff" * 4), EITHER),
        "no index": (lambda sound: sound.replace(b"moov", b"free"), EITHER),
        "a codec that is none": (lambda sound: sound.replace(b"avc1", b"zzzz"), REFUSED),
        "samples in another file": (lambda sound: sound.replace(b"url \0\0\0\x01", b"url \0\0\0\0"), EITHER),
    },
)
OTHERS = [
    *cases(
        "video, gif",
        {
            f"a canvas of {width} by {height}": (_of_size(width, height), REFUSED)
            for width, height in ((65535, 1), (1, 65535), (65535, 65535), (12000, 6000), (330, 10))
        }
        | {
            "a canvas of nothing": (_of_size(0, 0), REFUSED),
            "no picture": (b"GIF89a\x01\0\x01\0\0\0\0;", REFUSED),
            "an endless comment": (b"GIF89a\x01\0\x01\0\0\0\0!\xfe" + (b"\xff" + b"x" * 255) * 10_000, REFUSED),
            "a code of 13 bits": (_of_size(1, 1).replace(b"\x02\x02D\x01\0", b"\x0d\x02D\x01\0"), EITHER),
            "frames outside the canvas": (_of_size(1, 1).replace(b",\0\0\0\0", b",\xff\xff\xff\xff"), EITHER),
        },
    ),
    *cases(
        "video, avi",
        {
            "frames of 2**31 bytes": (lambda sound: sound.replace(b"00dc", b"00dc\xff\xff\xff\x7f"), EITHER),
            "a RIFF of 2**31": (lambda sound: sound[:4] + b"\xff\xff\xff\x7f" + sound[8:], REFUSED, "is truncated"),
            "an index of nonsense": (
                lambda sound: sound.partition(b"idx1")[0] + b"idx1\xf0\xff\xff\x0f" + b"\xff" * 4096,
                EITHER,
            ),
            "a rate of 0": (lambda sound: _after(sound, b"strh", 24, bytes(8)), EITHER),
            "four billion frames": (lambda sound: _after(sound, b"avih", 20, b"\xff" * 4), EITHER),
        },
    ),
    *cases(
        "video, mkv",
        {
            "a segment of 2**50": (lambda sound: _sized(sound, 2**50), REFUSED, "is truncated"),
            "a segment without size": (lambda sound: _sized(sound, 2**56 - 1), EITHER),
            "a scale of 0": (
                lambda sound: sound.replace(b"\x2a\xd7\xb1\x83\x0f\x42\x40", b"\x2a\xd7\xb1\x83\0\0\0"),
                EITHER,
            ),
            "elements of no size": (lambda sound: sound[:60] + b"\xec\x80" * 100_000 + sound[60:], EITHER),
        },
    ),
    *cases(
        "video, ts",
        {
            "packets without a start": (lambda sound: sound.replace(b"G", b"H"), REFUSED),
            "tables alone": (lambda sound: sound[:376] * 500, REFUSED),
            "packets in the reverse order": (
                lambda sound: b"".join(sound[n : n + 188] for n in range(len(sound) - 188, -1, -188)),
                EITHER,
            ),
        },
    ),
]


def _after(sound: bytes, name: bytes, at: int, value: bytes) -> bytes:
    start = sound.index(name) + 4 + at
    return sound[:start] + value + sound[start + len(value) :]


def _sized(sound: bytes, size: int) -> bytes:
    """Matroska whose segment states another size, in eight bytes."""
    start = sound.index(b"\x18\x53\x80\x67") + 4
    length = 9 - sound[start].bit_length()
    return sound[:start] + (size | 1 << 56).to_bytes(8, "big") + sound[start + length :]


VIDEO_CASES: list[Case] = [*(case for reader in VIDEOS for case in cases(reader, _OF_EVERY_VIDEO)), *MP4, *OTHERS]
