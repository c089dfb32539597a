"""Graphs as headerless ``head⇥relation⇥tail`` lines, the common exchange format of graph libraries."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.files import atomic_path, read_text
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.schema import RELATIONS, relation_id

# What spreadsheets run; apostrophes before it come from here or stood there already.
_MOST_LINES = 1_000_000
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def write_triples(graph: KnowledgeGraph, folder: Path) -> None:
    """Write one file per relation, each atomically.

    Supports, frame ranges, isolated entities, the rule and the split hash have no place there and are left out. Names
    that a spreadsheet would take for a formula begin with an apostrophe, which ``read_triples`` takes away.
    """
    for relation in RELATIONS:
        lines = [f"{_cell(edge.head)}\t{edge.relation}\t{_cell(edge.tail)}\n" for edge in graph.edges(relation.name)]
        with atomic_path(folder / f"{relation.head}_{relation.name}_{relation.tail}.tsv") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", newline="\n")


def read_triples(source: Path) -> KnowledgeGraph:
    """Read the lines of a file, or of every ``*.tsv`` in a folder.

    Every support is 1, see ``with_projected_shares``. Lines given twice are counted in the rule as ``repeated``.

    Raises:
        KgclipError: nothing to read, or a line is malformed; the message names file and line.
    """
    if not source.exists():
        raise KgclipError(f"{source}: not found; expected a file or folder of headerless head⇥relation⇥tail lines")
    files = sorted(source.glob("*.tsv")) if source.is_dir() else [source]
    if not files:
        raise KgclipError(f"{source}: holds no *.tsv file; expected headerless head⇥relation⇥tail lines")
    places: dict[Edge, str] = {}
    num_lines = 0
    for file in files:
        for place, edge in _read_lines(file):
            num_lines += 1
            places.setdefault(edge, place)
    _check_kinds(places)
    repeated = num_lines - len(places)
    try:
        return KnowledgeGraph.from_edges(
            places, rule={"source": "triples"} | ({"repeated": repeated} if repeated else {})
        )
    except KgclipError as error:
        raise KgclipError(f"{source}: {error}") from error


def _cell(name: str) -> str:
    return f"'{name}" if _FORMULA.match(name) else name


def _name(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _read_lines(path: Path) -> Iterator[tuple[str, Edge]]:
    text = read_text(path)
    if text.count("\n") > _MOST_LINES:
        raise KgclipError(f"{path}: has more than {_MOST_LINES:,} lines; leave it out")
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line:
            continue
        place = f"{path}, line {number}"
        fields = line.split("\t")
        if len(fields) != 3 or not all(fields):
            raise KgclipError(f"{place}: expected head⇥relation⇥tail, got {line[:80]!r}")
        try:
            relation_id(fields[1])
        except KgclipError as error:
            raise KgclipError(f"{place}: {error}") from error
        yield place, Edge(_name(fields[0]), fields[1], _name(fields[2]))


def _check_kinds(places: Mapping[Edge, str]) -> None:
    """Refuse a name whose relation says one kind while all other lines say another: an action that shows movements."""
    relations = {relation.name: relation for relation in RELATIONS}
    said: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # name → kind → relations that say so
    for edge in places:
        relation = relations[edge.relation]
        said[edge.head][relation.head].add(relation.name)
        said[edge.tail][relation.tail].add(relation.name)
    for edge, place in places.items():
        kind = relations[edge.relation].head
        others = [other for other in said[edge.head] if other != kind]
        if others and said[edge.head][kind] == {edge.relation}:
            raise KgclipError(
                f"{place}: as head of {edge.relation} {edge.head!r} is of kind {kind}, but other lines make it of kind "
                f"{others[0]}; correct the relation or the name"
            )
