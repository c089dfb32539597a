"""The head that is solved: S_mm by ridge regression, S_tri and the movements in a subspace for each relation.

Statistics of a clip's frames are the features. Every number of frames has a solution of its own, since statistics over
time depend on how far apart the frames lie; the closed form makes them for little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kgclip.models.pooling import NUM_STATISTICS, interleaved_statistics, nearest_count
from kgclip.models.ridge import KernelFeatures, apart, choose_landmarks, judged, radial_scale, squared_distances

# Features are drawn towards equal sizes by this power, sign kept: towers that end in a ReLU have a few large ones.
POWER = 0.7
# The mean over frames says most, and with few clips there are more statistics than clips: the others count less.
TIME_SCALE = 0.5
# Penalty of reading movements: stronger than that of recognizing actions, as left-out clips show on real and synthetic
# figures alike.
SHOWS_PENALTY = 2.0


@dataclass(frozen=True)
class Solved:
    """What the head makes of clips.

    Attributes:
        mm: S_mm, the linear solution, in units of its spread over the actions.
        tri: S_tri, the solution in the subspace of ``performs``, in units of its spread; None without a graph.
        shares: estimated share of each movement, in the subspace of ``shows``; may lie a little outside [0, 1].
    """

    mm: Float[Tensor, "B K"]
    tri: Float[Tensor, "B K"] | None
    shares: Float[Tensor, "B M"]


@dataclass(frozen=True)
class SolvedTargets:
    """What is solved for.

    Attributes:
        performs: labels, one-hot or soft; zero rows where there is none, zero columns where an action has no clip.
        shows: shares of the movements; zero rows for clips that nobody annotated.
        sources: number of each clip's source.
        triplet: solve for S_tri too.
    """

    performs: Float[Tensor, "N K"]
    shows: Float[Tensor, "N M"]
    sources: Int[Tensor, " N"]
    triplet: bool = True

    @property
    def shape(self) -> "HeadShape":
        """K, K again or 0, and M."""
        num_actions = self.performs.shape[1]
        return HeadShape(num_actions, num_actions if self.triplet else 0, self.shows.shape[1])


@dataclass(frozen=True)
class HeadShape:
    """Outputs of a solved head.

    Attributes:
        mm, tri: K where the head has this score, else 0.
        movements: M.
    """

    mm: int
    tri: int
    movements: int


class Solution(nn.Module):
    """The solution for clips seen with one number of frames.

    A relation r has its own subspace ``h'_r = M_r φ(x) − ε_r`` of the features φ of a radial-basis kernel on x, the
    standardized statistics; tails are orthonormal names, so that the coordinate of a tail is its score.

    Args:
        width: S.
        num_landmarks: L, clips that span the kernel's features.
        shape: of the outputs.
    """

    center: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    landmarks: Tensor
    radius: Tensor
    subspaces: Tensor
    deviation: Tensor
    spread: Tensor

    def __init__(self, width: int, num_landmarks: int, shape: HeadShape):
        super().__init__()
        outputs = shape.tri + shape.movements
        self.shape = shape
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("weight", torch.zeros(shape.mm, width))
        self.register_buffer("bias", torch.zeros(shape.mm))
        self.register_buffer("landmarks", torch.zeros(num_landmarks, width))
        self.register_buffer("radius", torch.ones(()))
        # M of performs and shows side by side, and ε of both.
        self.register_buffer("subspaces", torch.zeros(num_landmarks, outputs))
        self.register_buffer("deviation", torch.zeros(outputs))
        # Mean deviation of S_mm and S_tri over the actions of a clip that the fit did not see.
        self.register_buffer("spread", torch.ones(2))

    def scales_of(self, statistics: Float[Tensor, "N S"]) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        """Mean and scale by which statistics are standardized, from training clips without labels."""
        return statistics_scales(statistics)

    def standardize(self, statistics: Float[Tensor, "*B S"]) -> Float[Tensor, "*B S"]:
        """Statistics in units of what training clips show."""
        return (statistics - self.center) / self.scale

    def forward(self, statistics: Float[Tensor, "B S"]) -> Solved:
        """Scores and shares of clips from the statistics of their frames."""
        x = self.standardize(statistics)
        mm = nn.functional.linear(x, self.weight, self.bias)
        projected = (-squared_distances(x, self.landmarks) / self.radius).exp() @ self.subspaces - self.deviation
        tri, shares = projected.split([self.shape.tri, self.shape.movements], dim=1)
        return self.solved(mm, tri, shares)

    def measure_spread(self, mm: Float[Tensor, "N K"], tri: Float[Tensor, "N Q"], labeled: Bool[Tensor, " N"]) -> None:
        """Set the units of S_mm and S_tri to their mean deviation over the actions of clips that no fit saw."""
        for place, values in enumerate((mm, tri)):
            if values[labeled].numel():
                spread = values[labeled].std(dim=1, correction=0).mean()
                # Scores that are the same for every action have no unit of their own.
                self.spread[place] = torch.where(spread > 1e-6, spread, 1.0)

    def solved(self, mm: Float[Tensor, "B K"], tri: Float[Tensor, "B Q"], shares: Float[Tensor, "B M"]) -> Solved:
        """Scores in units of their spread."""
        return Solved(mm / self.spread[0], tri / self.spread[1] if self.shape.tri else None, shares)

    def fit(self, statistics: Float[Tensor, "V N S"], targets: SolvedTargets) -> Solved:
        """Solve; returns what each training clip would be given by a fit that never saw its source.

        Args:
            statistics: of the training clips in V phases.
            targets: of these clips.
        """
        center, scale = self.scales_of(statistics.flatten(0, 1))
        self.center.copy_(center)
        self.scale.copy_(scale)
        # In double precision from here on: kernels of few frames are singular but for rounding.
        x = self.standardize(statistics).double()
        chosen = choose_landmarks(x.shape[1]).to(x.device)
        landmarks = x[len(x) // 2, chosen]
        self.landmarks.copy_(landmarks)
        products = x.flatten(0, 1) @ landmarks.T
        distances = squared_distances(x.flatten(0, 1), landmarks, products)
        # Rows of the middle phase, and of the landmarks in it.
        own_phase = len(x) // 2 * x.shape[1] + torch.arange(x.shape[1], device=x.device)
        own = own_phase[chosen]
        self.radius.copy_(radial_scale(distances[own]))
        linear = KernelFeatures.of(products, own)
        radial = KernelFeatures.of((-distances / self.radius).exp(), own)
        labeled, annotated = targets.performs.any(dim=1), targets.shows.any(dim=1)
        performs = targets.performs.double()
        mm = linear.solve(performs, targets.sources, labeled)
        tri = radial.solve(performs[:, : self.shape.tri], targets.sources, labeled)
        shows = radial.solve(targets.shows.double(), targets.sources, annotated, SHOWS_PENALTY)
        self.weight.copy_((landmarks.T @ (linear.whitening @ mm.weight)).T)
        self.bias.copy_(mm.bias)
        self.subspaces.copy_(radial.whitening @ torch.cat([tri.weight, shows.weight], dim=1))
        self.deviation.copy_(-torch.cat([tri.bias, shows.bias]))
        fitted = ((linear, mm, labeled), (radial, tri, labeled), (radial, shows, annotated))
        given = [features.phi[own_phase] @ fit.weight + fit.bias for features, fit, _ in fitted]
        told = bool(judged(performs, apart(targets.sources)).any())
        for place, (values, (_, fit, rows)) in enumerate(zip(given, fitted, strict=True)):
            # Of actions with a single source each, left-out scores are the same for all clips.
            if told or place == 2:
                values[rows] = fit.left_out
        self.measure_spread(given[0], given[1], labeled)
        return self.solved(*(values.to(statistics.dtype) for values in given))


def statistics_scales(statistics: Float[Tensor, "N S"]) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
    """Mean and scale by which statistics are standardized, from training clips without labels."""
    exact = statistics.double()
    return scales_of(*(value.to(statistics.dtype) for value in (exact.mean(dim=0), exact.std(dim=0, correction=0))))


def scales_of(
    mean: Float[Tensor, " S"], spread: Float[Tensor, " S"]
) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
    """Mean and scale of statistics with this mean and deviation."""
    # What is the same in every clip, such as change over a single frame, says nothing.
    scale = torch.where(spread > 1e-5, spread, torch.inf)
    scale[len(scale) // NUM_STATISTICS :] /= TIME_SCALE
    return mean, scale


def powered_statistics(embeddings: Float[Tensor, "B T F"], most: int) -> Float[Tensor, "B S"]:
    """Statistics over the frames of clips after the power, of at most so many frames at once."""
    return interleaved_statistics(embeddings.sign() * embeddings.abs().pow(POWER), most)


class ClosedForm(nn.Module):
    """Solutions for several numbers of frames; others take the nearest by ratio.

    Args:
        frame_dim: F, dimension of a frame's embedding.
        landmarks: L of the solution for each number of frames.
        shape: of the outputs.
    """

    def __init__(self, frame_dim: int, landmarks: Mapping[int, int], shape: HeadShape):
        super().__init__()
        width = NUM_STATISTICS * frame_dim
        self.solutions = nn.ModuleDict({str(count): Solution(width, size, shape) for count, size in landmarks.items()})

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of frames that have a solution, ascending."""
        return tuple(sorted(int(count) for count in self.solutions))

    @property
    def landmarks(self) -> dict[int, int]:
        """L of each solution."""
        return {count: len(self.solution(count).landmarks) for count in self.counts}

    def solution(self, num_frames: int) -> Solution:
        """The solution for clips of that many frames."""
        solution = self.solutions[str(nearest_count(num_frames, self.counts))]
        assert isinstance(solution, Solution)
        return solution

    def forward(self, embeddings: Float[Tensor, "B T F"]) -> Solved:
        """Scores and shares of clips from the embeddings of their frames; all empty where nothing was solved."""
        if not self.counts:
            nothing = embeddings.new_zeros(len(embeddings), 0)
            return Solved(nothing, None, nothing)
        return self.solution(embeddings.shape[1])(powered_statistics(embeddings, self.counts[-1]))
