"""Files of other tools are read within bounds."""

from xml.etree.ElementTree import Element, SubElement

import pytest

from kgclip.data.bridges import documents
from kgclip.data.bridges.documents import read_json, read_xml, write_xml
from kgclip.errors import KgclipError

LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS, r"f\.xml: has a document type \(DOCTYPE\), which a letter has not; export the file again"),
        (OUTSIDE, "has a document type"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>', "has a document type"),
        ("<a>" * 65 + "</a>" * 65, "has elements more than 64 deep, which a letter has not"),
        ("<a><b></a>", r"is no whole XML \(mismatched tag: line 1, column 8\); expected a letter"),
        ("", "is no whole XML"),
        ("<a>&x;</a>", "is no whole XML"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "is no whole XML"),
        ("<b/>", r"has the root <b>; expected a letter with <a>"),
        ("<a>" + " " * 2000 + "</a>", "has more than 0 MiB; expected a letter, export it in several files"),
    ],
)
def test_xml_that_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(documents, "MOST_BYTES", 1500)
    (tmp_path / "f.xml").write_text(content)
    with pytest.raises(KgclipError, match=message):
        read_xml(tmp_path / "f.xml", "a", "a letter")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_xml_in_other_encodings(tmp_path, encoding):
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    (tmp_path / "f.xml").write_text(f'<?xml version="1.0" encoding="{name}"?><a b="é">ü &lt;</a>', encoding=encoding)
    root = read_xml(tmp_path / "f.xml", "a", "a letter")
    assert (root.text, root.attrib) == ("ü <", {"b": "é"})


def test_xml_round_trip(tmp_path):
    root = Element("a", x='"<&>"')
    SubElement(root, "b").text = "näm & <"
    write_xml(tmp_path / "f.xml", root)
    again = read_xml(tmp_path / "f.xml", "a", "a letter")
    assert (again.attrib, again.findtext("b")) == (root.attrib, "näm & <")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": ', r"f\.json: is no whole JSON \(.*\); expected a letter, export the file again"),
        ("[" * 3000 + "]" * 3000, "is no whole JSON"),
        ("1" * 3000, "has more than 0 MiB"),
        (b"\xff\xfe{", "is no whole JSON"),
    ],
)
def test_json_that_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(documents, "MOST_BYTES", 2999 if "MiB" in message else 10_000)
    (tmp_path / "f.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KgclipError, match=message):
        read_json(tmp_path / "f.json", "a letter")


def test_files_that_are_not_there(tmp_path):
    for read in (lambda path: read_xml(path, "a", "a letter"), lambda path: read_json(path, "a letter")):
        with pytest.raises(KgclipError, match="no such file; expected a letter"):
            read(tmp_path / "gone")
        with pytest.raises(KgclipError, match="no such file"):
            read(tmp_path)
