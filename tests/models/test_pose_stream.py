"""The second stream: numbers of which any may be unknown, solved as the frames are."""

import numpy as np
import torch
from torch import Tensor

from kgclip.models.closed_form import SolvedTargets
from kgclip.models.pose_stream import (
    LARGEST_DEVIATION,
    PoseSolution,
    fit_pose,
    has_pose,
    known_scales,
    pose_output,
    standardized,
)

K, N, S = 3, 30, 8
LABELS = torch.arange(N) % K
SHOWS = torch.tensor([[0.9, 0.0], [0.1, 0.8], [0.0, 0.1]])[LABELS]


def numbers(seed: int = 0) -> Tensor:
    """Poses that tell the actions, a tenth of all numbers unknown."""
    generator = torch.Generator().manual_seed(seed)
    centers = 3 * torch.randn(K, S, generator=torch.Generator().manual_seed(7))
    values = centers[LABELS] + torch.randn(N, S, generator=generator)
    return values.masked_fill(torch.rand(N, S, generator=generator) < 0.1, torch.nan)


def targets(*, triplet: bool = True) -> SolvedTargets:
    return SolvedTargets(torch.eye(K)[LABELS], SHOWS, torch.arange(N) // 6, triplet=triplet)


def test_scales_are_those_of_the_known_numbers():
    values = numbers()
    values[:, 3] = 2.0  # the same in every clip
    values[:, 4] = torch.nan
    center, scale = known_scales(values)
    told = [0, 1, 2, 5, 6, 7]
    np.testing.assert_allclose(center[told], np.nanmean(values[:, told], axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale[told], np.nanstd(values[:, told], axis=0), rtol=1e-4)
    assert (standardized(values, center, scale)[:, [3, 4]] == 0).all()


def test_an_unknown_number_is_at_the_mean_and_a_far_one_at_the_limit():
    center, scale = known_scales(numbers())
    clip = center.clone()
    clip[0], clip[1] = torch.nan, center[1] + 100 * scale[1]
    expected = torch.zeros(S)
    expected[1] = LARGEST_DEVIATION
    torch.testing.assert_close(standardized(clip, center, scale), expected)


def test_it_recognizes_clips_it_never_saw_and_reads_their_movements():
    solution, left_out = fit_pose(numbers(), targets())
    said = solution(numbers(seed=1))
    assert said.tri is not None
    for scores in (said.mm, said.tri, left_out.mm):
        assert (scores.argmax(dim=1) == LABELS).float().mean() > 0.9
    assert ((said.shares > 0.5) == (SHOWS > 0.5)).float().mean() > 0.9


def test_clips_without_a_pose_say_nothing_and_change_nothing():
    values, goal = numbers(), targets()
    values[::5] = torch.nan
    known = has_pose(values)
    assert known.tolist() == [row % 5 != 0 for row in range(N)]
    solution, left_out = fit_pose(values, goal)
    mine = SolvedTargets(goal.performs[known], goal.shows[known], goal.sources[known])
    alone, left_out_alone = fit_pose(values[known], mine)
    torch.testing.assert_close(dict(solution.state_dict()), dict(alone.state_dict()))
    torch.testing.assert_close(left_out.mm[known], left_out_alone.mm)
    assert (left_out.mm[~known] == 0).all()
    said = solution(values)
    output = pose_output(said, known)
    assert said.tri is not None
    torch.testing.assert_close(output[known], (said.mm + said.tri)[known] / 2)
    assert (output[~known] == 0).all()
    elsewhere = torch.full((N, 2), 0.3)
    shares = solution.shares_of(said, known, elsewhere)
    torch.testing.assert_close(shares[known], said.shares[known])
    torch.testing.assert_close(shares[~known], elsewhere[~known])


def test_without_annotated_clips_movements_are_read_elsewhere():
    goal = targets(triplet=False)
    solution, _ = fit_pose(numbers(), SolvedTargets(goal.performs, torch.zeros(N, 2), goal.sources, triplet=False))
    said, elsewhere = solution(numbers()), torch.full((N, 2), 0.3)
    assert said.tri is None
    torch.testing.assert_close(solution.shares_of(said, has_pose(numbers()), elsewhere), elsewhere)
    torch.testing.assert_close(pose_output(said, has_pose(numbers())), said.mm)


def test_a_single_clip_with_a_pose_is_enough():
    values = torch.full((N, S), torch.nan)
    values[4] = numbers()[4]
    solution, left_out = fit_pose(values, targets())
    assert isinstance(solution, PoseSolution)
    assert solution(numbers()).mm.isfinite().all()
    assert left_out.mm.isfinite().all()
