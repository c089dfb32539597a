"""Finds the clips in which movements were seen in the order that a query asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kgclip.search.query import MovementQuery, Relation
from kgclip.search.rows import Places, Seen, Spans

MOST_TIMES = 1000
# What is to hold between the times of a movement and those of the next that is named.
HOLDS: dict[Relation, Callable[[Seen, Seen], bool]] = {
    "before": lambda a, b: a.end_s < b.start_s,
    "then": lambda a, b: a.start_s < b.start_s and a.end_s < b.end_s,
    "and": lambda a, b: True,
    "with": lambda a, b: max(a.start_s, b.start_s) <= min(a.end_s, b.end_s),
}


@dataclass(frozen=True)
class Match:
    """One clip in which a query holds.

    Attributes:
        clip: SHA-256 of its file.
        seen: one time of each movement, in the order of the query.
    """

    clip: str
    seen: tuple[Seen, ...]

    @property
    def strength(self) -> float:
        """Of the movement that was seen least strongly."""
        return min(item.strength for item in self.seen)


@dataclass(frozen=True)
class Matches:
    """What was found.

    Attributes:
        found: the strongest first.
        showing: of each movement of the query, in how many clips it was seen; then in how many all were, in any order.
    """

    found: list[Match]
    showing: tuple[int, ...]


def find_moments(query: MovementQuery, places: Places, spans: Spans) -> Matches:
    """The clips in which the query holds, each at the times that were seen most strongly."""
    spans = spans.of(np.isin(spans.movement, query.movements))
    clips = places.clips[spans.row]
    order = np.argsort(clips, kind="stable")
    spans, clips = spans.of(order), clips[order]
    names, starts = np.unique(clips, return_index=True)
    found, showing, every = [], dict.fromkeys(query.movements, 0), 0
    seen = spans.items()
    bounds = [*starts.tolist(), len(seen)]
    for name, start, end in zip(names.tolist(), bounds, bounds[1:], strict=False):
        here = seen[start:end]
        shown = {item.movement for item in here}
        for m in shown:
            showing[m] += 1
        if len(shown) < len(showing):
            continue
        every += 1
        best = strongest(query, here)
        if best:
            found.append(Match(name, best))
    found.sort(key=lambda match: (-match.strength, match.clip))
    return Matches(found, (*(showing[m] for m in query.movements), every))


def strongest(query: MovementQuery, seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """The times at which the query holds whose weakest movement is the strongest; the earliest of them; or none."""
    first, *others = query.movements
    chains = [(item.strength, (item,)) for item in _of_movement(seen, first)]
    for m, relation in zip(others, query.relations, strict=True):
        holds, longer = HOLDS[relation], []
        for item in _of_movement(seen, m):
            fitting = [chain for chain in chains if chain[1][-1] is not item and holds(chain[1][-1], item)]
            if fitting:
                strength, before = max(fitting, key=_rank)
                longer.append((min(strength, item.strength), (*before, item)))
        chains = longer
    return max(chains, key=_rank)[1] if chains else ()


def _of_movement(seen: Sequence[Seen], movement: int) -> list[Seen]:
    """The times of a movement; of very many, as every pair is looked at, those that were seen most strongly."""
    items = [item for item in seen if item.movement == movement]
    if len(items) <= MOST_TIMES:
        return items
    least = sorted((item.strength for item in items), reverse=True)[MOST_TIMES - 1]
    return [item for item in items if item.strength >= least][:MOST_TIMES]


def _rank(chain: tuple[float, tuple[Seen, ...]]) -> tuple[float, float]:
    return chain[0], -chain[1][-1].end_s
