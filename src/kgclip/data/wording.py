"""How messages count, list and print names."""

import os
from collections.abc import Sequence
from pathlib import Path

from kgclip.visible import visible

_NUM_EXAMPLES = 3


def count_of(number: int, noun: str) -> str:
    """``1 clip``, ``2 clips``, ``2 classes``."""
    return f"{number} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def examples_of(names: Sequence[str]) -> str:
    """The first three names, with an ellipsis if there are more."""
    return ", ".join(names[:_NUM_EXAMPLES]) + (", …" if len(names) > _NUM_EXAMPLES else "")


def printable(path: Path | str) -> str:
    """A path as text, with escapes for bytes that are not UTF-8 and for hidden characters."""
    return visible(os.fsencode(path).decode(errors="backslashreplace"))
