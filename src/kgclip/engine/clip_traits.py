"""Which files an earlier `kgclip fit` has read in a folder, and whether they are still the same."""

from collections.abc import Mapping
from pathlib import Path

from kgclip.data.annotation_files import trait_of
from kgclip.errors import KgclipError
from kgclip.files import read_json, write_json
from kgclip.video.cut import VideoPath, file_of

CLIPS = "clips.json"
# Tells the file from one of the same name that somebody else has written.
_MARK = "kgclip_fit"


def traits_of(paths: Mapping[str, VideoPath]) -> dict[str, str]:
    """What a change of each clip's file shows in."""
    return {clip: trait_of(clip, file_of(path).stat()) for clip, path in paths.items()}


def known_traits(folder: Path) -> dict[str, str]:
    """The same as `write_traits` has written it into a folder; nothing, where it has not."""
    try:
        value = read_json(folder / CLIPS)
    except KgclipError:
        return {}
    known = value.get(_MARK) if isinstance(value, dict) else None
    return known if isinstance(known, dict) else {}


def write_traits(folder: Path, traits: Mapping[str, str]) -> None:
    """Say which files are read from now on."""
    write_json(folder / CLIPS, {_MARK: dict(traits)})


def unchanged(folder: Path, traits: Mapping[str, str]) -> set[str]:
    """The clips whose file is the one that an earlier run has begun to read."""
    known = known_traits(folder)
    return {clip for clip, trait in traits.items() if known.get(clip) == trait}
