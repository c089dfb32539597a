"""The second stream: what the pose numbers of a clip say of actions and movements, solved as the frames are.

The streams are kept apart and their scores added: one solution of both side by side reads few clips worse than either.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.models.closed_form import Solution, Solved, SolvedTargets
from kgclip.models.ridge import choose_landmarks

# A number this many deviations from its mean says no more than one at that distance.
LARGEST_DEVIATION = 4.0
# Deviations below this are those of a number that is the same in every clip.
LEAST_DEVIATION = 1e-5


class PoseSolution(Solution):
    """A solution on pose numbers, of which any may be unknown (NaN): it then counts neither for nor against anything.

    Args:
        width: S, numbers of a clip.
        num_landmarks: L.
        shape: of the outputs.
    """

    def scales_of(self, statistics: Float[Tensor, "N S"]) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        """Mean and deviation of the known numbers of training clips."""
        return known_scales(statistics)

    def standardize(self, statistics: Float[Tensor, "*B S"]) -> Float[Tensor, "*B S"]:
        """Numbers in units of what training clips show, unknown ones at the mean."""
        return standardized(statistics, self.center, self.scale)

    def shares_of(
        self, poses: Solved, known: Bool[Tensor, " B"], otherwise: Float[Tensor, "B M"]
    ) -> Float[Tensor, "B M"]:
        """Shares of the movements read from pose; from elsewhere for clips without a pose.

        So for all clips where no annotated clip with a pose has taught how movements look.
        """
        reads = self.subspaces[:, self.shape.tri :].any()
        return torch.where(known[:, None] & reads, poses.shares, otherwise)


def known_scales(numbers: Float[Tensor, "N S"]) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
    """Mean and deviation of the known values of each number; infinite where a number is the same in every clip."""
    known = ~numbers.isnan()
    count = known.sum(dim=0).clamp(min=1)
    mean = numbers.nan_to_num(0.0).sum(dim=0) / count
    spread = ((numbers - mean).nan_to_num(0.0).square().sum(dim=0) / count).sqrt()
    return mean, torch.where(spread > LEAST_DEVIATION, spread, torch.inf)


def standardized(
    numbers: Float[Tensor, "*B S"], center: Float[Tensor, " S"], scale: Float[Tensor, " S"]
) -> Float[Tensor, "*B S"]:
    """Numbers in units of their scale, at most LARGEST_DEVIATION of them, unknown ones at the center."""
    return ((numbers - center) / scale).nan_to_num(nan=0.0).clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)


def has_pose(numbers: Float[Tensor, "B S"]) -> Bool[Tensor, " B"]:
    """Which clips have a pose: any number of theirs is known."""
    return ~numbers.isnan().all(dim=1)


def pose_output(solved: Solved, known: Bool[Tensor, " B"]) -> Float[Tensor, "B K"]:
    """``S_pose = ½ (S_mm + S_tri)`` of the pose's solution, or its S_mm alone; 0 for clips without a pose."""
    both = solved.mm if solved.tri is None else 0.5 * (solved.mm + solved.tri)
    return both * known[:, None]


@torch.no_grad()
def fit_pose(numbers: Float[Tensor, "N S"], targets: SolvedTargets) -> tuple[PoseSolution, Solved]:
    """Solve on the training clips that have a pose.

    Args:
        numbers: of the training clips; rows of NaN where there is no pose.
        targets: of all training clips.

    Returns:
        The solution, and what left-out training clips are given; zeros for clips without a pose.
    """
    known = has_pose(numbers)
    mine = SolvedTargets(targets.performs[known], targets.shows[known], targets.sources[known], targets.triplet)
    solution = PoseSolution(numbers.shape[1], len(choose_landmarks(int(known.sum()))), targets.shape).to(numbers.device)
    fitted = solution.fit(numbers[known][None], mine)

    def everywhere(values: Float[Tensor, "P Q"]) -> Float[Tensor, "N Q"]:
        full = values.new_zeros(len(numbers), values.shape[1])
        full[known] = values
        return full

    tri = None if fitted.tri is None else everywhere(fitted.tri)
    return solution, Solved(everywhere(fitted.mm), tri, everywhere(fitted.shares))
