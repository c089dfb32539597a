"""All benchmarks in one run, with peers where they are installed: `make bench` and `make bench-check`.

python -m benchmarks.table [--triples FOLDER] [--check] writes docs/performance.json and the table of
docs/performance.md, or compares the ratios with those committed.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.harness import NAMES, Row, cells, fallen, markdown, read_table, to_json
from benchmarks.page import DOCS, fill
from kgclip.errors import KgclipError

TABLE = DOCS / "performance.json"
PEERS = ("reading", "decoding", "loader", "waiting", "predicting", "training_step", "estimates")
PART = """
import dataclasses, importlib, json, pathlib, sys
from kgclip.memory import keep_freed_memory
keep_freed_memory()  # as the kgclip command does
found = importlib.import_module(sys.argv[1]).benchmark(*map(pathlib.Path, sys.argv[2:]))
print(json.dumps([dataclasses.asdict(row) for row in found]))
"""


@dataclass(frozen=True)
class Options:
    """What to do.

    Args:
        triples: folder of the published graph's triples, for its edges; else random ones.
        check: compare with the committed table rather than write it.
    """

    triples: Path | None = None
    check: bool = False


def rows(options: Options) -> list[Row]:
    """Every benchmark's rows, told as they come: all of them take a while."""
    parts = [(f"benchmarks.{name}", []) for name in NAMES]
    parts.append(("benchmarks.pykeen_scores", [] if options.triples is None else [str(options.triples)]))
    parts += [(f"benchmarks.{name}", []) for name in PEERS]
    found: list[Row] = []
    for module, words in parts:
        new = in_its_own_process(module, words)
        for row in new:
            print(*(cell for cell in cells(row) if cell), sep=" | ", file=sys.stderr)
        found += new
    return found


def in_its_own_process(module: str, words: list[str]) -> list[Row]:
    """The rows of one benchmark, whose process holds nothing of the others.

    It has no main module: processes that it starts would import that, and all that it imports, first.
    """
    done = subprocess.run([sys.executable, "-c", PART, module, *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module}: ended with an error, see above; nothing was written")
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def write(found: list[Row]) -> None:
    """The table as JSON, and inside the page."""
    values = to_json(found)
    TABLE.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    told = ", ".join(f"{name} {value}" for name, value in values["machine"].items() if value is not None)
    fill(DOCS / "performance.md", "table", f"{told}.\n\n{markdown(found)}")


def main(options: Options) -> int:
    """Run all and write, or check."""
    committed = read_table(TABLE) if options.check else None
    found = rows(options)
    print(markdown(found))
    if committed is None:
        write(found)
        return 0
    complaints = fallen(found, committed)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options)))
    except KgclipError as error:
        print(f"benchmarks.table: {error}", file=sys.stderr)
        sys.exit(2)
