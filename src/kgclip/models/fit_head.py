"""Solves the head on training clips: all at once, or from sums over batches where there are many of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kgclip.models.closed_form import (
    SHOWS_PENALTY,
    ClosedForm,
    Solution,
    Solved,
    SolvedTargets,
    powered_statistics,
    scales_of,
)
from kgclip.models.pooling import FRAME_COUNTS, phases
from kgclip.models.ridge import (
    PENALTY,
    KernelFeatures,
    apart,
    choose_landmarks,
    judged,
    radial_scale,
    squared_distances,
)
from kgclip.models.sums import RidgeSums, SummedFit, batches_of_sources

# Phases in which a training clip is seen with few frames, and rows of a fit that they may make.
MOST_PHASES, MOST_ROWS = 8, 2000
MOST_AT_ONCE = 4000
"""More clips are solved from sums over batches, which takes twice the time: features are read and multiplied again."""


@runtime_checkable
class ClipRows(Protocol):
    """Embeddings [N, T, F] of the frames of clips, read by rows: a tensor, or what reads them from a disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, T and F."""
        ...

    def __getitem__(self, rows: Int[Tensor, " B"], /) -> Float[Tensor, "B T F"]: ...


@dataclass(frozen=True)
class Team:
    """The processes that make sums together.

    Attributes:
        rank, count: which of how many this is.
        total: sums a tensor over all of them.
    """

    rank: int = 0
    count: int = 1
    total: Callable[[Tensor], Tensor] = lambda tensor: tensor


@torch.no_grad()
def fit_closed_form(
    embeddings: ClipRows, targets: SolvedTargets, team: Team | None = None
) -> tuple[ClosedForm, dict[int, Solved]]:
    """Solve for every number of frames up to those given.

    Beyond MOST_AT_ONCE clips memory holds a batch of clips at a time, the sums, and what is returned.

    Args:
        embeddings: of the frames of training clips.
        targets: labels and movements of these clips.
        team: who takes which batches; None takes all here.

    Returns:
        The head, and what left-out training clips are given by the solution for each number of frames.
    """
    num_clips, num_frames, frame_dim = embeddings.shape
    counts = [count for count in FRAME_COUNTS if count <= num_frames]
    size, most = len(choose_landmarks(num_clips)), max(1, min(MOST_PHASES, MOST_ROWS // num_clips))
    head = ClosedForm(frame_dim, dict.fromkeys(counts, size), targets.shape).to(targets.performs.device)
    left_out = {}
    for count in counts:
        if num_clips > MOST_AT_ONCE:
            fit = BatchedFit(head.solution(count), count, embeddings, targets, team or Team())
            left_out[count] = fit.solve()
        else:
            views = phases(embeddings[torch.arange(num_clips)], count, most)
            statistics = torch.stack([powered_statistics(view, count) for view in views])
            left_out[count] = head.solution(count).fit(statistics, targets)
    return head, left_out


@dataclass(frozen=True)
class BatchOfFit:
    """A batch of one fit: which clips, their features and targets, and which of them have a target."""

    rows: Int[Tensor, " B"]
    phi: Float[Tensor, "B L"]
    goal: Float[Tensor, "B Q"]
    known: Bool[Tensor, " B"]


@dataclass(frozen=True)
class BatchedFit:
    """Fits one solution in three passes over batches of clips: scales, sums, and what left-out clips are given.

    A source is never on two batches. What is summed is sums over clips, so that it does not matter who sums which. Rows
    are in double precision: kernels of few frames are singular but for rounding.
    """

    solution: Solution
    count: int
    embeddings: ClipRows
    targets: SolvedTargets
    team: Team

    def solve(self) -> Solved:
        """Fill the solution; returns what :meth:`Solution.fit` does."""
        solution = self.solution
        chosen = choose_landmarks(self.embeddings.shape[0])
        center, scale = self._scales()
        solution.center.copy_(center)
        solution.scale.copy_(scale)
        landmarks = solution.standardize(self._statistics(chosen)).double()
        solution.landmarks.copy_(landmarks)
        products, own = landmarks @ landmarks.T, torch.arange(len(chosen))
        distances = squared_distances(landmarks, landmarks, products)
        solution.radius.copy_(radial_scale(distances))
        linear = KernelFeatures.of(products, own)
        radial = KernelFeatures.of((-distances / solution.radius).exp(), own)
        mm, tri, shows = fits = self._fits(linear, radial)
        solution.weight.copy_((landmarks.T @ (linear.whitening @ mm.weight)).T)
        solution.bias.copy_(mm.bias)
        solution.subspaces.copy_(radial.whitening @ torch.cat([tri.weight, shows.weight], dim=1))
        solution.deviation.copy_(-torch.cat([tri.bias, shows.bias]))
        return self._left_out(linear, radial, fits)

    def _batches(self) -> Iterator[Int[Tensor, " B"]]:
        """The rows of this process's batches."""
        yield from batches_of_sources(self.targets.sources)[self.team.rank :: self.team.count]

    def _statistics(self, rows: Int[Tensor, " B"]) -> Float[Tensor, "B S"]:
        return powered_statistics(phases(self.embeddings[rows], self.count, 1)[0], self.count)

    def _scales(self) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        moments = torch.zeros(2, len(self.solution.center), dtype=torch.float64)
        for rows in self._batches():
            statistics = self._statistics(rows).double()
            moments += torch.stack([statistics.sum(dim=0), statistics.square().sum(dim=0)])
        mean, square = self.team.total(moments) / self.embeddings.shape[0]
        dtype = self.solution.center.dtype
        return scales_of(mean.to(dtype), (square - mean.square()).clamp(min=0).sqrt().to(dtype))

    def _rows_of_fits(self, linear: Tensor, radial: Tensor) -> Iterator[list[BatchOfFit]]:
        """Batch by batch, what S_mm, S_tri and the movements are fitted on."""
        performs, shows, landmarks = self.targets.performs, self.targets.shows, self.solution.landmarks.double()
        for rows in self._batches():
            x = self.solution.standardize(self._statistics(rows)).double()
            products = x @ landmarks.T
            distances = squared_distances(x, landmarks, products)
            looks, near = products @ linear, (-distances / self.solution.radius).exp() @ radial
            labels, seen = performs[rows].double(), shows[rows].double()
            labeled, annotated = labels.any(dim=1), seen.any(dim=1)
            yield [
                BatchOfFit(rows, looks, labels, labeled),
                BatchOfFit(rows, near, labels[:, : self.solution.shape.tri], labeled),
                BatchOfFit(rows, near, seen, annotated),
            ]

    def _fits(self, linear: KernelFeatures, radial: KernelFeatures) -> list[SummedFit]:
        shape, shifts = self.solution.shape, (linear.phi.mean(dim=0), radial.phi.mean(dim=0))
        sums = [
            RidgeSums(shifts[0], shape.mm),
            RidgeSums(shifts[1], shape.tri),
            RidgeSums(shifts[1], shape.movements),
        ]
        for batch in self._rows_of_fits(linear.whitening, radial.whitening):
            for each, row in zip(sums, batch, strict=True):
                if each.outputs:
                    each.add(row.phi[row.known], row.goal[row.known])
        penalties = PENALTY, PENALTY, SHOWS_PENALTY
        return [each.over(self.team.total).solve(penalty) for each, penalty in zip(sums, penalties, strict=True)]

    def _left_out(self, linear: KernelFeatures, radial: KernelFeatures, fits: list[SummedFit]) -> Solved:
        """Scores and shares of every clip, by a fit without its source where it was fitted on; sets their spread."""
        num_clips = len(self.targets.sources)
        labeled, annotated = self.targets.performs.any(dim=1), self.targets.shows.any(dim=1)
        sources = [self._together(known) for known in (labeled, labeled, annotated)]
        found = [self.targets.performs.new_zeros(num_clips, fit.outputs) for fit in fits]
        # Of actions with a single source each, left-out scores are the same for all clips.
        told = bool(judged(self.targets.performs, apart(self.targets.sources)).any())
        leaves_out = (told, told, True)
        for batch in self._rows_of_fits(linear.whitening, radial.whitening):
            for fit, row, together, values, out in zip(fits, batch, sources, found, leaves_out, strict=True):
                given, mine = row.phi @ fit.weight + fit.bias, row.known
                if out and fit.outputs and mine.any():
                    given[mine] = fit.left_out(row.phi[mine], row.goal[mine], together[row.rows][mine])
                values[row.rows] = given.to(values.dtype)
        mm, tri, shares = (self.team.total(values) for values in found)
        self.solution.measure_spread(mm, tri, labeled)
        return self.solution.solved(mm, tri, shares)

    def _together(self, known: Bool[Tensor, " N"]) -> Int[Tensor, " N"]:
        """What is left out together: sources, or single clips where those that are known have one source."""
        sources = self.targets.sources
        mine = sources[known]
        return torch.arange(len(sources)) if len(mine) and (mine == mine[0]).all() else sources
