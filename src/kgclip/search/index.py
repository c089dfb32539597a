"""An index on disk: a folder that appears whole, of one model, whose content is replaced in one step."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float16, Float32, UInt8
from msgspec import convert

from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, read_json, read_table, write_json, write_table
from kgclip.reading import one_sentence
from kgclip.remote import at
from kgclip.search import nearest
from kgclip.search.nearest import Found, Graph, build_graph, nearest_exact
from kgclip.search.query import Vocabulary
from kgclip.search.rows import ROWS_FILE, SPANS_FILE, TENSORS_FILE, Places, Rows, Spans, load_column

FORMAT = 1
INDEX_FILE, FILES_FILE, GRAPH_FILE = "index.json", "files.parquet", "vectors.usearch"


@dataclass(frozen=True)
class IndexedFile:
    """A file of the library.

    Attributes:
        file: its path in the library's folder.
        size, mtime_ns: by which an unchanged file is known without being read.
        clip: SHA-256 of its bytes, by which a moved or copied one is.
    """

    file: str
    size: int
    mtime_ns: int
    clip: str


class SearchIndex:
    """An index that is there, read as far as it is asked.

    Args:
        folder: that ``kgclip index`` wrote.

    Attributes:
        library: the folder of videos.
        model: the folder of the model.
        identity: of what made the readings.
        vocabulary: what can be asked.

    Raises:
        KgclipError: it is no index, or damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        if not (folder / INDEX_FILE).is_file():
            raise KgclipError(f"{folder}: is no index, it has no {INDEX_FILE}; give what `kgclip index` wrote")
        stored = read_json(folder / INDEX_FILE)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise KgclipError(f"{folder / INDEX_FILE}: is not of an index of format {FORMAT}; make the index again")
        try:
            self.content = folder / str(int(stored["content"]))
            self.library, self.model = at(stored["library"]), Path(stored["model"])
            self.identity: dict[str, Any] = dict(stored["identity"])
            self.vocabulary = convert(stored["vocabulary"], Vocabulary)
            _check_vocabulary(self.vocabulary)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise KgclipError(f"{folder / INDEX_FILE}: is damaged ({error}); make the index again") from error

    def check(self, identity: Mapping[str, Any]) -> None:
        """Refuse another model.

        Raises:
            KgclipError: it is not the one that made this index.
        """
        for what, name in (("model", "by the model"), ("pose", "with poses of")):
            mine, other = self.identity.get(what), identity[what]
            if mine != other:
                raise KgclipError(
                    f"{self.folder}: was made {name} {str(mine)[:12]}, not {str(other)[:12]}; "
                    "give that one, or make another index"
                )

    @cached_property
    def files(self) -> tuple[IndexedFile, ...]:
        """The files of the library, in order."""
        table, _ = read_table(self.content / FILES_FILE, "search files", FORMAT)
        with one_sentence(self.content / FILES_FILE, "the files of an index"):
            return convert(table.to_pylist(), tuple[IndexedFile, ...])

    @cached_property
    def clips(self) -> dict[str, list[str]]:
        """The files of each clip, as the library names them: several have the same bytes."""
        clips: dict[str, list[str]] = {}
        for file in self.files:
            clips.setdefault(file.clip, []).append(file.file)
        return clips

    def path(self, file: str) -> str:
        """Where a file of the library is."""
        return str(self.library / file)

    @cached_property
    def places(self) -> Places:
        """Where rows come from."""
        places = Places.load(self.content)
        self._check(ROWS_FILE, bool((np.diff(places.ids) > 0).all()) and self.clips.keys() == set(places.clips))
        return places

    @cached_property
    def spans(self) -> Spans:
        """Movements seen."""
        spans = Spans.load(self.content)
        for column, count in ((spans.row, len(self.places.ids)), (spans.movement, len(self.vocabulary.movements))):
            self._check(SPANS_FILE, len(column) == 0 or 0 <= int(column.min()) <= int(column.max()) < count)
        return spans

    @cached_property
    def vectors(self) -> Float32[np.ndarray, "N F"]:
        """Of unit length."""
        return self._column("vectors")

    @cached_property
    def probability(self) -> Float16[np.ndarray, "N K"]:
        """Of each action, stated."""
        probability = self._column("probability")
        self._check(TENSORS_FILE, probability.shape[1] == len(self.vocabulary.actions))
        return probability

    @cached_property
    def sketches(self) -> UInt8[np.ndarray, "N P"]:
        """Small gray frames."""
        return self._column("sketches")

    def _column(self, name: str) -> np.ndarray:
        column = load_column(self.content, name)
        self._check(TENSORS_FILE, len(column) == len(self.places.ids))
        return column

    def _check(self, name: str, sound: bool) -> None:
        if not sound:
            raise KgclipError(
                f"{self.content / name}: does not go with the other files of the index; make the index again"
            )

    def nearest(self, query: Float32[np.ndarray, " F"], count: int) -> Found:
        """The nearest rows: all of them compared, or by the graph if there is one."""
        graph = self.content / GRAPH_FILE
        if graph.is_file():
            return Graph(graph, self.places.ids, len(query)).nearest(query, count)
        return nearest_exact(self.vectors, query, count)

    def rows(self) -> Rows:
        """All of them, in memory."""
        return Rows.load(self.content)


def _check_vocabulary(vocabulary: Vocabulary) -> None:
    """Refuse positions and lengths that do not go together."""
    positions = [m for definition in vocabulary.definitions for m in definition]
    if (
        len(vocabulary.told) != len(vocabulary.movements)
        or len(vocabulary.definitions) != len(vocabulary.actions)
        or not all(0 <= m < len(vocabulary.movements) for m in positions)
    ):
        raise ValueError("a vocabulary of other lengths")


def write_index(out: Path, header: Mapping[str, Any], files: list[IndexedFile], rows: Rows) -> None:
    """Write an index, or the next content of one that is there, which takes the place of the old one in one step.

    Args:
        out: the folder.
        header: library, model, identity and vocabulary as plain JSON values.
        files: of the library.
        rows: of their clips.

    Raises:
        KgclipError: more rows than are compared one by one, and usearch is not installed.
    """
    numbers = [int(entry.name) for entry in out.iterdir() if entry.name.isdecimal()] if out.exists() else []
    number = max(numbers, default=0) + 1
    values = {"format": FORMAT, "content": number, **header}
    if not numbers:
        with atomic_folder(out) as temporary:
            (temporary / str(number)).mkdir()
            _write_content(temporary / str(number), files, rows, None)
            write_json(temporary / INDEX_FILE, values)
        return
    before = SearchIndex(out).content
    with atomic_folder(out / str(number)) as temporary:
        _write_content(temporary, files, rows, before)
    write_json(out / INDEX_FILE, values)
    drop_others(out / str(number))


def drop_others(content: Path) -> None:
    """Remove all contents of an index but that one: what it replaces, and what a run that was killed left."""
    for entry in content.parent.iterdir():
        if entry.is_dir() and entry.name.isdecimal() and entry != content:
            shutil.rmtree(entry)


def _write_content(folder: Path, files: list[IndexedFile], rows: Rows, before: Path | None) -> None:
    columns = {name: [getattr(file, name) for file in files] for name in IndexedFile.__dataclass_fields__}
    write_table(pa.table(columns), folder / FILES_FILE, {"content": "search files", "version": FORMAT})
    rows.save(folder)
    if len(rows.vectors) > nearest.MOST_EXACT:
        known = None if before is None or not (before / GRAPH_FILE).is_file() else before / GRAPH_FILE
        build_graph(rows.vectors, rows.places.ids, folder / GRAPH_FILE, known)
