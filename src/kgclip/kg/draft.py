"""A file of definitions for a person to fill in: what is known of each action, and the words to say it in."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import yaml

from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.movement import PARTS, Movement
from kgclip.kg.shipped import find_shipped
from kgclip.kg.words import RULE_STATES, states_of_rules

MOST_SUGGESTED = 8
"""Movements that are suggested for an action, those that tell it best from the others."""
TELLING = 0.1
"""A movement tells an action from the others if its share is larger than the mean over actions by at least this."""
_WIDTH = 118


@dataclass(frozen=True)
class Draft:
    """The text of a file, and which actions it defines how."""

    text: str
    shipped: tuple[str, ...]
    seen: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """What the annotated clips of an action show: its shares, and the movements that tell it from the others."""

    shares: Mapping[str, float]
    means: Mapping[str, float]
    telling: Sequence[str]


def draft_definitions(
    actions: Sequence[str],
    seen: KnowledgeGraph | None = None,
    *,
    states: Collection[str] | None = None,
    objects: Collection[str] | None = None,
) -> Draft:
    """Write what is known of actions, and leave room for what is not.

    Args:
        actions: one entry each, in this order.
        seen: a graph of annotated clips, whose shares of movements are written beside or in place of definitions.
        states, objects: the data set's vocabulary; None where any word is taken.
    """
    shares = _seen(actions, seen)
    entries, kinds = [], {}
    for action in actions:
        lines, kinds[action] = _entry(action, shares.get(action), states)
        entries.append("\n".join(lines))
    head = _head(states, objects, with_seen=bool(shares))
    groups = (tuple(action for action in actions if kinds[action] == kind) for kind in ("shipped", "seen", "unknown"))
    return Draft("\n\n".join([head, *entries]) + "\n", *groups)


def _seen(actions: Sequence[str], graph: KnowledgeGraph | None) -> dict[str, _Seen]:
    """Of each action with annotated clips what they show."""
    if graph is None:
        return {}
    annotated = set(graph.heads("consists_of"))
    rows = [action for action in actions if action in annotated]
    movements = graph.entities("movement")
    shares = graph.adjacency("consists_of", rows, movements).astype(np.float64)
    means = shares.mean(axis=0) if rows else np.zeros(len(movements))
    of_all = dict(zip(movements, means.tolist(), strict=True))
    result = {}
    for action, own, more in zip(rows, shares, shares - means, strict=True):
        order = [int(m) for m in np.argsort(-more, kind="stable")[:MOST_SUGGESTED] if more[m] >= TELLING]
        result[action] = _Seen(
            {movements[m]: float(own[m]) for m in np.flatnonzero(own)},
            of_all,
            [movements[m] for m in order],
        )
    return result


def _entry(action: str, seen: _Seen | None, states: Collection[str] | None) -> tuple[list[str], str]:
    """The lines of an action, and whether it is "shipped", "seen" in annotated clips, or "unknown"."""
    name, shipped = _scalar(action), find_shipped(action)
    telling = seen.telling if seen else ()
    if shipped is not None:
        alias = "" if shipped.action == action else f", as {shipped.action!r}"
        lines = [f"{name}:  # from kgclip's {shipped.field}.yaml{alias}"]
        for movement in _sorted(shipped.shares):
            remarks = [_beside(movement, seen), "" if _allowed(movement, states) else "not in the data set's list"]
            lines.append(_line("  ", movement, shipped.shares[movement], ", ".join(filter(None, remarks))))
        more = [movement for movement in telling if movement not in shipped.shares]
        if seen is not None and more:
            lines.append("  # Its clips also show, more than those of other actions:")
            lines += [_line("  #", movement, seen.shares[movement], _beside(movement, seen)) for movement in more]
        return lines, "shipped"
    if seen is not None and telling:
        lines = [_line("  ", movement, seen.shares[movement], _beside(movement, seen)) for movement in telling]
        return [f"{name}:  # what its clips show more than those of other actions", *lines], "seen"
    why = "its clips show no movement more than those of other actions do" if seen else "nothing is known of it"
    return [f"#{name}:  # {why}; take the # away and write its movements below"], "unknown"


def _allowed(movement: str, states: Collection[str] | None) -> bool:
    return states is None or Movement.parse(movement, states_of_rules()).state in states


def _line(start: str, movement: str, share: float, remark: str) -> str:
    line = f"{start}{_scalar(movement)}: {_two_digits(share):g}"
    return f"{line:<34}  # {remark}" if remark else line


def _beside(movement: str, seen: _Seen | None) -> str:
    if seen is None:
        return ""
    return f"seen {seen.shares.get(movement, 0.0):.2f}, mean {seen.means.get(movement, 0.0):.2f}"


def _two_digits(share: float) -> float:
    return max(0.01, round(share, 2))


def _sorted(shares: Mapping[str, float]) -> list[str]:
    """Movements as a person reads a body: part by part, both sides together, the longest first."""
    kinds = [*RULE_STATES, "head"]

    def place(movement: str) -> tuple[int, float, str, str]:
        part = next(part for part in PARTS if movement.startswith(f"{part} "))
        side, _, kind = part.rpartition(" ")
        return kinds.index(kind), -shares[movement], movement.removeprefix(part), side

    return sorted(shares, key=place)


def _head(states: Collection[str] | None, objects: Collection[str] | None, *, with_seen: bool) -> str:
    """The comments at the top: what the file is, and the words."""
    lines = _comment(
        "What each action consists of. Correct it, add what is missing, remove what does not tell an action from the "
        "others, and give it to `kgclip train --definitions` (also: kg build, compare)."
    )
    lines.append("#")
    lines += _comment(
        "A movement is a body part, a state and, where one is touched, an object: left arm bend, right hand hold ball. "
        "Left and right are the person's; what either side may do is given to both. The number is the share of the "
        "clip's time, more than 0 and at most 1. Without shares write a list: push up: [left arm bend, right arm bend]."
    )
    lines += ["#", "# parts     head, hip, left and right arm, hand, leg, foot"]
    lines.append("# states    that `kgclip annotate` reads:")
    for kind, of_kind in RULE_STATES.items():
        allowed = [state for state in of_kind if states is None or state in states]
        if allowed:
            lines.append(f"#   {kind:<8}{', '.join(allowed)}")
    others = sorted(set(states or ()) - set(states_of_rules()) - {"none", "others"})
    if others:
        lines += _listing("others", "of this data set's own list", others)
    named = sorted(set(objects or ()) - {"none"})
    if named:
        lines += _listing("objects", "of this data set's own list", named)
    elif objects is not None:
        lines.append("# objects   this data set names none")
    if with_seen:
        lines.append("#")
        lines += _comment(
            '"seen" is the share in the annotated training clips of the action, "mean" that of all actions. A movement '
            "behind a # counts once the # is taken away. An action with more than about five annotated clips needs no "
            "entry: they tell more than a definition, and where both give a movement the larger share counts."
        )
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _listing(title: str, what: str, words: Sequence[str]) -> list[str]:
    lines = textwrap.wrap(", ".join(words), _WIDTH, initial_indent="#   ", subsequent_indent="#   ")
    return [f"# {title:<10}{what}:", *lines]


@lru_cache(maxsize=4096)
def _scalar(name: str) -> str:
    """A name as YAML writes it: in quotes where it would be read as something else ("on", "a: b")."""
    return yaml.safe_dump(name, allow_unicode=True, width=float("inf")).removesuffix("\n...\n").removesuffix("\n")
