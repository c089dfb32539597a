"""Fixtures every test folder shares."""

from pathlib import Path

import pytest
import torch

# The tests run in one process a core: more threads would only get in each other's way.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; users of the project do not have it."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: the real graph, clips and weights are not part of the project")
    return folder
