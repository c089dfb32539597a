"""The readout of movements: standardize, then a linear map, fitted without a gradient."""

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from kgclip.models.readout import MovementReadout
from kgclip.models.ridge import COPY_WEIGHT
from kgclip.models.statistics import NUM_STATISTICS, frame_statistics


def clips(num: int, seed: int = 0) -> Tensor:
    return torch.randn(num, 5, 3, generator=torch.Generator().manual_seed(seed)) * 4 + 7


def shares_of(frames: Tensor) -> Tensor:
    """Two movements that the mean and the direction in time tell exactly."""
    mean, _, direction, _ = frame_statistics(frames).chunk(NUM_STATISTICS, dim=1)
    return torch.stack([0.5 + 0.1 * (mean[:, 0] - 7), 0.5 + 0.02 * direction[:, 1]], dim=1)


def test_it_learns_movements_that_the_statistics_tell():
    readout, train, test = MovementReadout(3, 2), clips(200), clips(50, seed=1)
    readout.fit(train, shares_of(train))
    for estimated, true in zip(readout(test).T, shares_of(test).T, strict=True):
        assert torch.corrcoef(torch.stack([estimated, true]))[0, 1] > 0.9


def test_it_is_ridge_on_standardized_statistics():
    readout, train = MovementReadout(3, 2), clips(20)
    shares = (shares_of(train) + 0.3 * torch.randn(20, 2, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
    solution = readout.fit(train, shares)
    rows = torch.cat([readout.statistics(train)[None], readout.statistics.glances(train)]).double()
    counts = [1.0] * len(train) + [COPY_WEIGHT] * ((len(rows) - 1) * len(train))
    by_hand = Ridge(alpha=solution.penalty * sum(counts) / len(train))
    by_hand.fit(rows.flatten(0, 1).numpy(), shares.double().repeat(len(rows), 1).numpy(), counts)
    test = clips(4, seed=1)
    expected = by_hand.predict(readout.statistics(test).double().numpy())
    torch.testing.assert_close(readout(test).double(), torch.from_numpy(expected), atol=1e-4, rtol=0)


def test_before_the_fit_and_without_movements_it_estimates_nothing():
    assert (MovementReadout(3, 2)(clips(4)) == 0).all()
    assert MovementReadout(3, 0)(clips(4)).shape == (4, 0)


def test_it_has_no_trained_parameter_and_is_saved_whole():
    fitted, fresh = MovementReadout(3, 2), MovementReadout(3, 2)
    assert not list(fitted.parameters())
    fitted.fit(clips(20), shares_of(clips(20)))
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh(clips(4, seed=1)), fitted(clips(4, seed=1)))


@pytest.mark.parametrize("frames", [1, 4])
def test_statistics_that_never_vary_stay_finite(frames: int):
    readout, still = MovementReadout(3, 2), torch.ones(6, frames, 3)
    readout.fit(still, torch.rand(6, 2, generator=torch.Generator().manual_seed(0)))
    assert readout(still).isfinite().all()
