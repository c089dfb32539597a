"""From the probabilities of windows of a film to spans of actions, by hysteresis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from jaxtyping import Float
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Window(Generic[T]):
    """One window of a film.

    Attributes:
        start_s, end_s: where it lies.
        probability: stated, of each action.
        content: what it was read from.
    """

    start_s: float
    end_s: float
    probability: Float[Tensor, " K"]
    content: T

    @property
    def center_s(self) -> float:
        """Its middle: what a window reads is said of this time."""
        return (self.start_s + self.end_s) / 2


@dataclass
class Span(Generic[T]):
    """A stretch of a film that shows an action.

    Attributes:
        action: its position among the model's.
        start_s, end_s: where it lies.
        best: its window of the highest probability.
    """

    action: int
    start_s: float
    end_s: float
    best: Window[T]

    @property
    def probability(self) -> float:
        """The highest of its windows."""
        return float(self.best.probability[self.action])


@dataclass(frozen=True)
class SpanRule:
    """When a span starts and ends.

    Attributes:
        enter: it starts where the first action's probability is at least this.
        leave: it ends where its action's probability falls below this.
        merge_s: spans of one action with no longer a gap between are one.
        least_s: shorter spans are dropped.
    """

    enter: float
    leave: float
    merge_s: float
    least_s: float


class SpanFinder(Generic[T]):
    """Finds spans as windows come in order of time; one action at a time.

    A span ends in the middle between its last window and the next; at the ends of the film (or of a stretch of it), it
    reaches as far as its window.
    """

    def __init__(self, rule: SpanRule):
        self._rule = rule
        self._first: Window[T] | None = None
        self._last: Window[T] | None = None
        self._open: Span[T] | None = None
        # A span that has ended and may go on.
        self._ended: Span[T] | None = None

    @property
    def action(self) -> int | None:
        """The action of the last window; None for nothing."""
        return None if self._open is None else self._open.action

    def add(self, window: Window[T]) -> Iterator[Span[T]]:
        """Take the next window, and give the spans that have come to an end by it."""
        top = int(window.probability.argmax())
        enters = float(window.probability[top]) >= self._rule.enter
        edge_s = window.start_s if self._last is None else (self._last.center_s + window.center_s) / 2
        self._first, self._last = self._first or window, window
        span = self._open
        if span is not None:
            if window.probability[span.action] >= self._rule.leave and not (enters and top != span.action):
                if window.probability[span.action] > span.best.probability[span.action]:
                    span.best = window
                if window.center_s - span.start_s >= self._rule.least_s and not self._goes_on(span):
                    yield from self._settle()
                return
            yield from self._end(edge_s)
        if enters:
            self._open = Span(top, edge_s, edge_s, window)
        elif self._ended is not None and edge_s - self._ended.end_s > self._rule.merge_s:
            yield from self._settle()

    def close(self) -> Iterator[Span[T]]:
        """End what is open, as the film or a stretch of it ends."""
        if self._open is not None and self._last is not None:
            yield from self._end(self._last.end_s)
        yield from self._settle()
        self._first = self._last = None

    def _end(self, end_s: float) -> Iterator[Span[T]]:
        span, before, self._open = self._open, self._ended, None
        assert span is not None
        span.end_s = end_s
        if before is not None and self._goes_on(span):
            span.start_s = before.start_s
            span.best = max(before.best, span.best, key=lambda window: float(window.probability[span.action]))
            self._ended = span
            return
        if before is not None and span.end_s - span.start_s < self._rule.least_s:
            return  # it may have interrupted what goes on after it
        yield from self._settle()
        self._ended = span

    def _goes_on(self, span: Span[T]) -> bool:
        """Whether a span goes on with the one that has ended before it."""
        before = self._ended
        near = before is not None and span.start_s - before.end_s <= self._rule.merge_s
        return near and before is not None and before.action == span.action

    def _settle(self) -> Iterator[Span[T]]:
        """Give the span that has ended, if it is long enough, or all there is."""
        span, self._ended = self._ended, None
        if span is None or self._first is None or self._last is None:
            return
        is_all = span.start_s == self._first.start_s and span.end_s == self._last.end_s
        if is_all or span.end_s - span.start_s >= self._rule.least_s:
            yield span
