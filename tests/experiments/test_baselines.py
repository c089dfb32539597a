"""Rivals without graph and movements: what they solve, what they choose, and what they must not see."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.baselines import (
    LinearFit,
    PooledFeatures,
    best_on_validation,
    logistic_regression,
    probe_mean,
    probe_statistics,
    pseudo_labels,
    ridge_mean,
    ridge_statistics,
    soft_labels,
    validation_loss,
    zero_shot,
)
from experiments.setting import Arm, Setting
from kgclip.config import TrainConfig
from kgclip.engine.metrics import top_k
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.ridge import fit_ridge

ARMS = (ridge_mean, ridge_statistics, probe_mean, probe_statistics, pseudo_labels)
Make = Callable[..., Setting]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("labeled", [2, 12])
def test_every_rival_learns_and_sees_any_number_of_frames(arm: Arm, labeled: int, synthetic: Make):
    setting = synthetic(labeled, noise=0.5)
    fitted, test = arm(setting), setting.prepared.split.test
    assert top_k(fitted.scores(test, 8), setting.labels(test)) > 0.5
    for frames in (1, 2, 3, 4, 8, 16):
        scores = fitted.scores(test, frames)
        assert scores.shape == (len(test), 3)
        assert torch.isfinite(scores).all()
    assert fitted.movements(test, 8) is None


@pytest.mark.parametrize("arm", ARMS)
def test_no_rival_sees_labels_it_may_not_use(arm: Arm, synthetic: Make, hide_labels: Callable[[Setting], Setting]):
    setting = synthetic(3)
    test = setting.prepared.split.test
    assert torch.equal(arm(setting).scores(test, 8), arm(hide_labels(setting)).scores(test, 8))


@pytest.mark.parametrize("arm", ARMS)
def test_without_validation_clips_there_is_still_an_answer(arm: Arm, synthetic: Make):
    setting = synthetic(3, val=False)
    assert torch.isfinite(arm(setting).scores(setting.prepared.split.test, 8)).all()


def test_ridge_is_that_of_the_labeled_clips(synthetic: Make):
    setting = synthetic(4)
    features = PooledFeatures(setting, "statistics")
    labeled = setting.prepared.split.labelled
    onehot = F.one_hot(setting.labels(labeled), 3).float()
    used = torch.tensor([clip in labeled for clip in setting.prepared.split.train])
    fit = fit_ridge(features(labeled, 8), onehot, features.glances[:, used])
    test = setting.prepared.split.test
    expected = F.linear(features(test, 8), fit.weight, fit.bias)
    torch.testing.assert_close(ridge_statistics(setting).scores(test, 8), expected)


def test_logistic_regression_stands_where_the_gradient_is_zero():
    x, labels, strength = normal(30, 50), torch.arange(30) % 3, 0.01
    weight, bias = (value.requires_grad_() for value in logistic_regression(x, labels, 3, strength))
    loss = F.cross_entropy(F.linear(x, weight, bias), labels) + 0.5 * strength * weight.square().sum()
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-3


def test_known_labels_stay_and_others_are_as_sure_as_asked():
    onehot = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    scores = torch.tensor([[9.0, 0.0, 0.0], [3.0, 2.0, 1.0]])
    weak, strong = (soft_labels(scores, onehot, sharpness) for sharpness in (1.0, 4.0))
    assert torch.equal(weak[0], onehot[0])
    torch.testing.assert_close(weak[1], (torch.tensor([1.5, 0.0, -1.5]) / 1.5**0.5).softmax(dim=0))
    assert strong[1, 0] > weak[1, 0] > weak[1, 1]


def test_unlabeled_clips_help_where_labels_are_few(synthetic: Make):
    setting = synthetic(1, noise=0.5)
    test = setting.prepared.split.test
    with_them, without = (
        top_k(arm(setting).scores(test, 8), setting.labels(test)) for arm in (pseudo_labels, ridge_statistics)
    )
    assert with_them > without


def test_validation_chooses_what_ranks_right_in_whatever_unit(synthetic: Make):
    setting = synthetic()
    features = PooledFeatures(setting, "mean")
    right = ridge_mean(setting)
    assert isinstance(right, LinearFit)
    weight, bias = right.actions
    tiny, wrong = (LinearFit(features, (factor * weight, factor * bias)) for factor in (1e-3, -1.0))
    assert best_on_validation(setting, [wrong, tiny]) is tiny
    scores = right.scores(setting.prepared.split.val, 8)
    assert validation_loss(setting, scores) == pytest.approx(validation_loss(setting, 7 * scores + 3), abs=1e-5)


def test_zero_shot_is_the_cosine_of_mean_frame_and_prompt(tmp_path: Path, tiny_config: Callable[..., TrainConfig]):
    config = tiny_config(tmp_path / "out")
    setting = Setting(config, prepare(config))
    test = setting.prepared.split.test
    scores = zero_shot(setting).scores(test, 4)
    with torch.no_grad():
        prompts = load_backbone("synthetic").encode_text(config.prompts.actions(setting.actions))
    cosine = F.cosine_similarity(setting.frames(test, 4).mean(dim=1)[:, None], prompts, dim=2)
    torch.testing.assert_close(scores, cosine / 0.07, atol=1e-3, rtol=1e-3)


def test_zero_shot_needs_a_space_of_images_and_texts(synthetic: Make):
    with pytest.raises(KgclipError, match="no space that images and texts share"):
        zero_shot(synthetic())
