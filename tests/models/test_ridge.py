"""Ridge regression against scikit-learn, and its leave-one-out errors against fits that really leave one out."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from kgclip.models.ridge import COPY_WEIGHT, PENALTIES, fit_ridge


def problem(rows: int, width: int, noise: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, width, generator=generator)
    y = x @ torch.randn(width, 3, generator=generator) + 5 + noise * torch.randn(rows, 3, generator=generator)
    return x, y


@pytest.mark.parametrize(("rows", "width"), [(40, 6), (8, 20)])
@pytest.mark.parametrize("noise", [0.1, 10.0])
def test_the_fit_equals_scikit_learn(rows: int, width: int, noise: float):
    x, y = problem(rows, width, noise)
    fit = fit_ridge(x, y)
    expected = Ridge(alpha=fit.penalty).fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(fit.weight.numpy(), expected.coef_, atol=1e-3)
    np.testing.assert_allclose(fit.bias.numpy(), expected.intercept_, atol=1e-3)


@pytest.mark.parametrize(("rows", "width"), [(25, 6), (8, 20)])
def test_leave_one_out_is_what_a_fit_without_the_row_gives(rows: int, width: int):
    x, y = problem(rows, width, 1.0)
    fit = fit_ridge(x, y)
    wide, tall = x.double().numpy(), y.double().numpy()
    for i in range(rows):
        others = np.arange(rows) != i
        without = Ridge(alpha=fit.penalty).fit(wide[others], tall[others])
        np.testing.assert_allclose(fit.leave_one_out[i].numpy(), without.predict(wide[i : i + 1])[0], atol=2e-3)


@pytest.mark.parametrize("noise", [0.01, 3.0, 100.0])
def test_the_penalty_is_that_of_the_least_leave_one_out_error(noise: float):
    x, y = problem(15, 6, noise)
    wide, tall = x.double().numpy(), y.double().numpy()
    errors = {}
    for share in PENALTIES:
        residuals = []
        for i in range(15):
            others = np.arange(15) != i
            without = Ridge(alpha=share * 6).fit(wide[others], tall[others])
            residuals.append(without.predict(wide[i : i + 1])[0] - tall[i])
        errors[share * 6] = float(np.square(residuals).mean())
    assert fit_ridge(x, y).penalty == min(errors, key=lambda penalty: errors[penalty])


def test_noise_alone_is_shrunk_towards_the_mean():
    x = problem(30, 6, 1.0)[0]
    y = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    assert fit_ridge(x, y).penalty == pytest.approx(max(PENALTIES) * 6)
    clean, target = problem(30, 6, 0.0)
    assert fit_ridge(clean, target).penalty == pytest.approx(min(PENALTIES) * 6)


def test_one_row_gives_its_own_value():
    fit = fit_ridge(torch.ones(1, 4), torch.tensor([[2.0, -1.0]]))
    assert (fit.weight == 0).all()
    assert fit.bias.tolist() == [2, -1]
    assert fit.leave_one_out.isfinite().all()


@pytest.mark.parametrize(("rows", "width"), [(30, 6), (8, 40)])
def test_copies_join_the_fit_at_the_penalty_that_the_rows_chose(rows: int, width: int):
    x, y = problem(rows, width, 1.0)
    copies = torch.stack([x + 0.1, 0.9 * x])
    fit, alone = fit_ridge(x, y, copies), fit_ridge(x, y)
    assert fit.penalty == alone.penalty
    counts = [1.0] * rows + [COPY_WEIGHT] * (2 * rows)
    expected = Ridge(alpha=fit.penalty * (1 + 2 * COPY_WEIGHT))
    expected.fit(torch.cat([x, *copies]).double().numpy(), y.double().repeat(3, 1).numpy(), counts)
    np.testing.assert_allclose(fit.weight.numpy(), expected.coef_, atol=1e-3)
    np.testing.assert_allclose(fit.bias.numpy(), expected.intercept_, atol=1e-3)
    assert (fit_ridge(x, y, copies[:0]).weight - alone.weight).abs().max() < 1e-3
