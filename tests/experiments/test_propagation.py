"""Labels that spread over neighbors."""

import pytest
import torch

from experiments.propagation import propagate


def test_labels_travel_along_a_chain_of_neighbors():
    angles = torch.linspace(0, 3, 40)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)
    onehot = torch.zeros(40, 2)
    onehot[0, 0] = onehot[-1, 1] = 1
    spread = propagate(x, onehot, 0.8)
    assert spread.argmax(dim=1).tolist() == [0] * 20 + [1] * 20
    torch.testing.assert_close(spread.sum(dim=0), torch.ones(2))


@pytest.mark.parametrize("reach", [0.5, 0.99])
def test_two_pairs_of_neighbors_by_hand(reach: float):
    """With one neighbor each, W links the pairs: D is 1 in the normalized graph, and (I − αS)⁻¹ of a pair is known."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    onehot = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    pair = torch.tensor([1.0, reach]) / (1 + reach)
    expected = torch.zeros(4, 3)
    expected[:2, 0] = expected[2:, 1] = pair
    torch.testing.assert_close(propagate(x, onehot, reach), expected)
