"""What lies in a library, here or elsewhere: readers of layouts look at a folder either way."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kgclip.copies import MOST_BYTES, local_file
from kgclip.data.clip import VIDEO_EXTENSIONS, is_foreign, is_video
from kgclip.data.shards import SHARD, read_shards, shards_at
from kgclip.errors import KgclipError
from kgclip.reading import reason_of
from kgclip.remains import scratch_folder
from kgclip.remote import Listed, Stored, at, files_under
from kgclip.video.cut import Cut, VideoPath, video_at

logger = logging.getLogger(__name__)

# Lists of clips and of words, which readers of layouts open.
TABLES = (".csv", ".tsv", ".txt", ".lst")
MOST_TABLE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Library:
    """A library as readers of layouts may look at it.

    Attributes:
        path: the library itself, or names that stand for it: its lists with their content, and in place of each video
            a file of its length that holds nothing, whose time changes with the video.
        folder, address: of a library that lies elsewhere, where its names are, and what they stand for.
    """

    path: Path
    folder: Path = Path()
    address: Stored | None = None

    def original(self, video: VideoPath) -> VideoPath:
        """The video that a name stands for.

        Raises:
            KgclipError: it lies outside of a library elsewhere.
        """
        if self.address is None or isinstance(video, Stored):
            return video
        if isinstance(video, Cut):
            file = self.original(video.file)
            assert isinstance(file, Path)
            return replace(video, file=file)
        inside = os.path.relpath(video, self.folder)
        if inside.startswith(".."):
            raise KgclipError(f"{self.address}: names {video}, which does not lie in or below its folder; leave it out")
        return self.address / inside


@contextmanager
def library_at(path: Path) -> Iterator[Library]:
    """A library at a path, or at an address that `kgclip.remote` reads, while the block runs.

    An error in the block names the library, not what stands for it.

    Raises:
        KgclipError: it lies elsewhere and cannot be listed.
    """
    path = at(path)
    if not isinstance(path, Stored):
        yield Library(path)
        return
    is_file = path.suffix.lower() in (*TABLES, SHARD, *VIDEO_EXTENSIONS)
    address = path.parent if is_file else path
    with scratch_folder("library") as temporary:
        # In a folder of its own: readers also look beside a list's folder.
        folder = temporary / (address.name or "library")
        folder.mkdir()
        for name, listed in sorted(files_under(address).items()):
            _stand_for(address, folder, name, listed)
        try:
            yield Library(folder / path.name if is_file else folder, folder, address)
        except KgclipError as error:
            raise KgclipError(str(error).replace(str(folder), str(address))) from error


def videos_under(folder: Path) -> list[Path]:
    """The videos at any depth in a folder, in order, without foreign ones."""
    # os.path takes what may not be looked at for no folder: whoever reads it says so.
    found = (path for path in folder.rglob("*") if is_video(path.name) and not os.path.isdir(path))  # noqa: PTH112
    return sorted(path for path in found if not any(map(is_foreign, path.relative_to(folder).parts)))


def find_videos(files: Sequence[str | VideoPath]) -> Iterator[VideoPath]:
    """Files and their cuts as they are, folders as the videos in them (recursively, sorted), or if empty themselves."""
    for file in map(video_at, files):
        if isinstance(file, Cut) or (isinstance(file, Stored) and file.suffix.lower() in VIDEO_EXTENSIONS):
            yield file
            continue
        with library_at(file) as library:
            shards = [library.original(shard) for shard in shards_at(library.path)]
            found = videos_under(library.path) if library.path.is_dir() else []
            videos = [*(entry.path for entry in read_shards(shards)), *(library.original(path) for path in found)]
        yield from videos or [file]


def _stand_for(address: Stored, folder: Path, name: str, listed: Listed) -> None:
    """Put a file in place of a video, or the content of a list."""
    plain = PurePosixPath(name)
    if plain.is_absolute() or ".." in plain.parts or plain.as_posix() != name:
        logger.warning("%s: leaves out %r, as no file can be named so", address, name)
        return
    is_list = plain.suffix.lower() in TABLES and plain.parent.as_posix() in (".", "list")
    if not is_list and not is_video(plain.name) and (plain.suffix.lower() != SHARD or name != plain.name):
        return
    try:
        (folder / plain).parent.mkdir(parents=True, exist_ok=True)
        if is_list and listed.size <= MOST_TABLE_BYTES:
            with local_file(address / plain) as file:
                (folder / plain).write_bytes(file.read_bytes())
            return
        with (folder / plain).open("xb") as file:
            file.truncate(min(listed.size, MOST_BYTES + 1))  # file systems have a limit, too
        os.utime(folder / plain, ns=(listed.version, listed.version))
    except (OSError, ValueError) as error:
        logger.warning("%s: leaves out %r, as no file can be named so (%s)", address, name, reason_of(error))
