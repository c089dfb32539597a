"""How long a loop waits for what it loops over."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waited(Generic[T]):
    """Gives items in their order and adds up the time until each of them was there.

    Args:
        make: gives the items; the time that this takes counts too.

    Attributes:
        seconds: waited so far.
    """

    def __init__(self, make: Callable[[], Iterable[T]]):
        started = time.monotonic()
        self._items = make()
        self.seconds = time.monotonic() - started

    def __iter__(self) -> Iterator[T]:
        started = time.monotonic()
        for item in self._items:
            self.seconds += time.monotonic() - started
            yield item
            started = time.monotonic()
        self.seconds += time.monotonic() - started
