"""XML and JSON files of other tools, read within bounds: what they hold may come from anywhere."""

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder, indent, tostring
from xml.parsers import expat

import orjson

from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from kgclip.reading import check_unpacked, read_bytes

MOST_BYTES = 2**26
DEEPEST, MOST_TAGS, MOST_ATTRIBUTES = 64, 1_500_000, 4_000_000
_LONG_TAG = re.compile(rb"<[^>]{100000}")


def read_xml(path: Path, root: str, what: str) -> Element:
    """The root of an XML file, which must be named ``root``; ``what`` is what was expected, for messages.

    Document types are refused, and with them entities, which may name other files or grow without bound.

    Raises:
        KgclipError: the file cannot be read, is too large or too deep, is no XML, has a document type, or another root.
    """
    content = _bytes(path, what)
    if _LONG_TAG.search(content):  # expat would hold all that is in it
        raise KgclipError(f"{path}: has a tag of more than 100,000 characters, which {what} has not; check the file")
    if content.count(b"<") > MOST_TAGS or content.count(b"=") > MOST_ATTRIBUTES:
        raise KgclipError(
            f"{path}: has more than {MOST_TAGS:,} tags or {MOST_ATTRIBUTES:,} attributes; expected {what}, export it "
            "in several files"
        )
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def refuse(*_: object) -> None:
        raise KgclipError(f"{path}: has a document type (DOCTYPE), which {what} has not; export the file again")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise KgclipError(f"{path}: has elements more than {DEEPEST} deep, which {what} has not; check the file")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise KgclipError(f"{path}: is no whole XML ({error}); expected {what}, export the file again") from None
    element = builder.close()
    if element.tag != root:
        raise KgclipError(f"{path}: has the root <{element.tag}>; expected {what} with <{root}>")
    return element


def write_xml(path: Path, root: Element) -> None:
    """Write an XML file, atomically and with an element a line."""
    indent(root)
    with atomic_path(path) as temporary:
        temporary.write_bytes(tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def read_json(path: Path, what: str) -> Any:
    """What a JSON file holds; ``what`` is what was expected, for messages.

    Raises:
        KgclipError: the file cannot be read, is too large or too deep (1,024), or no JSON.
    """
    try:
        content = _bytes(path, what).removeprefix(b"\xef\xbb\xbf")
        check_unpacked(content)
        return orjson.loads(content)
    except ValueError as error:
        raise KgclipError(f"{path}: is no whole JSON ({error}); expected {what}, export the file again") from None


def _bytes(path: Path, what: str) -> bytes:
    try:
        if not path.is_file():
            raise KgclipError(f"{path}: no such file; expected {what}")
        if path.stat().st_size > MOST_BYTES:
            raise KgclipError(
                f"{path}: has more than {MOST_BYTES // 2**20} MiB; expected {what}, export it in several files"
            )
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise KgclipError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
