"""What a graph is made of: the kinds of its entities and the relations between them.

This table is the only place that lists relations: graphs, files and the loss loop over it, and a relation's id is its
position. One more relation is one more row at the end (and its weight in the loss).
"""

from dataclasses import dataclass

from kgclip.errors import KgclipError

ENTITY_KINDS: tuple[str, ...] = ("video", "action", "movement")


@dataclass(frozen=True)
class Relation:
    """A relation, and the kinds of entity that it joins."""

    name: str
    head: str
    tail: str


RELATIONS: tuple[Relation, ...] = (
    Relation("performs", "video", "action"),
    Relation("shows", "video", "movement"),
    Relation("consists_of", "action", "movement"),
)


def relation_id(name: str) -> int:
    """The id of a relation, its position in ``RELATIONS``.

    Raises:
        KgclipError: there is no relation of that name.
    """
    for index, relation in enumerate(RELATIONS):
        if relation.name == name:
            return index
    names = ", ".join(relation.name for relation in RELATIONS)
    raise KgclipError(f"unknown relation {name!r}; expected one of {names}")
