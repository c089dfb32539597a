"""`python -m tests.hostile`: every hostile file, and what was wrong; exit code 1 where anything was."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import write_encoders, write_model, write_seeds
from tests.hostile.catalog import CASES
from tests.hostile.parent import ROOT, page, run

PAGE = ROOT / "docs/generated/hostile.md"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--reader", default="", help="part of the names of the readers to run")
    parser.add_argument("--case", default="", help="part of the names of the cases to run")
    parser.add_argument("--verbose", action="store_true", help="show how each ended")
    parser.add_argument("--write", action="store_true", help="write docs/generated/hostile.md")
    args = parser.parse_args()
    numbers = [n for n, case in enumerate(CASES) if args.reader in case.reader and args.case in case.name]
    with tempfile.TemporaryDirectory(prefix="kgclip-hostile-") as folder:
        seeds = Path(folder)
        write_seeds(seeds)
        write_encoders(seeds)
        write_model(seeds, None)
        endings = run(seeds, numbers)
    for each in endings:
        if each.problem or args.verbose:
            case = CASES[each.number]
            print(f"{case.reader}: {case.name}: {each.problem or each.end}: {each.said} ({each.seconds} s)")
    text = page(endings)
    print(text, end="")
    if args.write:
        PAGE.write_text(text, encoding="utf-8")
    return 1 if any(each.problem for each in endings) else 0


if __name__ == "__main__":
    sys.exit(main())
