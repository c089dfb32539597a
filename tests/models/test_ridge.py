"""Ridge regression against scikit-learn and plain solves, and its left-out values against fits that leave out."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from torch import Tensor

from kgclip.models import ridge
from kgclip.models.ridge import (
    PENALTY,
    WIDTH,
    KernelFeatures,
    RidgeSystem,
    choose_landmarks,
    fit_ridge,
    radial_scale,
    squared_distances,
)

SOURCES = torch.tensor([3, 0, 0, 1, 3, 2, 2, 2, 4, 5, 0, 6])


def problem(rows: int = 12, width: int = 5, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    x = 3 + torch.randn(rows, width, generator=generator)
    y = x @ torch.randn(width, 3, generator=generator) + noise * torch.randn(rows, 3, generator=generator)
    return x, y


def penalty_of(x: Tensor) -> float:
    centered = x.double() - x.double().mean(dim=0)
    return PENALTY * float(centered.square().sum(dim=1).mean())


@pytest.mark.parametrize(("rows", "width"), [(40, 6), (8, 20)])
@pytest.mark.parametrize("noise", [0.1, 10.0])
def test_the_fit_equals_scikit_learn(rows: int, width: int, noise: float):
    x, y = problem(rows, width, noise)
    fit = fit_ridge(x, y, torch.arange(rows))
    expected = Ridge(alpha=penalty_of(x)).fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(fit.weight.numpy().T, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(fit.bias.numpy(), expected.intercept_, atol=1e-3)


@pytest.mark.parametrize("width", [2, 5, 30])  # fewer features than some sources have rows, and more
def test_left_out_is_what_a_fit_without_the_source_gives(width: int):
    """Fitted again without the rows of each source, at the same penalty; its intercept is the mean of all rows."""
    x, y = problem(12, width)
    fit = fit_ridge(x, y, SOURCES)
    wide, tall = x.double().numpy(), y.double().numpy()
    for source in SOURCES.unique():
        of = torch.isin(SOURCES, source).numpy()
        solver = Ridge(alpha=penalty_of(x)).fit(wide[~of], tall[~of])
        expected = np.atleast_2d(solver.predict(wide[of])) - tall[~of].mean(axis=0) + tall.mean(axis=0)
        np.testing.assert_allclose(fit.left_out.numpy()[of], expected, atol=1e-4)


@pytest.mark.parametrize("width", [2, 5, 30])
def test_moved_rows_are_given_what_a_fit_of_other_sources_gives(width: int):
    """Fitted again without the rows of each one's source, around the means of all and at the same penalty."""
    x, y = problem(12, width)
    asked = x + torch.randn(12, width, generator=torch.Generator().manual_seed(1))
    given = RidgeSystem.of(x.double(), y.double(), PENALTY).of_others(asked, SOURCES, SOURCES)
    centered, target = (x - x.mean(dim=0)).double().numpy(), (y - y.mean(dim=0)).double().numpy()
    for row in range(12):
        others = (SOURCES[row] != SOURCES).numpy()
        solver = Ridge(alpha=penalty_of(x), fit_intercept=False).fit(centered[others], target[others])
        expected = solver.predict((asked[row] - x.mean(dim=0)).double().numpy()[None])[0] + y.mean(dim=0).numpy()
        np.testing.assert_allclose(given[row].numpy(), expected, atol=1e-3)
    few = torch.tensor([7, 0])
    alone = RidgeSystem.of(x.double(), y.double(), PENALTY).of_others(asked[few], SOURCES[few], SOURCES)
    torch.testing.assert_close(alone, given[few])


def test_nothing_of_a_left_out_row_reaches_it():
    """With one clip an action, no other clip tells its action: it gets the mean, whatever its own features."""
    x = problem(6, 30)[0]
    left_out = fit_ridge(x, torch.eye(6), torch.arange(6)).left_out
    torch.testing.assert_close(left_out.diagonal(), torch.full((6,), 1 / 6), atol=1e-5, rtol=0)


def test_clips_of_a_single_source_are_left_out_one_by_one():
    x, y = problem()
    alone = fit_ridge(x, y, torch.full((12,), 7))
    assert torch.equal(alone.left_out, fit_ridge(x, y, torch.arange(12)).left_out)
    assert (alone.left_out - (x @ alone.weight + alone.bias)).abs().max() > 0.01


def test_leaving_an_action_out_does_not_speak_against_it():
    """Features that tell nothing: a left-out clip gets the shares of all clips, its own action no less than others."""
    y = torch.eye(3)[torch.tensor([0, 0, 1, 1, 2, 2])]
    fit = fit_ridge(torch.zeros(6, 4), y, torch.tensor([0, 0, 1, 1, 2, 2]))
    torch.testing.assert_close(fit.left_out, torch.full((6, 3), 1 / 3))


def test_one_row_gives_its_own_value():
    fit = fit_ridge(torch.ones(1, 4), torch.tensor([[2.0, -1.0]]), torch.zeros(1, dtype=torch.int64))
    assert (fit.weight == 0).all()
    assert fit.bias.tolist() == [2, -1]
    assert fit.left_out.tolist() == [[2, -1]]


@pytest.mark.parametrize("penalty", [0.1, 2.0])
def test_a_stronger_penalty_is_a_share_of_the_mean_squared_length(penalty: float):
    x, y = problem()
    fit = fit_ridge(x, y, SOURCES, penalty)
    expected = Ridge(alpha=penalty_of(x) / PENALTY * penalty).fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(fit.weight.numpy().T, expected.coef_, atol=1e-4)


def radial_kernel(x: Tensor, landmarks: Tensor, scale: Tensor) -> Tensor:
    return (-squared_distances(x, landmarks) / scale).exp()


@pytest.mark.parametrize("rows", [2, 9, 30])
def test_distances_and_their_scale_equal_scikit_learn(rows: int):
    x = problem(rows)[0]
    distances, scale = squared_distances(x, x[:4]), radial_scale(squared_distances(x, x))
    expected = euclidean_distances(x.double().numpy(), x[:4].double().numpy(), squared=True)
    np.testing.assert_allclose(distances.numpy(), expected, atol=1e-4)
    torch.testing.assert_close(squared_distances(x, x[:4], x @ x[:4].T), distances, atol=1e-4, rtol=0)
    kernel = rbf_kernel(x.double().numpy(), x[:4].double().numpy(), gamma=1 / scale.item())
    np.testing.assert_allclose(radial_kernel(x, x[:4], scale).numpy(), kernel, atol=1e-5)
    squared = [((x[i] - x[j]) ** 2).sum().item() for i in range(rows) for j in range(i)]
    assert scale.item() == pytest.approx(sorted(squared)[(len(squared) - 1) // 2] / WIDTH, rel=1e-4)


def test_clips_that_are_all_equal_have_a_scale():
    assert radial_scale(torch.zeros(3, 3)) == 1 / WIDTH


def centered_kernel_ridge(gram: np.ndarray, cross: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Kernel ridge with an intercept: both kernels and the targets are centered by the training clips."""
    rows, columns = gram.mean(axis=1), gram.mean()
    centered = gram - rows - rows[:, None] + columns
    seen = cross - cross.mean(axis=1, keepdims=True) - rows + columns
    solver = KernelRidge(alpha=penalty, kernel="precomputed").fit(centered, y - y.mean(axis=0))
    return solver.predict(seen) + y.mean(axis=0)


def test_features_of_all_clips_give_exact_kernel_ridge():
    x, y = problem(25, 6)
    test = problem(7, 6)[0]
    scale = radial_scale(squared_distances(x, x))
    seen, unseen = radial_kernel(x, x, scale), radial_kernel(test, x, scale)
    features = KernelFeatures.of(seen, torch.arange(25))
    torch.testing.assert_close(features.phi @ features.phi.T, seen, atol=1e-4, rtol=0)
    fit = features.solve(y, torch.arange(25), torch.ones(25, dtype=torch.bool))
    predicted = unseen @ (features.whitening @ fit.weight) + fit.bias
    gram, cross = seen.double().numpy(), unseen.double().numpy()
    penalty = PENALTY * float(np.mean(np.diag(gram) - 2 * gram.mean(axis=1) + gram.mean()))
    expected = centered_kernel_ridge(gram, cross, y.double().numpy(), penalty)
    np.testing.assert_allclose(predicted.numpy(), expected, atol=2e-3)


def test_fewer_landmarks_than_clips_come_close(monkeypatch: pytest.MonkeyPatch):
    """What 40 of 120 clips span is close to the whole, what 4 span is not."""
    x, y = problem(120, 3, 0.1)
    rows, sources = torch.ones(120, dtype=torch.bool), torch.arange(120)
    kernel = radial_kernel(x, x, radial_scale(squared_distances(x, x)))

    def fitted(count: int) -> Tensor:
        monkeypatch.setattr(ridge, "LANDMARKS", count)
        landmarks = choose_landmarks(120)
        assert len(landmarks) == min(count, 120)
        features = KernelFeatures.of(kernel[:, landmarks], landmarks)
        assert features.phi.shape == (120, min(count, 120))
        fit = features.solve(y, sources, rows)
        return features.phi @ fit.weight + fit.bias

    exact = fitted(500)
    spread = exact.std()
    near, far = ((fitted(count) - exact).square().mean().sqrt() / spread for count in (40, 4))
    assert near < 0.1
    assert far > 2 * near


@pytest.mark.parametrize(("clips", "landmarks", "expected"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (1, 4, [0])])
def test_landmarks_lie_at_equal_distances(
    clips: int, landmarks: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ridge, "LANDMARKS", landmarks)
    assert choose_landmarks(clips).tolist() == expected


def test_rows_without_targets_are_left_out_of_the_fit():
    x, y = problem()
    features = KernelFeatures.of(x @ x.T, torch.arange(12))
    rows = torch.arange(12) % 3 != 0
    fit = features.solve(y, SOURCES, rows)
    other = y.clone()
    other[~rows] += 99
    assert torch.equal(features.solve(other, SOURCES, rows).weight, fit.weight)
    assert fit.left_out.shape == (8, 3)
    nothing = features.solve(y, SOURCES, torch.zeros(12, dtype=torch.bool))
    assert not nothing.weight.any()
    assert nothing.bias.tolist() == [0, 0, 0]
    assert nothing.left_out.shape == (0, 3)


@pytest.mark.parametrize("views", [1, 3])
def test_phases_of_a_clip_count_together_as_one_row(views: int):
    """Each phase enters with weight 1/V; a left-out clip, with all its phases, gets the mean over them."""
    x, y = problem(12 * views, 6)
    y = y[:12]
    features = KernelFeatures(x, torch.eye(6))
    fit = features.solve(y, SOURCES, torch.ones(12, dtype=torch.bool))
    wide, tall = x.double().numpy(), np.tile(y.double().numpy(), (views, 1))
    weighted = {"sample_weight": np.full(12 * views, 1 / views)}
    solver = Ridge(alpha=penalty_of(x)).fit(wide, tall, **weighted)
    np.testing.assert_allclose(fit.weight.numpy().T, solver.coef_, atol=1e-4)
    for source in SOURCES.unique():
        of = np.tile(torch.isin(SOURCES, source).numpy(), views)
        weighted["sample_weight"] = np.full((~of).sum(), 1 / views)
        solver = Ridge(alpha=penalty_of(x)).fit(wide[~of], tall[~of], **weighted)
        predicted = (solver.predict(wide[of]) - tall[~of].mean(axis=0) + tall.mean(axis=0)).reshape(views, -1, 3)
        np.testing.assert_allclose(fit.left_out.numpy()[of[:12]], predicted.mean(axis=0), atol=1e-4)


def test_clips_of_a_single_source_are_left_out_with_all_their_phases():
    x, y = problem(36, 6)
    features, rows = KernelFeatures(x, torch.eye(6)), torch.ones(12, dtype=torch.bool)
    together, alone = (features.solve(y[:12], s, rows).left_out for s in (torch.full((12,), 7), torch.arange(12)))
    assert torch.equal(together, alone)


@pytest.mark.parametrize("x", [torch.zeros(1, 4), torch.ones(3, 4), torch.eye(4)[:2]])
def test_few_or_equal_clips_have_finite_features(x: Tensor):
    for kernel in (x @ x.T, radial_kernel(x, x, radial_scale(squared_distances(x, x)))):
        features = KernelFeatures.of(kernel, torch.arange(len(x)))
        fit = features.solve(torch.eye(len(x)), torch.arange(len(x)), torch.ones(len(x), dtype=torch.bool))
        assert features.phi.isfinite().all()
        assert (features.phi @ fit.weight + fit.bias).isfinite().all()
        assert fit.left_out.isfinite().all()
