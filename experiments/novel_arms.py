"""Arms for actions without clips: base actions by a classifier of their clips, novel ones by what is known of them.

All arms score base actions alike, by ridge regression from frame statistics; they differ in how they know a novel one.
Each value of a novel action is z-scored over the training clips first: an action that is near every clip (a hub,
arXiv 1412.6568) would win everywhere otherwise. How base and novel values are put together, and how much
names count beside parsings, is chosen inside the base actions, some of which play the novel ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from kgclip.models.statistics import ClipStatistics
from torch import Tensor

from experiments.novel_ways import (
    Describe,
    Known,
    Readings,
    by_attributes,
    by_captions,
    by_path,
    by_text,
    known_of,
)
from experiments.setting import Arm, Fitted, Setting
from kgclip.engine.metrics import harmonic_mean
from kgclip.errors import KgclipError
from kgclip.models.ridge import fit_ridge

# Weights of names beside parsings that class-wise cross-validation chooses from.
NAME_WEIGHTS = (0.0, 0.3, 0.6, 1.0)
# Novel z-scores become scale · z + offset beside the base actions' ridge values, which aim at 0 and 1.
SCALES, OFFSETS = (0.03, 0.1, 0.2), tuple(np.linspace(-0.2, 1.2, 29).tolist())
_PSEUDO_DRAWS = 2


@dataclass(frozen=True)
class Reader:
    """Ridge regression from standardized frame statistics to base actions, movements and captions.

    Attributes:
        weight, bias: of the linear map to base actions, movements and captions, side by side.
        sizes: of the three: Kb, M, D.
        training: readings of the training clips, each as if it had not been fitted on.
    """

    weight: Float[Tensor, "P S"]
    bias: Float[Tensor, " P"]
    sizes: tuple[int, int, int]
    training: Readings

    @classmethod
    def fit(
        cls,
        z: Float[Tensor, "N S"],
        performs: Float[Tensor, "N Kb"],
        shows: Float[Tensor, "N M"],
        captions: Float[Tensor, "N D"],
    ) -> "Reader":
        """Fit on the clips that have a label and, for movements and captions, on those that show some."""
        weights, biases, readings = [], [], []
        for targets in (performs, shows, captions):
            rows = targets.any(dim=1)
            solution = fit_ridge(z[rows], targets[rows])
            values = z @ solution.weight.T + solution.bias
            values[rows] = solution.leave_one_out
            weights, biases = [*weights, solution.weight], [*biases, solution.bias]
            readings.append(values)
        sizes = (performs.shape[1], shows.shape[1], captions.shape[1])
        return cls(torch.cat(weights), torch.cat(biases), sizes, Readings(*readings))

    def read(self, z: Float[Tensor, "B S"]) -> Readings:
        """Readings of other clips."""
        return Readings(*(z @ self.weight.T + self.bias).split(self.sizes, dim=1))


@dataclass(frozen=True)
class Balance:
    """How values meet.

    Attributes:
        second: weight of the second way to describe, beside the first.
        scale, offset: from a novel action's value to the base actions' unit.
    """

    second: float = 0.0
    scale: float = SCALES[0]
    offset: float = 0.0


def novel_values(
    ways: Sequence[Describe], second: float, known: Known, reader: Reader, readings: Readings
) -> Float[Tensor, "B Kn"]:
    """The sum of one or two descriptions, each in units of its spread over the training clips."""
    total = torch.zeros(())
    for describe, weight in zip(ways, (1.0, second), strict=False):
        training, values = describe(reader.training, known), describe(readings, known)
        spread = training.std(dim=0, correction=0).clamp(min=1e-6)
        total = total + weight * (values - training.mean(dim=0)) / spread
    return total


@dataclass(frozen=True)
class _Trial:
    """Some base actions as novel ones: values of base and novel actions, and the right answer, as a column of both."""

    base: Float[Tensor, "B Kb"]
    novel: tuple[Float[Tensor, "B Kn"], ...]
    answers: Tensor

    def values(self, balance: Balance) -> Float[Tensor, "B K"]:
        novel = self.novel[0] + (balance.second * self.novel[1] if len(self.novel) > 1 else 0.0)
        return torch.cat([self.base, balance.scale * novel + balance.offset], dim=1)

    def accuracy(self, balance: Balance, *, generalized: bool) -> float:
        """Harmonic mean over all actions, or accuracy on novel clips among novel actions."""
        values, num_base = self.values(balance), self.base.shape[1]
        is_novel = self.answers >= num_base
        if not generalized:
            values = values.masked_fill(torch.arange(values.shape[1]) < num_base, -torch.inf)
        right = (values.argmax(dim=1) == self.answers).float()
        novel = float(right[is_novel].mean())
        return harmonic_mean(float(right[~is_novel].mean()), novel) if generalized else novel


def choose_balance(ways: Sequence[Describe], data: "_Data", seed: int) -> Balance:
    """Choose the balance by class-wise cross-validation: half of the base actions play the novel ones, in turn."""
    trials: list[_Trial] = []
    rng = np.random.default_rng(seed)
    for _ in range(_PSEUDO_DRAWS):
        order = rng.permutation(np.flatnonzero(data.known.base.numpy()))
        for pseudo in (order[::2], order[1::2]):
            trials.append(_trial(ways, data, torch.from_numpy(pseudo)))

    def mean(balance: Balance, *, generalized: bool) -> float:
        return sum(trial.accuracy(balance, generalized=generalized) for trial in trials) / len(trials)

    weights = NAME_WEIGHTS if len(ways) > 1 else (0.0,)
    second = max(weights, key=lambda weight: mean(Balance(weight), generalized=False))
    candidates = [Balance(second, scale, offset) for scale in SCALES for offset in OFFSETS]
    return max(candidates, key=lambda balance: mean(balance, generalized=True))


def _trial(ways: Sequence[Describe], data: "_Data", pseudo: Int[Tensor, " P"]) -> _Trial:
    """Fit without the clips of the pseudo-novel actions and describe these; the other clips are read as left out."""
    known, performs = data.known, data.performs
    is_pseudo = torch.zeros_like(known.base)
    is_pseudo[pseudo] = True
    rest = known.base & ~is_pseudo
    held = performs[:, is_pseudo].any(dim=1)
    kept = ~held
    reader = Reader.fit(data.z[kept], performs[kept][:, rest], data.shows[kept], data.captions[kept])
    columns = rest | is_pseudo
    shows_some = data.shows[kept].any(dim=1)
    smaller = Known(
        rest[columns],
        known.names[columns],
        known.descriptions[columns],
        known.shares[columns],
        known.written[columns],
        data.shows[kept][shows_some],
        known.captions[columns],
        data.captions[kept][shows_some].mean(dim=0),
    )
    labelled = performs[kept].any(dim=1)
    away, home = reader.read(data.z[held]), reader.training
    readings = Readings(
        torch.cat([home.looks[labelled], away.looks]),
        torch.cat([home.shares[labelled], away.shares]),
        torch.cat([home.captions[labelled], away.captions]),
    )
    answers = torch.cat(
        [
            performs[kept][labelled][:, rest].argmax(dim=1),
            int(rest.sum()) + performs[held][:, is_pseudo].argmax(dim=1),
        ]
    )
    novel = tuple(novel_values([way], 0.0, smaller, reader, readings) for way in ways)
    return _Trial(readings.looks, novel, answers)


@dataclass(frozen=True)
class _Data:
    """Standardized frame statistics of the training clips, with their labels, movements and what is known."""

    z: Float[Tensor, "N S"]
    performs: Float[Tensor, "N K"]
    shows: Float[Tensor, "N M"]
    captions: Float[Tensor, "N D"]
    known: Known


@dataclass(frozen=True)
class NovelFitted:
    """A recognizer of base and novel actions; see the top of this file."""

    setting: Setting
    statistics: ClipStatistics
    ways: tuple[Describe, ...]
    known: Known
    reader: Reader
    balance: Balance

    def _read(self, clips: tuple[str, ...], num_frames: int) -> Readings:
        return self.reader.read(self.statistics(self.setting.frames(clips, num_frames)))

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        readings = self._read(clips, num_frames)
        scores = torch.zeros(len(clips), len(self.known.base))
        scores[:, self.known.base] = readings.looks
        novel = novel_values(self.ways, self.balance.second, self.known, self.reader, readings)
        scores[:, ~self.known.base] = self.balance.scale * novel + self.balance.offset
        return scores

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        """See :class:`experiments.setting.Fitted`."""
        return self._read(clips, num_frames).shares


def fit_novel(setting: Setting, ways: tuple[Describe, ...], *, shuffled: bool = False) -> Fitted:
    """Fit base classifier and readout of movements, and balance them with descriptions of the novel actions.

    Args:
        setting: with novel actions.
        ways: one or two ways to describe.
        shuffled: give the novel actions each other's parsings, none its own: a control.

    Raises:
        KgclipError: the setting has no novel actions, no cached features or no annotated training clip.
    """
    if not setting.novel or setting.features is None or not setting.targets.shows.any():
        raise KgclipError(
            f"{setting.config.data}: novel arms need novel actions, cached features and annotated training clips; "
            "use a point with novel_fraction and data with part annotations"
        )
    frames = setting.frames(setting.prepared.split.train, setting.config.frames)
    statistics = ClipStatistics(frames.shape[2])
    statistics.fit(frames)
    (known, captions), targets = known_of(setting), setting.targets
    data = _Data(statistics(frames), targets.performs, targets.shows, captions, known)
    balance = choose_balance(ways, data, setting.config.seed)
    if shuffled:
        rows = torch.arange(len(known.base))
        rows[~known.base] = rows[~known.base].roll(1)
        known = replace(known, shares=known.shares[rows], written=known.written[rows])
    reader = Reader.fit(data.z, data.performs[:, known.base], data.shows, captions)
    return NovelFitted(setting, statistics, ways, known, reader, balance)


_NAME, _TEXT = partial(by_text, described=False), partial(by_text, described=True)

NOVEL_ARMS: dict[str, Arm] = {
    "novel_name": partial(fit_novel, ways=(_NAME,)),
    "novel_text": partial(fit_novel, ways=(_TEXT,)),
    "novel_captions": partial(fit_novel, ways=(by_captions,)),
    "novel_attributes": partial(fit_novel, ways=(by_attributes,)),
    "novel_written": partial(fit_novel, ways=(partial(by_path, written=True),)),
    "novel_path": partial(fit_novel, ways=(by_path,)),
    "novel_both": partial(fit_novel, ways=(by_path, _TEXT)),
    "novel_path_captions": partial(fit_novel, ways=(by_path, by_captions)),
    "novel_shuffled": partial(fit_novel, ways=(by_path,), shuffled=True),
}
"""Without the graph: by name, name and movements as text, captions that list movements, attributes. With it: by a
written parsing without numbers, by shares, by shares and text or captions together; and a control with foreign
parsings."""
