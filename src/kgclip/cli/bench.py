"""`kgclip bench`."""

import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from kgclip.cli.output import parse, print_json, print_table
from kgclip.errors import KgclipError

# Each is a module of kgclip.bench with a function `benchmark`.
NAMES = ("startup", "head", "epoch", "backbone")


@dataclass(frozen=True)
class Bench:
    """Measure how fast the program is on this machine, part by part, each against another way to do the same.

    Every figure is the median of five repeats, in turns with what it is compared with. Run nothing else meanwhile.

    Examples:

      kgclip bench

      kgclip bench head --json

      kgclip bench --out before.json && kgclip bench --check before.json
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = NAMES
    """which: startup, head, epoch, backbone"""
    out: Path | None = None
    """JSON file to write"""
    check: Path | None = None
    """JSON file written before; fail if a ratio has fallen by a fifth"""
    json: bool = False
    """print one JSON object"""


def bench(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(Bench, argv, "bench")
    unknown = sorted(set(command.names) - set(NAMES))
    if unknown:
        raise KgclipError(f"bench {unknown[0]}: there is no such benchmark; choose of {', '.join(NAMES)}")
    from kgclip.bench.harness import COLUMNS, cells, fallen, to_json

    committed = None if command.check is None else read_table(command.check)
    rows = [row for name in command.names for row in importlib.import_module(f"kgclip.bench.{name}").benchmark()]
    values = to_json(rows)
    if command.out is not None:
        command.out.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    if command.json:
        print_json(values)
    else:
        told = ", ".join(f"{name} {value}" for name, value in values["machine"].items() if value is not None)
        print_table(told, COLUMNS, [cells(row) for row in rows])
    complaints = [] if committed is None else fallen(rows, committed)
    for complaint in complaints:
        print(f"kgclip: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def read_table(file: Path) -> dict:
    """What `--out` wrote.

    Raises:
        KgclipError: the file cannot be read, or is something else.
    """
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise KgclipError(f"{file}: cannot be read as JSON ({error}); give what `kgclip bench --out` wrote") from error
    if not isinstance(values, dict) or "rows" not in values:
        raise KgclipError(f"{file}: holds no rows of a benchmark; give what `kgclip bench --out` wrote")
    return values
