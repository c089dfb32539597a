"""Labels that spread over neighbors."""

import torch

from kgclip.models.propagation import propagate


def test_labels_travel_along_a_chain_of_neighbors():
    angles = torch.linspace(0, 3, 40)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)
    onehot = torch.zeros(40, 2)
    onehot[0, 0] = onehot[-1, 1] = 1
    spread = propagate(x, onehot, 0.8)
    assert spread.argmax(dim=1).tolist() == [0] * 20 + [1] * 20
    torch.testing.assert_close(spread.sum(dim=0), torch.ones(2))
