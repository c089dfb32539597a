"""`python -m tests.soak`: commands killed at random moments, and other faults; exit code 1 where one did harm."""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.commands import COMMANDS, Command
from tests.soak.faults import FAULTS, Trial, Tried
from tests.soak.kills import Tally, soak
from tests.soak.page import page
from tests.soak.place import open_place
from tests.soak.process import import_all
from tests.soak.single import SINGLE

PAGE = Path(__file__).resolve().parents[2] / "docs/generated/soak.md"


def main() -> int:
    """Run it."""
    names = [command.name for command in COMMANDS]
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="in all, shared equally")
    parser.add_argument("--commands", nargs="*", choices=names, default=names, metavar="NAME")
    parser.add_argument("--faults", nargs="*", metavar="NAME", help="functions of faults.py and single.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write docs/generated/soak.md")
    args = parser.parse_args()
    import_all()
    commands = [command for command in COMMANDS if command.name in args.commands]
    tallies, trials = run_all(commands, args.kills, args.faults, args.seed)
    if args.write:
        PAGE.write_text(page(tallies, trials), encoding="utf-8")
    return 1 if any(tally.findings for tally in tallies) or any(trial.problem for trial in trials) else 0


def run_all(
    commands: Sequence[Command], kills: int, faults: Sequence[str] | None, seed: int
) -> tuple[list[Tally], list[Trial]]:
    """All kills, then the faults of these names (None: all), each told as it is tried."""
    tallies, trials = list[Tally](), list[Trial]()
    pairs = [(command, fault) for fault in FAULTS for command in commands if command.faults] + list(SINGLE)
    pairs = [pair for pair in pairs if faults is None or pair[1].__name__ in faults]
    with open_place() as place:
        known = {}
        for command in commands:
            known[command.name] = place.unbroken(command)
            if kills:
                tallies.append(soak(place, command, known[command.name], -(-kills // len(commands)), seed))
                say(tallies[-1])
        for command, fault in pairs:
            whole = known.get(command.name) or place.unbroken(command)
            known[command.name] = whole
            trial = fault(Tried(place, command, whole, random.Random(f"{command.name} {seed}")))
            if trial is not None:
                trials.append(trial)
                say(trial)
    return tallies, trials


def say(outcome: Tally | Trial) -> None:
    """One line, and the findings."""
    print(outcome, flush=True)


if __name__ == "__main__":
    sys.exit(main())
