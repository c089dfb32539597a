"""Hostile Parquet, safetensors and zip files."""

import json
import struct
import zipfile
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.case import EITHER, READ, REFUSED, Case, cases

PARQUETS = ("graph, Parquet", "model, graph", "keypoints, Parquet", "index, files", "index, rows", "index, spans")
TENSORS = ("features", "model, weights", "index, vectors", "sentence encoder, weights", "backbone, weights")


def varint(number: int) -> bytes:
    """A number of Thrift's compact protocol."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def zigzag(number: int) -> bytes:
    """The same with a sign."""
    return varint(2 * number if number >= 0 else -2 * number - 1)


def column(name: bytes, children: int | None = None, kind: int | None = None) -> bytes:
    """An element of the schema in a footer of Parquet."""
    typed = b"" if kind is None else b"\x15" + zigzag(kind)
    last = 0 if kind is None else 1
    out = typed + bytes([(3 - last) << 4 | 5]) + zigzag(0) + b"\x18" + varint(len(name)) + name
    return out + (b"" if children is None else b"\x15" + zigzag(children)) + b"\0"


def footer(schema: Sequence[bytes], rows: int = 0, groups: bytes = b"\x0c", count: int | None = None) -> bytes:
    """A Parquet file that is a footer alone."""
    length = len(schema) if count is None else count
    listed = (bytes([length << 4 | 12]) if length < 15 else b"\xfc" + varint(length)) + b"".join(schema)
    meta = b"\x15" + zigzag(1) + b"\x19" + listed + b"\x16" + zigzag(rows) + b"\x19" + groups + b"\0"
    return b"PAR1" + meta + len(meta).to_bytes(4, "little") + b"PAR1"


LEAF = column(b"x", kind=1)
ROOT = column(b"a", 1)


def _table(sound: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(sound))


def packed(table: pa.Table, **options: Any) -> bytes:
    """A table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


def _with_header(sound: bytes, header: bytes) -> bytes:
    return packed(_table(sound).replace_schema_metadata({b"kgclip": header}))


def _with_version(sound: bytes) -> bytes:
    table = _table(sound)
    header = json.loads(table.schema.metadata[b"kgclip"]) | {"version": 99}
    return _with_header(sound, json.dumps(header).encode())


def _with_nulls(sound: bytes) -> bytes:
    table = _table(sound)
    nulls = [pa.nulls(len(table), field.type) for field in table.schema]
    return packed(pa.Table.from_arrays(nulls, schema=table.schema))


def _of_texts(sound: bytes) -> bytes:
    table = _table(sound)
    texts = {name: ["x"] * len(table) for name in table.column_names}
    return packed(pa.table(texts).replace_schema_metadata(table.schema.metadata))


def _without_columns(sound: bytes) -> bytes:
    return packed(_table(sound).select([0]))


def _repeated(sound: bytes) -> bytes:
    table = _table(sound)
    return packed(pa.concat_tables([table] * 100_000))


def _bomb(sound: bytes) -> bytes:
    """1,200 texts of half a megabyte each in 150 kilobytes."""
    count, length = 1200, 500_000
    letters = pa.py_buffer(np.full(count * length, ord("a"), np.uint8))
    offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int32) * length)
    table = pa.table({"head": pa.StringArray.from_buffers(count, offsets, letters)})
    table = table.replace_schema_metadata(_table(sound).schema.metadata)
    return packed(table, compression="brotli", compression_level=1, use_dictionary=False, data_page_size=2**31 - 1)


PARQUET: dict[str, tuple] = {
    "its first half": (lambda sound: sound[: len(sound) // 2], REFUSED),
    "the magic alone": (b"PAR1PAR1", REFUSED),
    "a footer longer than the file": (lambda sound: sound[:-8] + b"\xff\xff\xff\x7fPAR1", REFUSED),
    "a footer of a negative length": (lambda sound: sound[:-8] + b"\xff\xff\xff\xffPAR1", REFUSED),
    "a footer of nothing": (b"PAR1\0\0\0\0PAR1", REFUSED),
    "an encrypted footer": (lambda sound: sound[:-4] + b"PARE", REFUSED),
    "a schema 100,000 deep": (footer([ROOT] * 100_000 + [LEAF]), REFUSED),
    "a schema of 200,000 columns": (footer([column(b"a", 200_000), *[LEAF] * 200_000]), REFUSED),
    "a schema without root": (footer([]), REFUSED),
    "more children than there are": (footer([column(b"a", 2**31 - 1), LEAF]), REFUSED),
    "less children than none": (footer([column(b"a", -1), LEAF]), REFUSED),
    "a list longer than the file": (footer([ROOT, LEAF], count=2**31 - 1), REFUSED),
    "a type that is none": (footer([ROOT, column(b"x", kind=99)]), REFUSED),
    "2**62 rows": (footer([ROOT, LEAF], 2**62), REFUSED),
    "rows below zero": (footer([ROOT, LEAF], -5), REFUSED),
    "groups without columns": (footer([ROOT, LEAF], 5, b"\x3c" + b"\x19\x0c\x16\x00\x16\x0a\0" * 3), REFUSED),
    "a name that is no text": (footer([ROOT, column(b"\xff\xfe", kind=1)]), REFUSED),
    "a table of somebody else": (packed(pa.table({"a": [1]})), REFUSED, "holds other Parquet"),
    "a header that is no JSON": (lambda sound: _with_header(sound, b"{"), REFUSED, "metadata is damaged"),
    "a header a million deep": (lambda sound: _with_header(sound, b"[" * 1_000_000), REFUSED, "metadata is damaged"),
    "a header that is a list": (lambda sound: _with_header(sound, b"[]"), REFUSED, "holds other Parquet"),
    "a header of bytes": (lambda sound: _with_header(sound, b"\xff\xfe"), REFUSED, "metadata is damaged"),
    "a version to come": (_with_version, REFUSED, "format version 99"),
    "nulls": (_with_nulls, REFUSED),
    "texts in every column": (_of_texts, REFUSED),
    "one column": (_without_columns, REFUSED),
    "0.6 GB of text": (_bomb, REFUSED),
    "each row 100,000 times": (_repeated, EITHER),
    "its pages changed": (lambda sound: sound[:40] + bytes(byte ^ 255 for byte in sound[40:60]) + sound[60:], REFUSED),
}


def safetensors(header: Any, data: int = 0) -> bytes:
    """A file of that header and so many bytes of data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def tensor(start: int = 0, end: int = 4, kind: Any = "F32", shape: Any = (1,)) -> dict[str, Any]:
    """A tensor in a header."""
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@cache
def _many_tensors() -> bytes:
    return safetensors({str(n): tensor(0, 0, shape=[0]) for n in range(200_000)})


SAFETENSORS: dict[str, tuple] = {
    "its first half": (lambda sound: sound[: len(sound) // 2], REFUSED),
    "seven bytes": (b"\0" * 7, REFUSED),
    "a header of 2**63 bytes": (struct.pack("<Q", 2**63), REFUSED),
    "a header longer than the file": (struct.pack("<Q", 1000) + b"{}", REFUSED),
    "a header of nothing": (struct.pack("<Q", 0), REFUSED),
    "a header of 90 MiB": (lambda _: safetensors(b"{" + b" " * 90 * 2**20 + b"}"), REFUSED),
    "a header that is no JSON": (safetensors(b"{" * 100), REFUSED),
    "a header a million deep": (safetensors(b"[" * 1_000_000), REFUSED),
    "a header of bytes": (safetensors(b"\xff" * 100), REFUSED),
    "a header that is a list": (safetensors([]), REFUSED),
    "no tensor": (safetensors({}), REFUSED),
    "200,000 tensors of nothing": (lambda _: _many_tensors(), REFUSED),
    "another tensor": (safetensors({"x": tensor()}, 4), REFUSED),
    "two tensors in one place": (safetensors({"a": tensor(), "b": tensor()}, 4), REFUSED),
    "a tensor beyond the end": (safetensors({"a": tensor(0, 2**40, shape=[2**38])}, 4), REFUSED),
    "a tensor that ends before it starts": (safetensors({"a": tensor(4, 0)}, 4), REFUSED),
    "a shape of 2**62 by 2**62": (safetensors({"a": tensor(shape=[2**62, 2**62])}, 4), REFUSED),
    "a shape of 2**62 by 0": (safetensors({"a": tensor(0, 0, shape=[2**62, 2**62, 0])}), REFUSED),
    "a shape below zero": (safetensors({"a": tensor(shape=[-1])}, 4), REFUSED),
    "a shape of words": (safetensors({"a": tensor(shape=["x"])}, 4), REFUSED),
    "a type that is none": (safetensors({"a": tensor(kind="F7")}, 4), REFUSED),
    "a type of four bits": (safetensors({"a": tensor(0, 1, "F4", [2])}, 1), REFUSED),
    "bytes that no tensor has": (safetensors({"a": tensor()}, 400), REFUSED),
    "metadata of numbers": (safetensors({"__metadata__": {"a": 1}}), REFUSED),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", REFUSED),
    "a zip of torch": (b"PK\x03\x04" + bytes(200), REFUSED),
}


def archive(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", packing) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


VIDEO_FILE, PART_FILE = "pred_vid_result.json", "pred_part_result.json"


def submission(videos: bytes = b'{"gym": "lunge"}', parts: bytes = b"{}", packing: int = zipfile.ZIP_STORED) -> bytes:
    """A submission of these two files."""
    return archive({VIDEO_FILE: videos, PART_FILE: parts}, packing)


def _frame(content: Any, name: str = "img_00001.json") -> bytes:
    return submission(parts=json.dumps({"gym": {name: content}}).encode())


def _human(**fields: Any) -> dict[str, Any]:
    return {"humans": [{"box": [0, 0, 9, 9], "parts": {"head": {"box": [[0, 0, 5, 5]], "verb": ["look"]}}} | fields]}


SUBMISSIONS = cases(
    "submission",
    {
        "its first half": (lambda sound: sound[: len(sound) // 2], REFUSED, "cannot be read as a zip file"),
        "no zip file": (b"PK\x05\x06" + bytes(4), REFUSED, "cannot be read as a zip file"),
        "a zip of nothing": (archive({}), REFUSED, "holds 0 files"),
        "one file": (archive({VIDEO_FILE: b"{}"}), REFUSED, f"holds 0 files {PART_FILE}"),
        "a file twice": (archive({VIDEO_FILE: b"{}", f"a/{VIDEO_FILE}": b"{}"}), REFUSED, "holds 2 files"),
        "a bomb": (lambda _: submission(b"[" + b" " * 2**25, packing=zipfile.ZIP_DEFLATED), REFUSED, "malformed JSON"),
        "a bomb that states 3 GiB": (
            lambda _: _stated(submission(b" " * 100), 100, 3 * 2**30),
            REFUSED,
            "unpacked, expected at most",
        ),
        "more bytes than it has": (
            lambda _: submission(b" " * 100).replace(struct.pack("<II", 100, 100), struct.pack("<II", 2**31 - 1, 100)),
            REFUSED,
            "states more bytes of",
        ),
        "a size that is stated too small": (lambda _: _stated(submission(b" " * 100), 100, 7), REFUSED),
        "20 MiB of objects": (submission(b"[" + b'{"":0},' * 3_000_000 + b"0]"), REFUSED, "malformed JSON"),
        "broken deflate": (
            lambda _: submission(b"x" * 1000, packing=zipfile.ZIP_DEFLATED).replace(b"\x4b\xac", b"\xff\xff"),
            REFUSED,
        ),
        "broken bzip2": (
            lambda _: submission(b"x" * 1000, packing=zipfile.ZIP_BZIP2).replace(b"1AY&SY", b"999999"),
            REFUSED,
            "cannot be read as a zip file",
        ),
        "broken LZMA": (
            lambda _: submission(b"x" * 1000, packing=zipfile.ZIP_LZMA).replace(b"]\0\0", b"\xff\xff\xff"),
            REFUSED,
            "cannot be read as a zip file",
        ),
        "a way to pack that is none": (
            lambda _: submission().replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0"),
            REFUSED,
            "cannot be read as a zip file",
        ),
        "a password": (
            lambda _: submission().replace(b"\x14\0\0\0\0\0", b"\x14\0\x01\0\0\0"),
            REFUSED,
            "cannot be read as a zip file",
        ),
        "a name that is no text": (lambda _: _odd_name(archive({"äö": b""})), REFUSED, "cannot be read as a zip file"),
        "a file above the folder": (archive({f"../../{VIDEO_FILE}": b"{}", PART_FILE: b"{}"}), READ),
        "an action that is a number": (submission(b'{"gym": 5}'), REFUSED, "no action in words"),
        "videos that are a list": (submission(b"[]"), REFUSED, "is no JSON object"),
        "frames that are a list": (submission(parts=b'{"gym": []}'), REFUSED),
        "a frame of another name": (_frame({}, "x.json"), REFUSED, "is no frame"),
        "a frame that is a number": (_frame(5), REFUSED, "holds no list of humans"),
        "eleven humans": (_frame({"humans": _human()["humans"] * 11}), REFUSED, "has 11 humans"),
        "a human without box": (_frame(_human(box=None)), REFUSED, "is no box"),
        "a human of two boxes": (_frame(_human(box=[[0, 0, 1, 1]] * 2)), REFUSED, "a human has 2 boxes"),
        "a box of words": (_frame(_human(box=["a"] * 4)), REFUSED, "is no box"),
        "parts that are a number": (_frame(_human(parts=5)), REFUSED, "parts that are no object"),
        "a part without verb": (_frame(_human(parts={"head": {"box": [0, 0, 5, 5]}})), REFUSED, "no verb in words"),
        "100,000 proposals": (
            _frame(_human(parts={"head": {"box": [[0, 0, 5, 5]] * 100_000, "verb": ["look"] * 100_000}})),
            REFUSED,
            "up to 100000 proposals",
        ),
    },
)


def _stated(content: bytes, size: int, other: int) -> bytes:
    """A zip file that states another size of what it holds."""
    old, new = struct.pack("<II", size, size), struct.pack("<II", size, other)
    assert old in content
    return content.replace(old, new)


def _odd_name(content: bytes) -> bytes:
    return content.replace("äö".encode(), b"\xff\xff\xff\xff")


BINARY_CASES: list[Case] = [
    *(case for reader in PARQUETS for case in cases(reader, PARQUET)),
    *(case for reader in TENSORS for case in cases(reader, SAFETENSORS)),
    *SUBMISSIONS,
]
