"""One small synthetic data set for all tests of this folder, and still motions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kgclip.synthetic.dataset import SyntheticOptions, generate
from kgclip.synthetic.motion import Motions


@pytest.fixture(scope="session")
def small_options() -> SyntheticOptions:
    return SyntheticOptions(train_per_action=2, test_per_action=1, frames=(12, 16), size=(64, 48), seed=3)


@pytest.fixture(scope="session")
def small_set(small_options: SyntheticOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "set"
    generate(root, small_options, progress=False)
    return root


@pytest.fixture(scope="session")
def motions_of() -> Callable[..., Motions]:
    """Make motions of codes [N, 10]; all parts at one phase (random ones if none is given) and fully active."""

    def make(codes: np.ndarray, phase: float | None = None, seed: int = 0) -> Motions:
        shape = codes.shape
        phases = np.random.default_rng(seed).random(shape) if phase is None else np.full(shape, phase)
        return Motions(codes, phases.astype(np.float32), np.ones(shape, dtype=np.float32))

    return make
