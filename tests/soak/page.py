"""docs/generated/soak.md."""

from collections.abc import Sequence

from tests.soak.faults import Trial
from tests.soak.kills import Tally


def page(tallies: Sequence[Tally], trials: Sequence[Trial]) -> str:
    """The two tables: kills by command, and faults with what was said."""
    rows = [(each.name, f"{each.wall_s:.1f}", each.kills, each.survived, each.identical) for each in tallies]
    total = [sum(getattr(each, name) for each in tallies) for name in ("kills", "survived", "identical")]
    kills = "\n".join(f"| {' | '.join(map(str, row))} |" for row in [*rows, ("all", "", *total)])
    return (
        "Made by `make soak`: commands killed by SIGKILL at random moments, and started again.\n"
        "A kill is survived where the command then does its work, and identical where all files are those of an\n"
        "unbroken run, but for times, with nothing left beside them.\n\n"
        f"| command | unbroken run, s | kills | survived | identical |\n|---|---:|---:|---:|---:|\n{kills}\n\n"
        "A fault is handled where the run ends well or in this one sentence, nothing is half-written, and the command, "
        "started again\nafter the fault is gone, gives the files of an unbroken run.\n\n"
        f"| fault | command | handled | what it says |\n|---|---|---:|---|\n{_faults(trials)}\n"
    )


def _faults(trials: Sequence[Trial]) -> str:
    """One row for each trial."""
    rows = [(t.fault, t.command, "**no**" if t.problem else "yes", t.said or "ends well") for t in trials]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
