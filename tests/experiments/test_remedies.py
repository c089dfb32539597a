"""Remedies for the path: each is KG-CLIP with one thing changed, sees no more than it may, and says what it reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from kgclip.engine.metrics import top_k
from kgclip.experiments.baselines import ridge_statistics
from kgclip.experiments.data import OpenData, open_setting
from kgclip.experiments.family import trained
from kgclip.experiments.measure import cell_metrics
from kgclip.experiments.protocol import Point
from kgclip.experiments.remedies import (
    REMEDIES,
    WEIGHTS,
    PathFit,
    distilled,
    fit_grouped_ridge,
    left_out_path,
    mirrored,
    open_case,
    phases,
    rare_first,
    shown_frames,
    weighed_by_training_clips,
    with_rule,
    with_shares,
)
from kgclip.experiments.setting import Arm, Setting
from kgclip.kg.build import MovementRule
from kgclip.models.path import discriminant_weights

Make = Callable[..., Setting]
# These need no annotated frames.
CLIP_LEVEL: tuple[Arm, ...] = (with_shares(mirrored), with_shares(rare_first), weighed_by_training_clips, distilled)


@pytest.fixture
def tiny_setting(tiny_data: OpenData, tmp_path: Path) -> Setting:
    return open_setting(tiny_data, Point("all", frames=4, test_frames=(4,)), 0, 0, tmp_path / "scratch")


@pytest.mark.parametrize("arm", CLIP_LEVEL)
def test_remedies_recognize_actions_and_movements(arm: Arm, synthetic: Make):
    setting = synthetic(6, noise=0.5)
    fitted, test = arm(setting), setting.prepared.split.test
    assert top_k(fitted.scores(test, 8), setting.labels(test)) > 0.6
    movements = fitted.movements(test, 8)
    assert movements is not None
    own = F.one_hot(setting.labels(test), 3).repeat_interleave(2, dim=1).bool()
    assert (movements[own].mean() - movements[~own].mean()) / movements.std() > 0.25


@pytest.mark.parametrize("arm", CLIP_LEVEL)
def test_remedies_see_no_labels_they_may_not_use(arm: Arm, synthetic: Make, hide_labels: Callable[[Setting], Setting]):
    setting = synthetic(3)
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), arm(hide_labels(setting)).scores(test, 8))


@pytest.mark.parametrize("arm", CLIP_LEVEL)
def test_without_annotations_a_remedy_is_ridge(arm: Arm, synthetic: Make):
    setting = synthetic(4, val=False, annotated=0)
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), ridge_statistics(setting).scores(test, 8))


def test_the_shares_of_the_graph_give_what_training_gives(tiny_setting: Setting):
    setting = tiny_setting
    test = setting.prepared.split.test
    ours, theirs = with_shares(lambda it: it.targets.shows)(setting), trained()(setting)
    assert torch.equal(ours.scores(test, 4).argmax(dim=1), theirs.scores(test, 4).argmax(dim=1))
    movements = ours.movements(test, 4), theirs.movements(test, 4)
    assert movements[0] is not None
    assert movements[1] is not None
    torch.testing.assert_close(*movements, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", REMEDIES)
def test_every_registered_remedy_answers_at_any_number_of_frames(name: str, tiny_setting: Setting):
    fitted, test = REMEDIES[name](tiny_setting), tiny_setting.prepared.split.test
    for frames in (1, 2, 4):
        scores = fitted.scores(test, frames)
        assert scores.shape == (len(test), 24)
        assert torch.isfinite(scores).all()
        assert len(scores.argmax(dim=1).unique()) > 3
    assert 0 < cell_metrics(tiny_setting, fitted, 4)["top1"] <= 1


def test_another_rule_may_leave_other_movements(tiny_setting: Setting):
    fitted, test = with_rule(MovementRule(min_support=0.9))(tiny_setting), tiny_setting.prepared.split.test
    assert torch.isfinite(fitted.scores(test, 4)).all()
    assert fitted.movements(test, 4) is None
    assert "movement_map" not in cell_metrics(tiny_setting, fitted, 4)


def test_shown_frames_average_to_the_shares_of_the_graph(tiny_setting: Setting):
    rows = torch.stack([shown.mean(dim=0) for _, shown in shown_frames(tiny_setting)])
    torch.testing.assert_close(rows, tiny_setting.targets.shows, rtol=0, atol=1e-6)


def test_phases_tell_first_from_last_and_one_phase_is_the_whole_clip(tiny_setting: Setting):
    shows = tiny_setting.targets.shows
    torch.testing.assert_close(phases(1)(tiny_setting), shows, rtol=0, atol=1e-6)
    first, last = phases(2)(tiny_setting).chunk(2, dim=1)
    assert first.shape == shows.shape
    assert (first - last).abs().max() > 0.2
    # A movement that a clip shows throughout is there in both halves.
    throughout = shows == 1
    assert throughout.any()
    torch.testing.assert_close(first[throughout], shows[throughout], rtol=0, atol=1e-5)
    torch.testing.assert_close(last[throughout], shows[throughout], rtol=0, atol=1e-5)


def test_mirrored_shares_do_not_tell_sides(tiny_setting: Setting):
    shares, mirror = mirrored(tiny_setting), tiny_setting.targets.mirror
    pairs = torch.nonzero(mirror >= 0)[:, 0]
    torch.testing.assert_close(shares[:, pairs], shares[:, mirror[pairs]])
    torch.testing.assert_close(shares[:, pairs].sum(), tiny_setting.targets.shows[:, pairs].sum())


def test_a_penalty_by_groups_shrinks_what_rows_alone_would_not():
    generator = torch.Generator().manual_seed(0)
    # Three near copies of each of 40 clips, with noise for targets: a row's copies give it away, a clip's do not.
    x = torch.randn(40, 30, generator=generator).repeat_interleave(3, dim=0)
    x = x + 0.01 * torch.randn(x.shape, generator=generator)
    y = torch.randn(40, 8, generator=generator).repeat_interleave(3, dim=0)
    by_clips, _ = fit_grouped_ridge(x, y, torch.arange(40).repeat_interleave(3))
    by_rows, _ = fit_grouped_ridge(x, y, torch.arange(120))
    assert by_clips.norm() < 0.75 * by_rows.norm()


def test_fit_grouped_ridge_learns_a_linear_map():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([[1.0, 0, 2, 0, -1]]).T + 3
    weight, bias = fit_grouped_ridge(x, y, torch.arange(200) // 4)
    torch.testing.assert_close(F.linear(x, weight, bias), y, rtol=0.02, atol=0.05)


def test_a_clip_is_left_out_of_the_prototype_of_its_own_action_only(synthetic: Make):
    case = open_case(synthetic(4))
    shows = case.setting.targets.shows
    chosen = case.setting.targets.performs.any(dim=1)
    evidence = left_out_path(case, shows, shows[chosen], chosen)
    number = int(torch.nonzero(chosen)[0])
    changed = shows.clone()
    changed[number] = changed[number].flip(0)
    prototypes = case.prototypes(changed)
    action = int(case.setting.targets.performs[number].argmax())
    assert not torch.allclose(prototypes[action], case.prototypes(shows)[action])
    own = case.setting.targets.performs[chosen].bool()
    # Having seen a clip makes its own action likelier than leaving it out.
    weights = discriminant_weights(case.prototypes(shows), shows[case.annotated])
    seen = (shows[chosen] - shows[case.annotated].mean(dim=0)) @ weights.T
    assert (seen[own] > evidence[own]).float().mean() > 0.8
    torch.testing.assert_close(seen[~own], evidence[~own])


def test_the_weight_of_the_path_is_one_of_the_candidates(synthetic: Make):
    fitted = weighed_by_training_clips(synthetic(6, val=False))
    assert isinstance(fitted, PathFit)
    assert fitted.weight in WEIGHTS
