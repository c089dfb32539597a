"""Answers a query from an index: hits, each with what was measured of it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from kgclip.engine.explanation import rounded
from kgclip.files import digest
from kgclip.search.index import SearchIndex
from kgclip.search.moments import find_moments
from kgclip.search.nearest import Found
from kgclip.search.query import ActionQuery, ClipQuery, MovementQuery, TextQuery, parse_query
from kgclip.search.rows import Reader, Seen

Measure = Literal["strength", "probability", "cosine"]
# Movements that are listed of a hit which was not found by them.
MOST_LISTED = 4
# Of rows asked for per clip that is wanted, as clips may have several.
ROWS_A_CLIP = 4


@dataclass(frozen=True)
class SeenMovement:
    """A movement that was seen in a hit, in seconds of the clip."""

    movement: str
    start_s: float
    end_s: float
    strength: float


@dataclass(frozen=True)
class Hit:
    """One clip that answers a query.

    Attributes:
        file: its path.
        copies: paths of files with the same bytes.
        start_s, end_s: the stretch that answers.
        measure, value: by which hits are ranked: the strength of the movement seen least strongly, the stated
            probability of the action, or the cosine of the embeddings.
        seen: movements seen there: those asked for; of an action those that it consists of; else the strongest.
    """

    file: str
    copies: tuple[str, ...]
    start_s: float
    end_s: float
    measure: Measure
    value: float
    seen: tuple[SeenMovement, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return rounded(asdict(self))


@dataclass(frozen=True)
class Answer:
    """The hits of a query, the best first, and what is to be said where there are none."""

    hits: tuple[Hit, ...]
    nothing: str = ""


class Searcher:
    """Searches one index.

    Args:
        index: what is searched.
        reader: gives what reads examples and texts, when a query needs it.
    """

    def __init__(self, index: SearchIndex, reader: Callable[[], Reader]):
        self.index, self._reader = index, reader

    def search(self, text: str, top: int = 10) -> Answer:
        """The best hits.

        Raises:
            KgclipError: the query cannot be understood, or its example cannot be read.
        """
        query = parse_query(text, self.index.vocabulary)
        if isinstance(query, MovementQuery):
            return self._by_movements(query, top)
        if isinstance(query, ActionQuery):
            return self._by_action(query, top)
        if isinstance(query, TextQuery):
            return Answer(self._near([self._checked_reader().text_vector(query.text)], top, ""))
        return self._by_clip(query, top)

    def _by_movements(self, query: MovementQuery, top: int) -> Answer:
        matches = find_moments(query, self.index.places, self.index.spans)
        names = [self.index.vocabulary.movements[m] for m in query.movements]
        *each, every = matches.showing
        counts = ", ".join(f"{name} in {count}" for name, count in zip(names, each, strict=True))
        nothing = f"no clip shows this: of {len(self.index.clips)} clips, {counts}"
        nothing += f", all of them in {every}, never so in time" if len(names) > 1 else ""
        hits = (
            self._hit(
                match.clip,
                min(item.start_s for item in match.seen),
                max(item.end_s for item in match.seen),
                ("strength", match.strength),
                match.seen,
            )
            for match in matches.found[:top]
        )
        return Answer(tuple(hits), nothing)

    def _by_action(self, query: ActionQuery, top: int) -> Answer:
        probability = self.index.probability[:, query.action].astype(np.float32)
        rows = np.argsort(-probability, kind="stable")
        consists = self.index.vocabulary.definitions[query.action]
        return Answer(self._of_rows((rows, probability[rows]), "probability", top, "", consists))

    def _by_clip(self, query: ClipQuery, top: int) -> Answer:
        clip = digest(query.path)
        own = self.index.places.clips == clip
        if own.any():
            vectors = list(self.index.vectors[own])
        else:
            vectors = [reading.vector for reading in self._checked_reader().read(query.path)]
        return Answer(self._near(vectors, top, clip), "no other clip is in this index")

    def _near(self, vectors: list[np.ndarray], top: int, but: str) -> tuple[Hit, ...]:
        """The clips nearest to one of these vectors."""
        count = len(self.index.places.ids)
        wanted = ROWS_A_CLIP * (top + 1)
        while True:
            found = [self.index.nearest(vector, min(wanted, count)) for vector in vectors]
            rows, cosines = (np.concatenate(columns) for columns in zip(*found, strict=True))
            order = np.argsort(-cosines, kind="stable")
            hits = self._of_rows((rows[order], cosines[order]), "cosine", top, but)
            if len(hits) == top or wanted >= count:
                return hits
            wanted *= ROWS_A_CLIP

    def _of_rows(
        self, found: Found, measure: Measure, top: int, but: str, listed: Iterable[int] | None = None
    ) -> tuple[Hit, ...]:
        """The first row of each clip as a hit, with the movements seen there.

        Args:
            found: rows and what they are ranked by, the best first.
            measure: what that is.
            top: how many clips.
            but: a clip to leave out.
            listed: the only movements to list; None lists the strongest.
        """
        places, hits, taken = self.index.places, [], {but}
        for row, value in zip(*(column.tolist() for column in found), strict=True):
            clip = str(places.clips[row])
            if clip in taken:
                continue
            if len(hits) == top:
                break
            taken.add(clip)
            seen = self.index.spans.of(self.index.spans.row == row).items()
            if listed is not None:
                seen = [item for item in seen if item.movement in listed]
            strongest = sorted(seen, key=lambda item: -item.strength)[:MOST_LISTED]
            times = float(places.start_s[row]), float(places.end_s[row])
            hits.append(self._hit(clip, *times, (measure, value), sorted(strongest, key=lambda item: item.start_s)))
        return tuple(hits)

    def _hit(self, clip: str, start_s: float, end_s: float, ranked: tuple[Measure, float], seen: Iterable[Seen]) -> Hit:
        file, *copies = map(self.index.path, self.index.clips[clip])
        movements = self.index.vocabulary.movements
        return Hit(
            file, tuple(copies), start_s, end_s, *ranked, tuple(SeenMovement(movements[s[0]], *s[1:]) for s in seen)
        )

    def _checked_reader(self) -> Reader:
        reader = self._reader()
        self.index.check(reader.identity | {"pose": self.index.identity["pose"]})
        return reader
