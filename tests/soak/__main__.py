"""`python -m tests.soak`: commands killed at random moments, and other faults; exit code 1 where one did harm."""

import argparse
import sys

from tests.soak.commands import COMMANDS
from tests.soak.kills import by_name, soak
from tests.soak.process import import_all


def main() -> int:
    """Run it."""
    names = [command.name for command in COMMANDS]
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=6, help="of each command")
    parser.add_argument("--commands", nargs="*", choices=names, default=names, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    import_all()
    tallies = soak(by_name(args.commands), args.kills, args.seed, lambda line: print(line, flush=True))
    return 1 if any(tally.findings for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
