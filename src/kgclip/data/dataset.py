"""A data set of labeled clips on disk, whatever its layout (docs/data.md)."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from kgclip.data.annotation_files import clip_folders, foreign_format
from kgclip.data.clip import PARTS_OF_A_DATA_SET, Clip, Entry, clip_id
from kgclip.data.listing import Library, library_at
from kgclip.data.readers.registry import layouts, reader_of
from kgclip.data.shards import read_shards, shards_at
from kgclip.data.sources import compile_pattern, find_sources, sources_in_table
from kgclip.data.vocabulary import Vocabulary, find_vocabulary
from kgclip.data.wording import count_of, examples_of, printable
from kgclip.errors import KgclipError
from kgclip.kg.inspect import Finding
from kgclip.kg.names import one_spelling, plain_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSet:
    """Clips sorted by id, with the folder of their part annotations and its vocabulary, where there are any.

    ``root`` is the folder of the data set (for a list, the folder that holds it). ``findings`` are what opening it
    found doubtful about names and sources.
    """

    root: Path
    clips: tuple[Clip, ...]
    annotations: Path | None
    vocabulary: Vocabulary | None
    findings: tuple[Finding, ...] = ()

    @cached_property
    def actions(self) -> list[str]:
        """The action names in alphabetical order."""
        return sorted({clip.action for clip in self.clips if clip.action is not None})

    @cached_property
    def by_id(self) -> dict[str, Clip]:
        """Every clip by its id."""
        return {clip.id: clip for clip in self.clips}

    @cached_property
    def ids_by_name(self) -> Mapping[str, list[str]]:
        """The ids of the clips of each file name (without extension)."""
        ids: dict[str, list[str]] = defaultdict(list)
        for clip in self.clips:
            ids[clip.id.rsplit("/", 1)[-1]].append(clip.id)
        return ids

    @cached_property
    def annotation_folders(self) -> tuple[Path, ...]:
        """Every folder that holds annotations: ``train_annotations`` brings ``test_annotations`` along."""
        if self.annotations is None:
            return ()
        if self.annotations != self.root / "train_annotations":
            return (self.annotations,)
        folders = [self.root / f"{part}_annotations" for part in PARTS_OF_A_DATA_SET]
        return tuple(folder for folder in folders if folder.is_dir())

    def annotated(self) -> Iterator[tuple[str | None, str, str]]:
        """Every folder of frame annotations as (clip id, path, name for a message); no id if it is of no clip."""
        for root in self.annotation_folders:
            for folder in clip_folders(root):
                clip = self._clip_of_folder(os.path.relpath(folder, root))
                yield clip, folder, printable(os.path.relpath(folder, root.parent))

    def _clip_of_folder(self, folder: str) -> str | None:
        """The id of the clip that a folder of annotations is named after, None if that is no clip or several.

        ``folder`` is relative to the annotations, e.g. ``golf/clip_1``; if it is no id, its name is enough where one
        clip has it, and may be doubled as in Kinetics-TPS.
        """
        # Its last word may look like a video's extension.
        if (whole := clip_id(f"{folder}.mp4")) in self.by_id:
            return whole
        words = clip_id(folder).split("/")
        ids = self.ids_by_name.get(words[-1], [])
        if len(ids) > 1 and len(words) > 1 and words[-1] == words[-2]:
            words.pop()
        for depth in range(2, len(words) + 1):  # the folders above tell clips of one name apart
            if len(ids) > 1:
                end = "/".join(words[-depth:])
                ids = [name for name in ids if f"/{name}".endswith(f"/{end}")]
        return ids[0] if len(ids) == 1 else None

    def warn(self) -> None:
        """Log what is doubtful about names and sources."""
        for finding in self.findings:
            logger.warning("%s: %s", self.root, finding.message)


def open_dataset(
    path: Path, annotations: Path | None = None, source_pattern: str | None = None, actions: Sequence[str] = ()
) -> DataSet:
    """Open a data set, telling its layout from what lies at ``path``.

    Args:
        path: a folder or a list, in any layout of a registered reader (docs/data.md), here or at an address that
            `kgclip.remote` reads; there no part annotations are looked for.
        annotations: a folder of frame annotations in the Kinetics-TPS format, ``[<class>/]<clip>/img_00001.json``;
            a Kinetics-TPS root brings its own.
        source_pattern: a regular expression whose group ``source``, or else its first, is the source in a clip's id.
        actions: names whose spelling is taken where a label differs from one in case, underscores or hyphens only.

    Raises:
        KgclipError: nothing usable lies there, a class has no clip, a name is not UTF-8, or two clips have one id.
    """
    if annotations is not None and not annotations.is_dir():
        layout = foreign_format(annotations)
        raise KgclipError(
            f"{annotations}: is {f'a file in the format of {layout}' if layout else 'no folder of annotations'}; "
            "give the folder that holds [<class>/]<clip>/img_00001.json"
        )
    with library_at(Path(path)) as library:
        entries = _entries(library, annotations)
        root = library.path if library.path.is_dir() else library.path.parent
        dataset = _of_entries(root, library.path, entries, annotations, source_pattern, actions)
        return dataset if library.address is None else replace(dataset, root=library.address)


def _entries(library: Library, annotations: Path | None) -> list[Entry]:
    """The clips of a library: of its shards, or as the reader of its layout finds them."""
    if shards := shards_at(library.path):
        found = read_shards(library.original(shard) for shard in shards)
    else:
        found = reader_of(library.path).read(library.path, annotations)
    entries = [replace(entry, path=library.original(entry.path)) for entry in found]
    if not entries:
        raise KgclipError(f"{library.path}: holds no clip; expected {layouts()}, or tar shards")
    return entries


def _of_entries(
    root: Path,
    path: Path,
    entries: list[Entry],
    annotations: Path | None,
    source_pattern: str | None,
    actions: Sequence[str],
) -> DataSet:
    _check_names(path, entries)
    own_annotations = root / "train_annotations"
    if annotations is None and (root / "train_videos").is_dir() and own_annotations.is_dir():
        annotations = own_annotations
    pattern = compile_pattern(source_pattern) if source_pattern else None
    sources = find_sources(entries, sources_in_table(root / "train_labels.csv"), pattern)
    labels = [plain_name(entry.label or "") for entry in entries]
    spelled = one_spelling(filter(None, labels), actions)
    clips = [
        Clip(entry.id, entry.path, spelled.get(label), sources[entry.id] or entry.id, entry.part)
        for entry, label in zip(entries, labels, strict=True)
    ]
    clips.sort(key=lambda clip: clip.id)
    findings = [*_doubtful_spellings(spelled), *_unknown_sources(sources, pattern)]
    return DataSet(root, tuple(clips), annotations, find_vocabulary(root, annotations), tuple(findings))


def _check_names(path: Path, entries: Iterable[Entry]) -> None:
    by_id: dict[str, Entry] = {}
    twice: list[str] = []
    for entry in entries:
        try:
            f"{entry.path}{entry.label}".encode()
        except UnicodeEncodeError:
            where = printable(str(entry.path))
            raise KgclipError(f"{where}: has a name that is not UTF-8; rename the file or folder") from None
        other = by_id.setdefault(entry.id, entry)
        if other is not entry:
            twice.append(str(entry.path))
        if other.path != entry.path:
            raise KgclipError(
                f"{entry.path}: has the same name as {other.path}; a clip is known as {entry.id!r}, without the "
                "extension, so rename one of the two"
            )
    if twice:
        raise KgclipError(
            f"{path}: lists {count_of(len(twice), 'file')} more than once: {examples_of(twice)}; keep one line for each"
        )


def _doubtful_spellings(spelled: Mapping[str, str]) -> Iterator[Finding]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for name, chosen in sorted(spelled.items()):
        spellings[chosen].append(repr(name))
    cases = [f"{' = '.join(names)} (taken as {name!r})" for name, names in sorted(spellings.items()) if len(names) > 1]
    if cases:
        what = f"{count_of(len(cases), 'action')} spelled in several ways: {examples_of(cases)}"
        yield Finding("warning", "spelling", what, tuple(cases))


def _unknown_sources(sources: Mapping[str, str | None], pattern: re.Pattern[str] | None) -> Iterator[Finding]:
    if all(source is None for source in sources.values()):
        yield Finding(
            "warning",
            "unknown-source",
            "no name and no column gives a clip's source, so that clips of one recording may be both in training and "
            "in the test, and results look better than they are; give --source-pattern or a column source",
        )
    unmatched = [name for name in sources if pattern and not pattern.search(name)]
    if unmatched:
        what = f"--source-pattern does not match {len(unmatched)} of {count_of(len(sources), 'clip')}"
        yield Finding("warning", "unknown-source", f"{what}: {examples_of(unmatched)}", tuple(unmatched))
