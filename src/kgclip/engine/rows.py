"""A row of spans for each person of a film, and one for windows in which nobody lasts."""

from collections.abc import Iterator

from kgclip.engine.spans import Span, SpanFinder, SpanRule
from kgclip.engine.windows import FilmWindow, WindowContent
from kgclip.pose.tracks import LONGEST_ABSENCE_S

FilmSpan = Span[WindowContent]


class PersonRows:
    """Finds the spans of every person as windows come in order of time. It holds nobody who is gone.

    Args:
        rule: when spans start and end.
        step_s: from one window to the next.
    """

    def __init__(self, rule: SpanRule, step_s: float):
        self._rule = rule
        self._longest_s = max(LONGEST_ABSENCE_S, 1.5 * step_s)
        self._finders: dict[int | None, SpanFinder[WindowContent]] = {}
        self._last_s: dict[int | None, float] = {}

    @property
    def actions(self) -> dict[int | None, int]:
        """What each person is doing by their last window, where it is an action; None for nobody in particular."""
        return {person: f.action for person, f in self._finders.items() if f.action is not None}

    def add(self, window: FilmWindow) -> Iterator[FilmSpan]:
        """Take the next window, and give the spans that have come to an end by it."""
        for person in [p for p, last_s in self._last_s.items() if window.end_s - last_s > self._longest_s]:
            yield from self._end(person)
        person = window.content.person
        if person is None and any(other is not None for other in self._finders):
            return  # who has just been lost is expected back
        self._last_s[person] = window.end_s
        yield from self._finders.setdefault(person, SpanFinder(self._rule)).add(window)

    def close(self) -> Iterator[FilmSpan]:
        """End what is open, as the film or a stretch of it ends."""
        for person in list(self._finders):
            yield from self._end(person)

    def _end(self, person: int | None) -> Iterator[FilmSpan]:
        del self._last_s[person]
        yield from self._finders.pop(person).close()
