"""Data sets in tar shards, in the layout of WebDataset: a video and a JSON file of one name for each clip."""

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kgclip.copies import MOST_BYTES, local_file
from kgclip.data.clip import Clip, Entry, clip_id, is_foreign, is_video, part_named
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder
from kgclip.progress import progress_bar
from kgclip.reading import parse_json, reason_of
from kgclip.remote import Member, listed, read_range
from kgclip.video.cut import Cut, VideoPath, file_of

SHARD = ".tar"
# Headers and labels are read in pieces of this size; a label or an extended header may not be larger.
WINDOW_BYTES = 2**16
MOST_MEMBERS, MOST_SHARDS = 1_000_000, 100_000
_RANGE = re.compile(r"(.*)\{(\d{1,9})\.\.(\d{1,9})\}(.*)")


def shards_at(path: Path) -> list[Path]:
    """The shards that a path names: one tar file, several as ``data-{0000..0009}.tar``, or all in a folder.

    There are none where it is another data set.

    Raises:
        KgclipError: one of several is not there.
    """
    if path.is_dir():
        try:
            inside = [entry for entry in path.iterdir() if not is_foreign(entry.name)]
        except OSError:
            return []  # who reads folders says why
        # An archive may lie in a folder of clips, too.
        others = [e for e in inside if e.is_dir() or is_video(e.name) or e.suffix.lower() in (".csv", ".tsv", ".txt")]
        return [] if others else sorted(file for file in inside if file.suffix.lower() == SHARD and file.is_file())
    if path.suffix.lower() != SHARD:
        return []
    names, match = [path.name], _RANGE.fullmatch(path.name)
    if match:
        first, last = int(match[2]), int(match[3])
        if not first <= last < first + MOST_SHARDS:
            raise KgclipError(f"{path}: names no shards or more than {MOST_SHARDS:,}; give the first and the last")
        names = [f"{match[1]}{number:0{len(match[2])}}{match[4]}" for number in range(first, last + 1)]
    shards = [path.with_name(name) for name in names]
    for shard in shards:
        if not shard.is_file():
            raise KgclipError(f"{shard}: there is no such shard; check the path")
    return shards


def read_shards(shards: Iterable[VideoPath]) -> Iterator[Entry]:
    """The clips of shards, of which no more than names and labels are read.

    The JSON beside a video may give its "id", "action", "part" and "source"; else a clip's id is its name in the shard.

    Raises:
        KgclipError: a shard is damaged, or holds what no data set does: links, names that lead out of it, large labels.
    """
    for shard in map(file_of, shards):
        videos: dict[str, Member] = {}
        labels: dict[str, Mapping[str, Any]] = {}
        for member, content in _members(shard):
            key = _key(member.name)
            if is_video(PurePosixPath(member.name).name):
                if key in videos:
                    raise KgclipError(f"{shard}: holds two videos named {key}; name one otherwise")
                videos[key] = Member.of(shard, member.name, member.offset_data, member.size)
            elif content is not None:
                labels[key] = _label(f"{shard}: {member.name}", content)
        for key, video in videos.items():
            label = labels.get(key, {})
            part = part_named(label.get("part", ""), f"{shard}: {key}.json")
            yield Entry(
                label.get("id") or clip_id(key), video, label.get("action") or None, part, label.get("source") or None
            )


def write_shards(clips: Iterable[Clip], out: Path, most_bytes: int, *, progress: bool = True) -> int:
    """Write clips, one after the other, into tar files in a folder that appears whole.

    Args:
        clips: whole files.
        out: folder to write.
        most_bytes: of a shard; one clip is in it at least.

    Returns:
        The number of shards.

    Raises:
        KgclipError: a clip cannot be read or is a cut, or something stands at ``out``.
    """
    clips = list(clips)
    number, archive = 0, None
    with atomic_folder(out) as folder, progress_bar("writing shards", len(clips), "clips", show=progress) as advance:
        for position, clip in enumerate(clips):
            if isinstance(clip.path, Cut):
                raise KgclipError(f"{clip.path}: is part of a file, shards hold whole ones; make it a file of its own")
            with local_file(clip.path) as file:
                size = listed(file).size
                if archive is None or archive.offset + size > most_bytes:
                    if archive is not None:
                        archive.close()
                    archive = tarfile.open(folder / f"data-{number:04}.tar", "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
                    number += 1
                label = {"id": clip.id, "action": clip.action, "part": clip.part, "source": clip.source}
                text = json.dumps({name: value for name, value in label.items() if value is not None}).encode()
                # WebDataset takes all after a name's first dot for its extension.
                key = "/".join((f"{position:08}", re.sub(r"[.\\]", "_", clip.path.stem)))
                # The label comes first, so that it lies beside the video's header and both are read at once.
                _add(archive, f"{key}.json", io.BytesIO(text), len(text))
                with file.open("rb") as content:
                    _add(archive, key + clip.path.suffix.lower(), content, size)
            advance(1)
        if archive is not None:
            archive.close()
    return number


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, content)


def _key(name: str) -> str:
    """What the files of one clip share: all before the first dot of the file's name, as WebDataset has it."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _members(shard: Path) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """The files in a shard, and the content of those that are labels."""
    headers = _Headers(shard)
    try:
        with tarfile.open(fileobj=headers, mode="r:") as archive:  # type: ignore[call-overload]
            for _ in range(MOST_MEMBERS):
                if (member := archive.next()) is None:
                    return
                archive.members.clear()  # it would keep them all
                _check(shard, member, headers.size)
                is_label = PurePosixPath(member.name).name.partition(".")[2].lower() == "json"
                if not member.isdir():
                    yield member, headers.at(member.offset_data, member.size) if is_label else None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise KgclipError(
            f"{shard}: is damaged, or no tar file without compression ({reason_of(error)}); write it again"
        ) from error
    raise KgclipError(f"{shard}: holds more than {MOST_MEMBERS:,} files; split it")


def _check(shard: Path, member: tarfile.TarInfo, size: int) -> None:
    name = PurePosixPath(member.name)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or member.sparse is not None:
        raise KgclipError(f"{shard}: holds {member.name[:80]!r}, which is a link, a device or sparse; leave it out")
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name or not name.name:
        raise KgclipError(f"{shard}: holds {member.name[:80]!r}, a name that leads out of it; name it otherwise")
    if not 0 <= member.size <= MOST_BYTES or member.offset_data + member.size > size:
        raise KgclipError(f"{shard}: ends before {member.name[:80]!r} does, or that is too large; write it again")


def _label(where: str, content: bytes) -> Mapping[str, Any]:
    try:
        label = parse_json(content)
    except ValueError as error:
        raise KgclipError(f"{where}: cannot be read as JSON ({error}); write it again") from error
    if not isinstance(label, dict):
        raise KgclipError(f'{where}: is no JSON object; expected {{"id": …, "action": …}}')
    for name in ("id", "action", "part", "source"):
        if not isinstance(label.get(name) or "", str):
            raise KgclipError(f"{where}: has {name} {str(label[name])[:40]}; expected a text")
    return label


class _Headers:
    """A shard as `tarfile` reads its headers: a window of it at a time, and nothing large."""

    def __init__(self, shard: Path):
        self.shard, self.size = shard, listed(shard).size
        self._position, self._start, self._window = 0, 0, b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        self._position = position
        return position

    def read(self, count: int) -> bytes:
        content = self.at(self._position, min(count, max(0, self.size - self._position)))
        self._position += len(content)
        return content

    def at(self, start: int, count: int) -> bytes:
        """The bytes from one on; KgclipError if they are more than a window has."""
        if count > WINDOW_BYTES:
            raise KgclipError(
                f"{self.shard}: has a label or header of {count:,} bytes; at most {WINDOW_BYTES:,} are read"
            )
        if not (self._start <= start and start + count <= self._start + len(self._window)):
            self._start = start
            self._window = read_range(self.shard, start, min(self.size, start + WINDOW_BYTES))
        return self._window[start - self._start :][:count]
