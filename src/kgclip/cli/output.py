"""What commands read and print: options, JSON on stdout, or tables and findings for a person."""

import inspect
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kgclip.errors import KgclipError
from kgclip.visible import visible

if TYPE_CHECKING:
    from kgclip.config import TrainConfig
    from kgclip.kg.inspect import Finding

log = logging.getLogger(__name__)

_ANY_WIDTH = 10_000

T = TypeVar("T")

Switch = tyro.conf.FlagCreatePairsOff[bool]
"""An option that is off unless given; those of a configuration can be on, and have a --no- form beside."""


def parse(kind: type[T], argv: Sequence[str], prog: str, default: T | None = None) -> T:
    """The command's options from its words; help and mistakes in options are printed by tyro (exit code 2)."""
    options: dict[str, Any] = {} if default is None else {"default": default}
    # All of the docstring, with its examples; tyro takes the first paragraph alone.
    command = tyro.cli(kind, args=list(argv), prog=f"kgclip {prog}", description=inspect.getdoc(kind), **options)
    for name, least in (("workers", 0), ("top", 1)):
        value = getattr(command, name, getattr(getattr(command, "config", None), name, None))
        if value is not None and value < least:
            raise KgclipError(f"--{name} {value}: is too small; give {least} or more")
    return command


def warn_of_synthetic(config: "TrainConfig", option: str) -> None:
    """Say that the default backbone is of no use for real pictures.

    Args:
        option: what to add to the command for them.
    """
    if config.model.backbone == type(config.model).backbone and config.features is None:
        log.info(
            "backbone: %s, which knows drawn figures and nothing of real pictures; for real ones add %s",
            config.model.backbone,
            option,
        )


def say(line: str, *, error: bool = False) -> None:
    """One line for a person, on stdout or stderr; what it quotes of files cannot steer the terminal."""
    print(visible(line), file=sys.stderr if error else sys.stdout, flush=True)


def print_json(value: Any) -> None:
    """One value on stdout, on one line that a reader of a pipe sees at once."""
    print(json.dumps(value), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; numbers are right-aligned and fractions have three digits."""
    table = Table(title=Text(visible(title), style="table.title"), title_justify="left")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(Text(column, style="table.header"), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        cells = ("–" if v is None else f"{v:.3f}" if isinstance(v, float) else visible(str(v)) for v in row)
        table.add_row(*map(Text, cells))  # as text: a name in brackets is no markup
    # A file or a pipe takes lines of any length; a terminal has its own width.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _ANY_WIDTH).print(table)


def print_findings(findings: "Sequence[Finding]", *, about: str = "", as_json: dict[str, Any] | None = None) -> int:
    """Findings as lines with a count, or as JSON beside other values; gives the exit code, 1 if one is an error."""
    if as_json is not None:
        print_json(as_json | {"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            say(f"{finding.severity:<8} {finding.rule:<24} {finding.message}")
        say(f"{about}{len(findings)} finding{'' if len(findings) == 1 else 's'}")
    return 1 if any(finding.severity == "error" for finding in findings) else 0


def short(digest: str) -> str:
    """A hash as people compare it; JSON has all of it."""
    return digest[:12]


def workers_here(workers: int | None, engine: str) -> int:
    """The number of workers on this machine, 2 unless another is given.

    Raises:
        KgclipError: it is given beside a cluster, where it would have no effect.
    """
    if workers is not None and engine == "ray":
        raise KgclipError(f"--workers {workers}: is for this machine; a Ray cluster has its own number, leave it out")
    return 2 if workers is None else workers
