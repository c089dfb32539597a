"""Pictures for docs are small, or there are none."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tools.screenshots import MOST_BYTES, small


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_is_made_small():
    row = np.linspace(0, 255, 1200).astype(np.uint8)
    made = small(png(np.stack([np.tile(row, (800, 1))] * 3, axis=2)))
    assert len(made) <= MOST_BYTES
    assert Image.open(BytesIO(made)).size == (1200, 800)


def test_a_picture_that_stays_large_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    with pytest.raises(SystemExit, match="make it smaller"):
        small(png(noise))
