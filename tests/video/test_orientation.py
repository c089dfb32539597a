import numpy as np
import pytest

from kgclip.video.orientation import Orientation

PICTURE = np.arange(2 * 3 * 1, dtype=np.uint8).reshape(2, 3, 1)
ONE = 65536


@pytest.mark.parametrize(
    ("matrix", "shown", "rotation_deg"),
    [
        ((1, 0, 0, 1), PICTURE, 0),
        ((0, 1, -1, 0), np.rot90(PICTURE, -1), 90),
        ((-1, 0, 0, -1), np.rot90(PICTURE, 2), 180),
        ((0, -1, 1, 0), np.rot90(PICTURE, 1), 270),
        ((-1, 0, 0, 1), PICTURE[:, ::-1], 0),
        ((1, 0, 0, -1), PICTURE[::-1], 0),
        ((0, 1, 1, 0), PICTURE.transpose(1, 0, 2), 90),
        ((0, -1, -1, 0), np.rot90(PICTURE, 2).transpose(1, 0, 2), 270),
    ],
)
def test_all_eight_ways(matrix: tuple[int, ...], shown: np.ndarray, rotation_deg: int) -> None:
    orientation = Orientation.from_display_matrix(*(ONE * entry for entry in matrix))
    assert np.array_equal(orientation.apply(PICTURE), shown)
    assert orientation.rotation_deg == rotation_deg


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (0, 1, 1, 0)])
def test_pixels_go_where_the_matrix_sends_them(matrix: tuple[int, ...]) -> None:
    a, b, c, d = matrix
    shown = Orientation.from_display_matrix(a, b, c, d).apply(PICTURE)
    y, x = np.mgrid[:2, :3]
    new_x, new_y = a * x + c * y, b * x + d * y
    expected = np.empty_like(shown)
    expected[new_y - new_y.min(), new_x - new_x.min()] = PICTURE
    assert np.array_equal(shown, expected)


def test_a_slightly_turned_matrix_is_rounded() -> None:
    assert Orientation.from_display_matrix(60000, 2000, -2000, 60000) == Orientation()
