"""All benchmarks in one run, with peers where they are installed: `make bench` and `make bench-check`.

python -m benchmarks [--check] writes docs/performance.json and the table of docs/performance.md, or compares the ratios
with those committed. python -m benchmarks --only decoding prints one benchmark's rows.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.harness import Row, cells, fallen, markdown, read_table, to_json
from kgclip.errors import KgclipError

DOCS = Path(__file__).parents[1] / "docs"
TABLE = DOCS / "performance.json"
NAMES = ("startup", "fit", "training_step", "pykeen_scores", "reading", "decoding", "loader", "predicting")
START, END = "<!-- table -->", "<!-- end of table -->"
PART = """
import dataclasses, importlib, json, sys
rows = importlib.import_module(sys.argv[1]).benchmark()
print(json.dumps([dataclasses.asdict(row) for row in rows]))
"""


@dataclass(frozen=True)
class Options:
    """What to do.

    Args:
        check: compare with the committed table rather than write it.
        only: print the rows of this benchmark alone.
    """

    check: bool = False
    only: str | None = None


def in_its_own_process(name: str) -> list[Row]:
    """The rows of one benchmark, whose process holds nothing of the others.

    It has no main module: processes that it starts would import that, and all that it imports, first.
    """
    words = [sys.executable, "-c", PART, f"benchmarks.{name}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks.{name}: ended with an error, see above; nothing was written")
    rows = [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    for row in rows:
        print(*(cell for cell in cells(row) if cell), sep=" | ", file=sys.stderr)
    return rows


def write(rows: list[Row], docs: Path = DOCS) -> None:
    """The table as JSON, and inside the page."""
    values, page = to_json(rows), docs / "performance.md"
    before, started, rest = page.read_text().partition(START)
    _, ended, after = rest.partition(END)
    if not started or not ended:
        raise SystemExit(f"{page}: lacks the lines {START} and {END}; add them where the table belongs")
    (docs / TABLE.name).write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    machine = ", ".join(f"{name} {value}" for name, value in values["machine"].items() if value is not None)
    page.write_text(f"{before}{START}\n{machine}.\n\n{markdown(rows)}\n{END}{after}")


def main(options: Options) -> int:
    """Run all and write, or check."""
    if options.only is not None:
        print(markdown(in_its_own_process(options.only)))
        return 0
    committed = read_table(TABLE) if options.check else None
    rows = [row for name in NAMES for row in in_its_own_process(name)]
    print(markdown(rows))
    if committed is None:
        write(rows)
        return 0
    complaints = fallen(rows, committed)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options)))
    except KgclipError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
