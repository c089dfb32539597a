"""Rivals that take movements as plain labels: what they learn from them, and that they see no more."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from experiments.baselines import LinearFit, PooledFeatures, ridge_statistics
from experiments.movement_rivals import movement_pseudo_labels, movement_stacking, multi_label_head
from experiments.setting import Arm, Setting
from kgclip.engine.metrics import top_k
from kgclip.kg.graph import KnowledgeGraph
from kgclip.models.ridge import fit_ridge

ARMS = (multi_label_head, movement_stacking, movement_pseudo_labels)
Make = Callable[..., Setting]


@pytest.mark.parametrize("arm", ARMS)
def test_every_rival_recognizes_actions_and_movements(arm: Arm, synthetic: Make):
    setting = synthetic(4, noise=0.5)
    fitted, test = arm(setting), setting.prepared.split.test
    assert top_k(fitted.scores(test, 8), setting.labels(test)) > 0.6
    movements = fitted.movements(test, 8)
    assert movements is not None
    assert movements.shape == (len(test), 6)
    # An action's own two movements stand above the other four.
    own = F.one_hot(setting.labels(test), 3).repeat_interleave(2, dim=1).bool()
    assert (movements[own].mean() - movements[~own].mean()) / movements.std() > 0.25
    for frames in (1, 2, 16):
        assert torch.isfinite(fitted.scores(test, frames)).all()


@pytest.mark.parametrize("arm", ARMS)
def test_no_rival_sees_labels_it_may_not_use(arm: Arm, synthetic: Make, hide_labels: Callable[[Setting], Setting]):
    setting = synthetic(3)
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), arm(hide_labels(setting)).scores(test, 8))


@pytest.mark.parametrize("arm", ARMS)
def test_no_rival_sees_what_actions_consist_of(arm: Arm, synthetic: Make):
    setting = synthetic(3)
    graph = setting.prepared.graph
    consists_of = [replace(edge, head="bow", relation="consists_of") for edge in graph.edges("shows")]
    more = KnowledgeGraph.from_edges(
        [*graph.edges("performs"), *graph.edges("shows"), *consists_of], isolated=graph.isolated()
    )
    other = replace(setting, prepared=replace(setting.prepared, graph=more))
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), arm(other).scores(test, 8))


@pytest.mark.parametrize("arm", ARMS)
def test_without_annotations_or_validation_there_is_still_an_answer(arm: Arm, synthetic: Make):
    setting = synthetic(3, val=False, annotated=0)
    assert torch.isfinite(arm(setting).scores(setting.prepared.split.test, 8)).all()


@pytest.mark.parametrize("arm", [movement_stacking, movement_pseudo_labels])
def test_without_movements_to_learn_from_it_is_ridge(arm: Arm, synthetic: Make):
    setting = synthetic(4, annotated=0)
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), ridge_statistics(setting).scores(test, 8))


def test_the_privileged_teacher_helps_where_labels_are_few(synthetic: Make):
    setting = synthetic(1, noise=0.7)
    test = setting.prepared.split.test
    taught, alone = (
        top_k(arm(setting).scores(test, 8), setting.labels(test)) for arm in (movement_pseudo_labels, ridge_statistics)
    )
    assert taught > alone


def test_the_readout_of_movements_is_ridge_on_the_annotated_clips(synthetic: Make):
    setting = synthetic(4, annotated=9)
    features = PooledFeatures(setting, "statistics")
    shows = setting.targets.shows
    annotated = shows.any(dim=1)
    assert int(annotated.sum()) == 27
    fit = fit_ridge(features.train[annotated], shows[annotated])
    for arm in (movement_stacking, movement_pseudo_labels):
        fitted = arm(setting)
        assert isinstance(fitted, LinearFit)
        assert fitted.readout is not None
        torch.testing.assert_close(fitted.readout[0], fit.weight)
        torch.testing.assert_close(fitted.readout[1], fit.bias)


def test_the_heads_depend_on_the_seed_alone(synthetic: Make):
    setting = synthetic(4)
    test = setting.prepared.split.test
    first = multi_label_head(setting).scores(test, 8)
    torch.manual_seed(77)
    assert torch.equal(multi_label_head(setting).scores(test, 8), first)
    other = replace(setting, config=replace(setting.config, seed=1))
    assert not torch.equal(multi_label_head(other).scores(test, 8), first)
