"""How much memory the scoring head takes, counted allocation by allocation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.head import ACTIONS, NUM_CLIPS, head, units


@dataclass(frozen=True)
class HeadMemory:
    """Bytes of one call of the scoring head.

    Attributes:
        actions: K.
        inputs: embeddings of clips and actions.
        output: the scores.
        peak: the most that was allocated at once besides the inputs, the output included.
    """

    actions: int
    inputs: int
    output: int
    peak: int

    @property
    def reached(self) -> bool:
        """Whether everything together is at most twice the inputs, and the output."""
        return self.inputs + self.peak <= 2 * self.inputs + self.output


def allocated(work: Callable[[], Any]) -> int:
    """The most bytes of tensors that some work has at once, of those that it makes."""
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        kept = work()
    # The tables that the profiler prints add up what each operation left; the peak needs every single allocation.
    results: Any = recorded.profiler and recorded.profiler.kineto_results
    events = sorted((e for e in results.events() if e.name() == "[memory]"), key=lambda event: event.start_ns())
    del kept
    now = most = 0
    for event in events:
        now += event.nbytes()
        most = max(most, now)
    return most


@torch.no_grad()
def head_memory() -> list[HeadMemory]:
    """Of each number of actions, none of whose projections is known beforehand."""
    torch.manual_seed(0)
    model, clips = head(), units(NUM_CLIPS)
    found = []
    for num_actions in ACTIONS:
        actions = units(num_actions)
        output = model.halves(clips, actions).output
        peak = allocated(lambda a=actions: model.halves(clips, a).output)
        found.append(HeadMemory(num_actions, clips.nbytes + actions.nbytes, output.nbytes, peak))
    return found
