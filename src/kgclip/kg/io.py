"""Formats of graphs: a format is one file that reads, writes or does both, and ``register_format`` adds one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.kg.build import with_projected_shares
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.formats.graphml import write_graphml
from kgclip.kg.formats.parquet import read_parquet, write_parquet
from kgclip.kg.formats.triples import read_triples, write_triples
from kgclip.kg.graph import KnowledgeGraph


@dataclass(frozen=True)
class GraphFormat:
    """A way to keep a graph on disk.

    Attributes:
        suffixes: how names of its files end; "" stands for a folder.
        read: makes a graph of a file or folder; None where the format is for other tools only.
        write: makes a file or folder of a graph, atomically; None where people write it.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path], KnowledgeGraph] | None = None
    write: Callable[[KnowledgeGraph, Path], None] | None = None


def _read_triples(path: Path) -> KnowledgeGraph:
    """Triples with the shares that their clips show: lines have no place for evidence."""
    return with_projected_shares(read_triples(path))


FORMATS: dict[str, GraphFormat] = {
    "parquet": GraphFormat((".parquet",), read_parquet, write_parquet),
    "tsv": GraphFormat((".tsv", ""), _read_triples, write_triples),
    "definitions": GraphFormat((".yaml", ".yml"), read=read_definitions),
    "graphml": GraphFormat((".graphml",), write=write_graphml),
}


def register_format(name: str, added: GraphFormat) -> None:
    """Add a format under a new name.

    Raises:
        KgclipError: the name is taken.
    """
    if name in FORMATS:
        raise KgclipError(f"graph format {name!r}: exists already; choose another name")
    FORMATS[name] = added


def read_graph(path: Path) -> KnowledgeGraph:
    """Read a graph of any format that reads, known by how its name ends (or by being a folder).

    Raises:
        KgclipError: no such file, no format for it, or what the format's reader raises.
    """
    if not path.exists():
        raise KgclipError(f"{path}: not found; expected a graph, as `kgclip kg build` writes it")
    suffix = "" if path.is_dir() else path.suffix.lower()
    readers = {suffix: each.read for each in FORMATS.values() if each.read for suffix in each.suffixes}
    if suffix not in readers:
        known = ", ".join(suffix or "a folder of .tsv files" for suffix in readers)
        raise KgclipError(f"{path}: no format of graphs has such a name; expected {known}")
    return readers[suffix](path)


def check_name(path: Path, name: str = "parquet") -> None:
    """Raise KgclipError if there is no such format, it does not write, or a file of this name is not known by it."""
    writers = [name for name, each in FORMATS.items() if each.write]
    if name not in writers:
        raise KgclipError(f"--format {name}: cannot be written; choose one of {', '.join(writers)}")
    suffixes = FORMATS[name].suffixes
    if "" not in suffixes and path.suffix.lower() not in suffixes:
        raise KgclipError(
            f"{path}: a graph in the format {name} is known by its name; let it end with {' or '.join(suffixes)}"
        )


def write_graph(graph: KnowledgeGraph, path: Path, name: str) -> None:
    """Write a graph in the format of that name.

    Raises:
        KgclipError: there is no such format, it does not write, or its files have other names.
    """
    check_name(path, name)
    write = FORMATS[name].write
    assert write is not None
    write(graph, path)
