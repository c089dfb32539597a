"""What commands print: one JSON object on stdout, or tables for a person."""

import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

T = TypeVar("T")


def parse(kind: type[T], argv: Sequence[str], prog: str, default: T | None = None) -> T:
    """The command's options from its words; help and mistakes in options are printed by tyro (exit code 2)."""
    options: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        kind,
        args=list(argv),
        prog=f"kgclip {prog}",
        # All of the docstring, with its examples; tyro takes the first paragraph alone.
        description=inspect.getdoc(kind),
        config=(tyro.conf.FlagCreatePairsOff,),
        **options,
    )


def print_json(value: Any) -> None:
    """The one thing on stdout of a command with --json."""
    print(json.dumps(value))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; numbers are right-aligned and fractions have three digits."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("–" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    Console(file=sys.stdout).print(table)
