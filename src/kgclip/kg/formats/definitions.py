"""Definitions of actions that a person writes: YAML with the movements of each action, with or without shares."""

import logging
import reprlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from kgclip.errors import KgclipError
from kgclip.files import read_text
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.movement import Movement
from kgclip.kg.names import did_you_mean, one_spelling, plain_name, spelling_key
from kgclip.kg.words import base_form, question, states_of_rules

logger = logging.getLogger(__name__)

_EXAMPLE = "'push up: [left arm bend, hip stoop]'"
_MOST_BYTES = 2_000_000  # a thousand actions of eighty movements
_MOST_VALUES, _MOST_DEPTH, _LONGEST_VALUE = 200_000, 10, 1000
_MERGE = "tag:yaml.org,2002:merge"
# libyaml, which is ten times as fast, is in all published wheels of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_definitions(
    path: Path, known_actions: Collection[str] = (), *, states: Collection[str] = (), movements: Collection[str] = ()
) -> KnowledgeGraph:
    """Read YAML that gives each action a list of movements, or movements and their shares.

    A state in a form of a known one is taken as that one ("left arm bent" is "left arm bend"), and logged. Any other
    state may be a word of somebody's own annotations: it stays, and one that is near a known one is asked about.

    Args:
        path: the file.
        known_actions: names whose spelling is taken where one differs in case, underscores or hyphens only; names that
            nearly match one are logged.
        states: of the data set's vocabulary; those that the rules of poses read are known as well.
        movements: of the data set's annotations, whose words are taken as they are.

    Raises:
        KgclipError: the file is missing, too large, not YAML, not of this shape, or names an unknown body part.
    """
    actions = _load(path)
    if not isinstance(actions, dict) or not actions:
        raise KgclipError(f"{path}: expected actions with lists of movements, e.g. {_EXAMPLE}")
    words = [action for action in actions if isinstance(action, str)]
    repeats = Counter(map(spelling_key, words))
    spellings = [word for word in words if repeats[spelling_key(word)] > 1]
    if spellings:
        raise KgclipError(f"{path}: {' and '.join(map(repr, spellings[:2]))} are one action; keep one entry")
    names = one_spelling(words, known_actions)
    for name in names.values():
        question = "" if name in known_actions else did_you_mean(name, known_actions)
        if question:
            logger.warning("%s: %r has no clip%s", path, name, question)
    known = {*states, *states_of_rules(), *(Movement.parse(name, states).state for name in movements)}
    edges = [edge for action, given in actions.items() for edge in _edges(path, action, given, names)]
    edges = _with_known_states(path, edges, known)
    repeated = len(edges) - len(set(edges))
    try:
        return KnowledgeGraph.from_edges(
            edges, rule={"source": "definitions"} | ({"repeated": repeated} if repeated else {})
        )
    except KgclipError as error:
        raise KgclipError(f"{path}: {error}") from error


def _load(path: Path) -> Any:
    text = read_text(path)
    if len(text) > _MOST_BYTES:
        raise KgclipError(
            f"{path}: larger than {_MOST_BYTES:,} characters; split it and build a graph of several files"
        )
    try:
        _check_events(text)
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        # Of characters that YAML has not, PyYAML speaks in two lines.
        reason = str(getattr(error, "problem", None) or error).partition("\n")[0]
        raise KgclipError(f"{path}{line}: not valid YAML ({reason})") from error
    except ValueError as error:  # dates and numbers that are none
        raise KgclipError(f"{path}: not valid YAML ({error}); expected e.g. {_EXAMPLE}") from error


def _edges(path: Path, action: Any, movements: Any, names: Mapping[str, str]) -> list[Edge]:
    where = f"{path}: action {reprlib.repr(action)}"
    if not isinstance(action, str):
        raise KgclipError(f"{where}: expected a name, got {type(action).__name__}; put it in quotes")
    if isinstance(movements, dict):
        pairs = list(movements.items())
    else:
        pairs = [(movement, 1.0) for movement in movements] if isinstance(movements, list) else []
    if not pairs:
        got = reprlib.repr(movements)
        raise KgclipError(f"{where}: expected a list of movements, e.g. [left arm bend, hip stoop], got {got}")
    edges = []
    for movement, share in pairs:
        if not isinstance(movement, str):
            raise KgclipError(f"{where}: expected a movement like 'left arm bend', got {reprlib.repr(movement)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            got = reprlib.repr(share)
            raise KgclipError(f"{where}: the share of {movement!r} is {got}, expected a number in (0, 1]")
        movement = plain_name(movement)
        try:
            Movement.parse(movement)
        except KgclipError as error:
            raise KgclipError(f"{where}: {error}") from error
        edges.append(Edge(names[plain_name(action)], "consists_of", movement, float(share)))
    return edges


def _with_known_states(path: Path, edges: list[Edge], known: Collection[str]) -> list[Edge]:
    """The edges with forms of known states as these, and a line in the log for each movement that is not known."""
    taken: dict[str, str] = {}
    for edge in edges:
        name = edge.tail
        if name in taken:
            continue
        movement = Movement.parse(name, known)
        taken[name] = f"{movement.part} {base_form(name.removeprefix(movement.part).strip(), known)}"
        where = f"{path}: action {edge.head!r}: movement {name!r}"
        if taken[name] != name:
            logger.warning("%s: taken as %r", where, taken[name])
        elif movement.state not in known and (hint := question(name, known)):
            logger.warning("%s: %s", where, hint)
    return [replace(edge, tail=taken[edge.tail]) for edge in edges]


def _check_events(text: str) -> None:
    """Refuse, before anything is made of it, YAML that is deep, long or more than names, numbers, lists and mappings.

    A few lines of references to references stand for more movements than memory holds.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases are not read; write it out"
        elif getattr(event, "tag", None) is not None:
            problem = f"tags such as {reprlib.repr(event.tag)} are not read; leave them out"
        elif depth > _MOST_DEPTH:
            problem = "nested too deeply"
        elif count > _MOST_VALUES:
            problem = f"more than {_MOST_VALUES:,} values; split it"
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST_VALUE:
            problem = f"a value of {len(event.value):,} characters, expected at most {_LONGEST_VALUE:,}"
        if problem:
            raise ConstructorError(problem=problem, problem_mark=event.start_mark)


class _PlainLoader(_Loader):
    """YAML as PyYAML reads it, but nothing given twice, which would be silently the last, and nothing merged in."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse repeated keys and merges, then construct as usual."""
        keys = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # PyYAML refuses keys that are no scalars itself
            if key_node.tag == _MERGE:
                raise ConstructorError(problem="merges are not read; write it out", problem_mark=key_node.start_mark)
            if key_node.value in keys:
                raise ConstructorError(problem=f"{key_node.value!r} is given twice", problem_mark=key_node.start_mark)
            keys.add(key_node.value)
        return super().construct_mapping(node, deep)
