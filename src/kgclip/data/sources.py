"""Which recording a clip was cut from, by a table, by a pattern of one's own or by how public data sets name clips."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kgclip.data.clip import Entry, clip_id
from kgclip.data.tables import read_table
from kgclip.errors import KgclipError
from kgclip.kg.names import spelling_key
from kgclip.video.cut import Cut, file_of, interval_of

# Kinetics: 11-character YouTube id, start and end second. Several clips may be cut from one video.
_KINETICS = re.compile(r"(?P<source>[\w-]{11})_\d{6}_\d{6}", re.ASCII)
# UCF101, UCF50: the clips of one group share person and background; groups are counted in each action.
_UCF = re.compile(r"(?P<source>v_\w+_g\d+)_c\d+", re.IGNORECASE)
# HMDB51, JHMDB: video, action, visible body, camera motion, number of people, view, quality, number of the clip.
_HMDB = re.compile(r"(?P<source>.+)_[fhlu]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:bad|med|goo)_\d+")


def source_of(clip_id: str, label: str | None = None) -> str | None:
    """The recording that the name of a Kinetics, UCF, HMDB or JHMDB clip tells, None for any other name.

    ``label`` is the action that an HMDB name repeats after that of its video.
    """
    name = clip_id.rsplit("/", 1)[-1]
    if match := _KINETICS.fullmatch(name) or _UCF.fullmatch(name):
        return match["source"]
    match = _HMDB.fullmatch(name)
    if match is None:
        return None
    words = match["source"].split("_")
    for count in range(1, len(words)):
        if label and spelling_key("".join(words[-count:])) == spelling_key(label):
            return "_".join(words[:-count])
    return match["source"]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression whose group ``source``, or else its first, is the source in a clip's id.

    Raises:
        KgclipError: it is no regular expression, or has no group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise KgclipError(f"--source-pattern {pattern!r}: is no regular expression ({error}); correct it") from None
    if not compiled.groups:
        raise KgclipError(
            f"--source-pattern {pattern!r}: has no group; put what names the source in parentheses, such as '^([^_]+)_'"
        )
    return compiled


def sources_in_table(path: Path) -> dict[str, str]:
    """The sources that a table with the columns video and source gives, by clip; none if there is no such table.

    Raises:
        KgclipError: the table is broken.
    """
    rows = read_table(path) if os.path.lexists(path) else []
    given = {row["video"]: row["source"] for row in rows if row.get("video") and row.get("source")}
    # Names may have their extension, as the files have.
    return {clip_id(video): source for video, source in given.items()} | given


def find_sources(
    entries: Iterable[Entry], in_table: Mapping[str, str], pattern: re.Pattern[str] | None
) -> dict[str, str | None]:
    """The source of each entry by its id, None where nothing names it.

    A pattern comes before the reader's own source, then come the table (by id or file name) and the public schemes; a
    cut has its film's, or else comes from the film itself.

    Raises:
        KgclipError: cuts of one film have several sources.
    """
    sources: dict[str, str | None] = {}
    of_file: dict[Path, str] = {}
    for entry in entries:
        match = pattern.search(entry.id) if pattern else None
        is_cut = isinstance(entry.path, Cut)
        film = interval_of(entry.id)[0] if is_cut else entry.id
        source = (
            (match["source" if "source" in match.re.groupindex else 1] if match else None)
            or entry.source
            or in_table.get(film)
            or in_table.get(film.rsplit("/", 1)[-1])
            or source_of(film, entry.label)
            or (film if is_cut else None)
        )
        sources[entry.id] = source
        other = of_file.setdefault(file_of(entry.path), source or entry.id)
        if other != (source or entry.id):
            raise KgclipError(
                f"{file_of(entry.path)}: its intervals have the sources {other!r} and {source or entry.id!r}; give all "
                "intervals of one recording the same source"
            )
    return sources
