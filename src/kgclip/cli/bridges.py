"""`kgclip data import | export`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from kgclip.cli.output import parse
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.data.bridges.registry import Bridge, BridgeOptions


@dataclass(frozen=True)
class ImportCommand:
    """Take what other tools hold: intervals of films, part annotations or keypoints.

    Intervals (elan, boris, label-studio) become a list video,label,start,end, which every command takes for a data set.
    Part annotations (cvat, hake) become a folder for --annotations, COCO keypoints a keypoints.parquet. What has no
    counterpart is left out and named. docs/bridges.md has a table.

    Examples:

      kgclip data import elan one.eaf two.eaf --tier action --out intervals.csv

      kgclip data import label-studio project.json --fps 25 --videos films/ --out intervals.csv

      kgclip data import cvat annotations.xml --out parts
    """

    format: Positional[str]
    """elan, boris, label-studio, cvat, coco or hake"""
    files: Positional[tuple[Path, ...]]
    """files of that format"""
    out: Path
    """list (.csv), folder of annotations or keypoints.parquet to write; must not exist"""
    videos: Path | None = None
    """elan, boris, label-studio: folder of the films (default: where the file says, or beside it)"""
    fps: float | None = None
    """label-studio: frames a second, the frameRate of the <Video> tag"""
    tier: tuple[str, ...] = ()
    """elan: tiers to take (default: all that are tied to the time line)"""
    clip: str | None = None
    """cvat: id of the clip (default: the file name of its video)"""
    data: Path | None = None
    """coco: the data set of the clips"""
    states: int | None = None
    """hake: length of the list of states that the file counts in, 76 or 93"""


@dataclass(frozen=True)
class ExportCommand:
    """Give intervals, part annotations or keypoints to another tool.

    elan, boris and label-studio take a list video,label,start,end or what kgclip watch --jsonl wrote; cvat takes a
    folder of part annotations, coco a keypoints.parquet. docs/bridges.md says what is lost.

    Examples:

      kgclip data export elan intervals.csv --out elan

      kgclip data export boris spans.jsonl --video film.mp4 --out film.boris

      kgclip data export coco annotations/keypoints.parquet --out keypoints.json
    """

    format: Positional[str]
    """elan, boris, label-studio, cvat or coco"""
    source: Positional[Path]
    """what to give"""
    out: Path
    """file or folder to write; must not exist"""
    video: Path | None = None
    """elan, boris, label-studio: the film that spans of kgclip watch are of"""
    fps: float | None = None
    """label-studio: frames a second, the frameRate of the <Video> tag"""


def import_(argv: Sequence[str]) -> int:
    """Run `kgclip data import`."""
    command = parse(ImportCommand, argv, "data import")
    bridge, options = _bridge(command, "read_options")
    if not command.files:
        raise KgclipError(f"data import {bridge.name}: no file given; name {bridge.what}")
    _print(bridge.read(command.files, options))
    return 0


def export(argv: Sequence[str]) -> int:
    """Run `kgclip data export`."""
    command = parse(ExportCommand, argv, "data export")
    bridge, options = _bridge(command, "write_options")
    if bridge.write is None:
        raise KgclipError(f"data export {bridge.name}: is not written, only read; choose another format")
    _print(bridge.write(command.source, options))
    return 0


def _bridge(command: ImportCommand | ExportCommand, taken: str) -> "tuple[Bridge, BridgeOptions]":
    """The format, and the options it takes.

    Raises:
        KgclipError: there is no such format, it does not take an option, or something stands at --out.
    """
    from kgclip.data.bridges.registry import BridgeOptions, bridges
    from kgclip.kg.names import did_you_mean
    from kgclip.locks import claim_output

    known = bridges()
    bridge = known.get(command.format)
    if bridge is None:
        raise KgclipError(
            f"{command.format}: is no format; expected {', '.join(known)}{did_you_mean(command.format, known)}"
        )
    names = {field.name for field in fields(BridgeOptions)} & {field.name for field in fields(command)}
    given: dict[str, Any] = {name: value for name in names if (value := getattr(command, name)) not in (None, ())}
    useless = sorted(given.keys() - getattr(bridge, taken) - {"out"})
    if useless:
        raise KgclipError(f"--{useless[0]}: has no meaning for {bridge.name}; leave the option out")
    claim_output(command.out)
    return bridge, BridgeOptions(**given)


def _print(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        print(sentence)
