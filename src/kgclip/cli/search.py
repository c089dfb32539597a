"""`kgclip index` and `kgclip search`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json, print_table
from kgclip.cli.predict import absolute_options, trained_recognizer
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.search.duplicates import Stretch
    from kgclip.search.reading import ClipReader
    from kgclip.search.rows import Reading
    from kgclip.search.searching import Hit


@dataclass(frozen=True)
class IndexCommand:
    """Read a folder of videos once, so that `kgclip search` finds clips in it.

    The same command again adds new and changed files and drops those that are gone; no clip is read twice, and a run
    that was broken off goes on where it was. A file that cannot be read is reported and does not stop the rest; the
    exit code is then 2.

    Examples:

      kgclip index videos/ --model model --out index
    """

    folder: Positional[Path]
    """folder of videos, at any depth, or an address of one (docs/remote.md)"""
    model: Path
    """the folder that `kgclip train` wrote"""
    out: Path
    """folder of the index, to write or to renew"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    pose: str | None = None
    """for a model that reads pose: its estimator, keypoints of the clips, or none; default: the one in its folder"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""
    engine: Literal["local", "ray"] = "local"
    """this machine, or the processes of a Ray cluster (docs/cluster.md)"""


@dataclass(frozen=True)
class SearchCommand:
    """Find clips by the movements they show, by an action, by an example, or by words.

    Movements stand in a row, joined by before (the first has ended when the next begins), then (it begins and ends
    earlier), with (at the same time) or and (in the same clip). Words are understood where the model's backbone reads
    texts, as CLIP does.

    Examples:

      kgclip search index "left arm raise before right leg kick"

      kgclip search index "push up" --top 20 --json

      kgclip search index example.mp4

      kgclip search index --duplicates
    """

    index: Positional[Path]
    """the folder that `kgclip index` wrote"""
    query: Positional[str | None] = None
    """movements, an action, the path of a clip, or words"""
    duplicates: Switch = False
    """in place of a query: list clips that are near-identical"""
    top: int = 10
    """how many hits to list"""
    model: Path | None = None
    """the model's folder, if it is no longer where it was"""
    encoder: str | None = None
    """for an example and a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""
    json: Switch = False
    """print one JSON object a line"""


def index(argv: Sequence[str]) -> int:
    """Run `kgclip index`."""
    command = parse(IndexCommand, argv, "index")
    from kgclip.search.indexing import index_folder

    on_ray = partial(_read_clip, command=absolute_options(command)) if command.engine == "ray" else None
    done = index_folder(_reader(command), command.model, command.folder, command.out, on_ray=on_ray)
    for reason in done.faults.values():
        print(f"kgclip: {reason}", file=sys.stderr)
    left_out = f", {len(done.faults)} left out" if done.faults else ""
    print(
        f"{command.out}: {done.files} files ({done.rows} stretches), {done.read} clips read, {done.gone} gone or "
        f"changed{left_out}"
    )
    return 2 if done.faults else 0


def _read_clip(path: Path, command: IndexCommand) -> "list[Reading]":
    """What one process of a cluster does."""
    return _reader_of_process(command).read(path)


@lru_cache(maxsize=1)
def _reader_of_process(command: IndexCommand) -> "ClipReader":
    return _reader(command)


def _reader(command: IndexCommand) -> "ClipReader":
    from kgclip.search.reading import ClipReader

    return ClipReader(
        trained_recognizer(command.model, command.encoder, command.encoder_weights, command.pose, command.device)
    )


def search(argv: Sequence[str]) -> int:
    """Run `kgclip search`."""
    command = parse(SearchCommand, argv, "search")
    if (command.query is None) != command.duplicates:
        raise KgclipError("search: takes either a query or --duplicates; see kgclip search --help")
    from kgclip.search.index import SearchIndex

    opened = SearchIndex(command.index)
    if command.query is None:
        from kgclip.search.duplicates import find_duplicates

        pairs = find_duplicates(opened)
        if command.json:
            for pair in pairs:
                print_json(pair.to_json())
            return 0
        rows = [
            (
                _stretch(pair.first),
                _stretch(pair.second),
                "same bytes" if pair.same_bytes else f"{pair.correlation:.3f}",
            )
            for pair in pairs
        ]
        print_table(f"{len(pairs)} near-identical pairs", ("clip", "other", "correlation"), rows)
        return 0
    from kgclip.search.reading import ClipReader
    from kgclip.search.searching import Searcher

    def reader() -> ClipReader:
        model = opened.model if command.model is None else command.model
        pose = None if opened.identity["pose"] is None else "none"
        return ClipReader(trained_recognizer(model, command.encoder, command.encoder_weights, pose, command.device))

    answer = Searcher(opened, reader).search(command.query, command.top)
    if command.json:
        for hit in answer.hits:
            print_json(hit.to_json())
    elif answer.hits:
        measure = answer.hits[0].measure
        table = [(hit.file, f"{hit.start_s:.1f}–{hit.end_s:.1f}", hit.value, _why(hit)) for hit in answer.hits]
        print_table(command.query, ("clip", "seconds", measure, "movements seen"), table)
    else:
        print(answer.nothing)
    return 0


def _stretch(stretch: "Stretch") -> str:
    return f"{stretch.file} {stretch.start_s:.1f}–{stretch.end_s:.1f} s"


def _why(hit: "Hit") -> str:
    seen = ", ".join(f"{item.movement} {item.start_s:.1f}–{item.end_s:.1f} s" for item in hit.seen)
    copies = f" (also {', '.join(hit.copies)})" if hit.copies else ""
    return f"{seen or 'none for certain'}{copies}"
