"""`python -m tests.fuzz`: damaged files for every reader, for a time; exit code 1 where one did what it must not."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.parent import ROOT, fuzz, has_atheris, page
from tests.fuzz.readers import READERS

PAGE = ROOT / "docs/generated/fuzz.md"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="in all, shared equally")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS), metavar="NAME")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for what was found")
    parser.add_argument("--plain", action="store_true", help="without atheris, also where it is installed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write docs/generated/fuzz.md")
    args = parser.parse_args()
    coverage = has_atheris() and not args.plain
    outcomes = fuzz(args.readers, args.seconds, args.findings.absolute(), coverage=coverage, seed=args.seed)
    text = page(outcomes, coverage)
    print(text, end="")
    if args.write:
        PAGE.write_text(text, encoding="utf-8")
    return 1 if any(each.findings for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
