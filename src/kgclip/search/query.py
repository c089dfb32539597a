"""What a person asks an index: movements in their order, an action, a clip, or a text."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from kgclip.data.clip import VIDEO_EXTENSIONS
from kgclip.errors import KgclipError
from kgclip.kg.movement import Movement
from kgclip.kg.names import did_you_mean, spelling_key
from kgclip.kg.words import meant

Relation = Literal["before", "then", "and", "with"]
_BETWEEN = re.compile(rf"\s+({'|'.join(get_args(Relation))})\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Vocabulary:
    """What can be asked of an index.

    Attributes:
        actions, movements: names, in the model's order.
        told: of each movement, whether the model can tell when it is seen.
        definitions: of each action, the positions of the movements that it consists of.
        text: whether texts and frames can be compared.
    """

    actions: Sequence[str]
    movements: Sequence[str]
    told: Sequence[bool]
    definitions: Sequence[Sequence[int]]
    text: bool


@dataclass(frozen=True)
class MovementQuery:
    """Movements, by position, and what is to hold between each and the next."""

    movements: tuple[int, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True)
class ActionQuery:
    """An action, by position."""

    action: int


@dataclass(frozen=True)
class ClipQuery:
    """An example."""

    path: Path


@dataclass(frozen=True)
class TextQuery:
    """Words."""

    text: str


Query = MovementQuery | ActionQuery | ClipQuery | TextQuery


def parse_query(text: str, vocabulary: Vocabulary) -> Query:
    """Understand a query.

    A name of a movement or action may itself hold a word such as "and": the longest name that is known counts.

    Raises:
        KgclipError: it cannot be asked; the sentence says what was probably meant, or what can be asked.
    """
    movements = {spelling_key(name): m for m, name in enumerate(vocabulary.movements)}
    actions = {spelling_key(name): k for k, name in enumerate(vocabulary.actions)}
    terms, relations = _terms(" ".join(text.split()), movements.keys() | actions.keys())
    keys = [spelling_key(term) for term in terms]
    if all(key in movements for key in keys):
        return _movement_query([movements[key] for key in keys], relations, vocabulary)
    if len(keys) == 1 and keys[0] in actions:
        return ActionQuery(actions[keys[0]])
    path = Path(text).expanduser()
    # A sentence may be too long to be the name of a file, which os.path takes as an answer.
    if os.path.isfile(path):  # noqa: PTH113
        return ClipQuery(path)
    if path.suffix.lower() in VIDEO_EXTENSIONS:
        raise KgclipError(f"{text}: no such file; give a clip that is there, or ask for movements or an action")
    for term, key in zip(terms, keys, strict=True):
        if key in actions:
            raise KgclipError(
                f"{term!r}: is an action, and only movements stand beside each other; ask for the action alone"
            )
    unknown = next(term for term, key in zip(terms, keys, strict=True) if key not in movements)
    near = _near(unknown, vocabulary)
    if near or (len(keys) > 1 and any(key in movements for key in keys)):
        raise KgclipError(f"{unknown!r}: is no movement and no action of the model{near}; {_askable(vocabulary)}")
    if vocabulary.text and text.strip():
        return TextQuery(text)
    no_text = "" if vocabulary.text else ", and its model compares no texts with frames"
    raise KgclipError(f"{text!r}: names nothing that this index knows{no_text}; {_askable(vocabulary)}")


def _terms(text: str, known: set[str]) -> tuple[list[str], tuple[Relation, ...]]:
    """The names in a query and the words between them."""
    words = _BETWEEN.split(text)
    terms, relations, start = [], [], 0
    while start < len(words):
        ends = range(len(words), start + 1, -2)
        whole = {end: " ".join(words[start:end]) for end in ends}
        end = next((end for end in ends if spelling_key(whole[end]) in known), start + 1)
        terms.append(whole.get(end, words[start]))
        relations += [word.lower() for word in words[end : end + 1]]
        start = end + 1
    return terms, tuple(relations)


def _movement_query(asked: list[int], relations: tuple[Relation, ...], vocabulary: Vocabulary) -> MovementQuery:
    for m in asked:
        if not vocabulary.told[m]:
            others = [name for name, can in zip(vocabulary.movements, vocabulary.told, strict=True) if can]
            instead = f"it can of {', '.join(others[:5])}{', …' * (len(others) > 5)}" if others else "it reads none"
            raise KgclipError(
                f"{vocabulary.movements[m]!r}: the model cannot tell when this is seen, as too few clips of training "
                f"showed it reliably; {instead}"
            )
    return MovementQuery(tuple(asked), relations)


def _near(term: str, vocabulary: Vocabulary) -> str:
    """A question for the sentence of an error, or nothing."""
    states = set()
    for name in vocabulary.movements:
        try:
            states.add(Movement.parse(name).state)
        except KgclipError:
            continue
    names = [name for name in meant(term, states) if name in vocabulary.movements]
    if names:
        return f", did you mean {' or '.join(map(repr, names))}?"
    return did_you_mean(term, (*vocabulary.movements, *vocabulary.actions))


def _askable(vocabulary: Vocabulary) -> str:
    told = [name for name, can in zip(vocabulary.movements, vocabulary.told, strict=True) if can]
    ways = [f"movements ({', '.join(told[:2])}, joined by {', '.join(get_args(Relation))})"] if told else []
    ways += [f"an action ({', '.join(vocabulary.actions[:2])})", "the path of a clip"]
    return f"ask for {', '.join(ways[:-1])} or {ways[-1]}"
