"""Labels that spread over neighbors."""

import pytest
import torch
from torch.nn import functional as F

from experiments import propagation
from experiments.propagation import NEIGHBORS, propagate


def test_labels_travel_along_a_chain_of_neighbors():
    angles = torch.linspace(0, 3, 40)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)
    onehot = torch.zeros(40, 2)
    onehot[0, 0] = onehot[-1, 1] = 1
    spread = propagate(x, onehot, 0.8)
    assert spread.argmax(dim=1).tolist() == [0] * 20 + [1] * 20
    torch.testing.assert_close(spread.sum(dim=0), torch.ones(2))


@pytest.mark.parametrize("num", [3, 70])
@pytest.mark.parametrize("reach", [0.5, 0.99])
def test_the_equations_are_those_of_the_full_matrix(num: int, reach: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(propagation, "CHUNK", 16)
    generator = torch.Generator().manual_seed(num)
    x = torch.randn(num, 4, generator=generator, dtype=torch.float64)
    onehot = F.one_hot(torch.arange(num) % 3, 4).double()  # the last action has no clip
    onehot[num // 2 :] = 0
    unit = F.normalize(x - x.mean(dim=0), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(-torch.inf)
    least = cosine.topk(min(NEIGHBORS, num - 1), dim=1).values[:, -1:]
    weights = cosine.where(cosine >= least, 0).clamp(min=0)
    weights = torch.maximum(weights, weights.T)
    scale = weights.sum(dim=1).clamp(min=1e-6).rsqrt()
    expected = torch.linalg.solve(torch.eye(num) - reach * scale[:, None] * weights * scale, onehot)
    expected = expected / expected.sum(dim=0).clamp(min=1e-9)
    torch.testing.assert_close(propagate(x, onehot, reach), expected, atol=1e-8, rtol=0)
