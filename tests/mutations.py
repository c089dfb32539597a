"""Random damage to what is on disk, from a seed, and what its readers make of it."""

import copy
import random
from collections.abc import Callable
from typing import Any

from kgclip.errors import KgclipError

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**40, -(2**63), 1e308, float("nan"), float("inf"), 10**25, "", "x", "\x1b[2J", "\u202e"),
    *([], {}, [[]], [None], {"": None}, ["x", "x"], "9" * 50, [[[[[[]]]]]]),
)


def damaged_json(value: Any, rng: random.Random) -> Any:
    """A copy with one place replaced by an odd value, removed, or given twice."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        keys = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        for key in keys:
            places.append((inside, key))
            walk(inside[key])

    walk(value)
    if not places:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    match rng.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 1:
            holder[f"{key}x"] = holder[key]
        case _:
            holder[key] = rng.choice(ODD)
    return value


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """A copy with a few bytes changed, a piece cut out, or a piece given twice."""
    data = bytearray(content)
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, 40))
    match rng.randrange(5):
        case 0:
            del data[start:end]
        case 1:
            data[start:start] = data[start:end]
        case 2:
            del data[start:]
        case _:
            for _ in range(rng.randrange(1, 5)):
                data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def outcomes(count: int, attempt: Callable[[random.Random], object], seed: int = 0) -> tuple[int, list[str]]:
    """How many attempts were refused in one sentence, and what else was raised, each with its number."""
    refused, others = 0, []
    for number in range(count):
        try:
            attempt(random.Random(f"{seed} {number}"))
        except KgclipError as error:
            refused += 1
            if "\n" in str(error):
                others.append(f"{number}: two lines: {error}")
        except Exception as error:  # noqa: BLE001 (whatever it is)
            others.append(f"{number}: {type(error).__name__}: {error}")
    return refused, others
