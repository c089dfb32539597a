"""When a model says "unknown": a threshold of its stated probability, chosen on clips that it was not fitted to."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from kgclip.engine.metrics import Labels, rightness, unknown_below

# Share of the answers that may be wrong.
WRONG_ANSWERS = 0.1
# With fewer clips no such share can be measured; with fewer wrong first guesses any threshold would do.
LEAST_CLIPS, LEAST_WRONG = 20, 1

Clips = Literal["left-out training", "validation"]


@dataclass(frozen=True)
class Rates:
    """What a threshold does on a set of clips; shares in [0, 1], 0 of nothing.

    Attributes:
        coverage: share of the clips that get an answer.
        answered_top1: share of the answers that are right.
        false_accept: share of the wrong first guesses that pass as answers.
        false_reject: share of the right first guesses that are held back.
    """

    coverage: float
    answered_top1: float
    false_accept: float
    false_reject: float


@dataclass(frozen=True)
class Threshold:
    """The top probability below which a clip's action is unknown, and where it comes from.

    Attributes:
        value: in [0, 1].
        false_accept, false_reject: on the clips it was chosen on.
        num_clips: how many these are.
        clips: which these are.
    """

    value: float
    false_accept: float
    false_reject: float
    num_clips: int
    clips: Clips

    def __str__(self) -> str:
        on = f"{self.num_clips} {self.clips} clips"
        if self.value >= 1:
            return f"as on {on} even the surest answers were wrong more often than {WRONG_ANSWERS:.0%} of the time"
        return (
            f"the least at which {1 - WRONG_ANSWERS:.0%} of the answers on {on} were "
            f"right: it let {self.false_accept:.0%} of the wrong first guesses pass and held back "
            f"{self.false_reject:.0%} of the right ones"
        )


def choose_threshold(probability: Float[Tensor, "B K"], labels: Labels, clips: Clips) -> Threshold | None:
    """The threshold by :func:`unknown_below`; None where there are too few clips, or no wrong guess, to choose it on.

    Args:
        probability: stated for clips that the model was not fitted to.
        labels: of these clips.
        clips: which they are.
    """
    if len(labels) < LEAST_CLIPS or float((1 - rightness(probability, labels)).sum()) < LEAST_WRONG:
        return None
    value = unknown_below(probability, labels, WRONG_ANSWERS)
    rates = rates_at(value, probability, labels)
    return Threshold(value, rates.false_accept, rates.false_reject, len(labels), clips)


def rates_at(value: float, probability: Float[Tensor, "B K"], labels: Labels) -> Rates:
    """What a threshold of that value does on these clips."""
    right = rightness(probability, labels)
    answered = (probability.max(dim=1).values >= value).double()

    def share(part: Tensor, whole: Tensor) -> float:
        return float(part.sum() / whole.sum().clamp(min=1e-12))

    return Rates(
        float(answered.mean()),
        share(right * answered, answered),
        share((1 - right) * answered, 1 - right),
        share(right * (1 - answered), right),
    )
