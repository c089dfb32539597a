"""Intervals of an evaluation's figures, by drawing the sources of its clips again."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kgclip.engine.metrics import NUM_BINS

DRAWS = 1000
NOTE = f"95 %, bootstrap over the sources of the clips, {DRAWS:,} draws"


class Bootstrap:
    """Draws of the sources of clips: as many as there are, with replacement, the same for every figure.

    Args:
        sources: of the clips; clips of one source are drawn together.
    """

    def __init__(self, sources: Sequence[str]):
        names = sorted(set(sources))
        position = {name: number for number, name in enumerate(names)}
        self.source = torch.tensor([position[name] for name in sources])
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(len(names), (DRAWS, len(names)), generator=generator)
        self.times = torch.zeros(DRAWS, len(names), dtype=torch.float64).scatter_add_(
            1, drawn, torch.ones(drawn.shape, dtype=torch.float64)
        )

    def share(
        self, values: Bool[Tensor, " B"], among: Bool[Tensor, " B"] | None = None
    ) -> tuple[float, tuple[float, float]]:
        """The share of clips for which this is so, among all or among those, and its interval; 0 of nothing."""
        among = torch.ones_like(values) if among is None else among
        hits, all_clips = self._sums((values & among).double()[:, None]), self._sums(among.double()[:, None])
        value = float((values & among).sum() / among.sum().clamp(min=1))
        return value, _interval((hits / all_clips.clamp(min=1))[:, 0])

    def mean(self, values: Float[Tensor, " B"]) -> tuple[float, tuple[float, float]]:
        """The mean over the clips, and its interval."""
        sums, clips = self._sums(values.double()[:, None]), self._sums(torch.ones(len(values), 1, dtype=torch.float64))
        return float(values.double().mean()), _interval((sums / clips)[:, 0])

    def calibration_error(
        self, confidence: Float[Tensor, " B"], right: Bool[Tensor, " B"]
    ) -> tuple[float, tuple[float, float]]:
        """The expected calibration error over NUM_BINS bins, and its interval.

        Draws overstate it, as chance adds to each bin's distance from 0: the interval is of the draws less what they
        have too much in the mean, and not below 0.
        """
        bins = (confidence.double() * NUM_BINS).ceil().long().clamp(1, NUM_BINS) - 1
        gaps = torch.zeros(len(bins), NUM_BINS, dtype=torch.float64)
        gaps[torch.arange(len(bins)), bins] = right.double() - confidence.double()
        clips = self._sums(torch.ones(len(bins), 1, dtype=torch.float64))[:, 0]
        value = float(gaps.sum(dim=0).abs().sum() / len(bins))
        draws = self._sums(gaps).abs().sum(dim=1) / clips
        return value, _interval((draws - (draws.mean() - value)).clamp(min=0))

    def _sums(self, values: Float[Tensor, "B Q"]) -> Float[Tensor, "V Q"]:
        """Sums of values over the clips of each draw."""
        sums = torch.zeros(self.times.shape[1], values.shape[1], dtype=torch.float64)
        return self.times @ sums.index_add_(0, self.source, values)


def _interval(draws: Float[Tensor, " V"]) -> tuple[float, float]:
    low, high = draws.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def top(scores: Float[Tensor, "B K"], labels: Int[Tensor, " B"], k: int) -> Bool[Tensor, " B"]:
    """Which clips have their label among the k highest scores."""
    return (scores.topk(min(k, scores.shape[1]), dim=1).indices == labels[:, None]).any(dim=1)
