"""Commands killed at random moments: nothing is half-written, and the next run ends as an unbroken one."""

import random
import signal
from dataclasses import dataclass, field

from tests.soak.commands import Command
from tests.soak.place import Place, Unbroken, ended_well
from tests.soak.process import Kill

MOST_TRIES, MOST_FINDINGS = 4, 20
NEAR = 15
"""Changes of files."""


@dataclass
class Tally:
    """What came of one command's kills.

    Attributes:
        wall_s: of the unbroken run.
        kills: by SIGKILL, before the run had ended.
        survived: after which the command, started again, ended well.
        identical: after which its files were those of the unbroken run, and nothing else was left.
        findings: what was wrong.
    """

    name: str
    wall_s: float
    kills: int = 0
    survived: int = 0
    identical: int = 0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.name}: {self.kills} kills, {self.survived} survived, {self.identical} identical"
        return "\n  ".join([counts, *self.findings])


def soak(place: Place, command: Command, whole: Unbroken, kills: int, seed: int) -> Tally:
    """Kill a command so many times.

    Args:
        place: where.
        command: which.
        whole: what it gives when nothing happens to it.
        kills: how many times.
        seed: of the moments.
    """
    rng, tally = random.Random(f"{command.name} {seed}"), Tally(command.name, whole.ended.wall_s)
    again = place.unbroken(command)
    differs = whole.differs(place, command, again.ended)
    if differs:
        tally.findings.append(f"two unbroken runs differ: {differs}")
    while tally.kills < kills and len(tally.findings) < MOST_FINDINGS:
        _trial(place, command, again, rng, min(kills - tally.kills, rng.choice((1, 1, 2))), tally)
    return tally


def _trial(place: Place, command: Command, whole: Unbroken, rng: random.Random, kills: int, tally: Tally) -> None:
    """Kill a run, and the run that goes on from there, so many times; then let one end."""
    place.fresh()
    moments: list[Kill] = []
    wrong = None
    for _ in range(MOST_TRIES * kills):
        kill = _moment(whole, rng)
        ended = place.run(command, kill)
        if ended.code == -signal.SIGKILL:
            moments.append(kill)
            wrong = wrong or place.half_written(command, whole)
        elif not ended_well(ended):
            wrong = wrong or f"exit code {ended.code}: {ended.err}"
        if len(moments) == kills or wrong or (moments and ended.code != -signal.SIGKILL):
            break
        if not moments:
            place.fresh()
    if not moments and wrong is None:
        return
    tally.kills += len(moments)
    ended = place.run(command)
    if not ended_well(ended):
        wrong = wrong or f"exit code {ended.code}: {ended.err}"
    else:
        tally.survived += len(moments)
        wrong = wrong or whole.differs(place, command, ended)
    if wrong:
        tally.findings.append(f"{moments}: {wrong}")
    else:
        tally.identical += len(moments)


def _moment(whole: Unbroken, rng: random.Random) -> Kill:
    """A moment of the run: of its time, or before one of its changes of files, where little time is spent."""
    group, changes = rng.random() < 0.7, whole.ended.changes
    if rng.random() < 0.5 and changes:
        # Where a run begins and ends, what it puts aside changes its name or goes.
        near = rng.choice((0, rng.randint(1, NEAR), changes - rng.randint(0, NEAR)))
        return Kill(at_change=near if 1 <= near <= changes else rng.randint(1, changes), group=group)
    return Kill(after_s=rng.uniform(0, whole.ended.wall_s), group=group)
