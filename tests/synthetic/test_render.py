from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.synthetic.actions import encode, options, random_codes
from kgclip.synthetic.figure import BODY_PARTS, SLOTS, Figure, draw, slot_columns
from kgclip.synthetic.raster import paint
from kgclip.synthetic.render import render
from kgclip.synthetic.scene import film, random_scenes

NO_BLOCK = np.zeros((1, 4), dtype=np.float32)


def _figure(rng: np.random.Generator, shapes: int) -> Figure:
    start, end = rng.uniform(-0.6, 1.1, (2, 1, shapes, 2)).astype(np.float32)
    radius = rng.uniform(-0.05, 0.3, (1, shapes)).astype(np.float32)
    depth, color = rng.random((1, shapes), dtype=np.float32), np.zeros((1, shapes, 3), np.float32)
    return Figure(start, end, radius, depth, color, joints=np.zeros((1, 17, 3), np.float32))


def _seen_by_distance(figure: Figure, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Find what is seen from each pixel center's distance to each axis, and how far the nearest edge is, in pixels."""
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    points = np.stack([x - width / 2, y], axis=-1)[None].astype(np.float64)
    start, end = figure.start[0, :, None, None] * float(height), figure.end[0, :, None, None] * float(height)
    axis = end - start
    t = np.clip(((points - start) * axis).sum(-1) / np.maximum((axis**2).sum(-1), 1e-9), 0, 1)
    distance = np.linalg.norm(points - start - t[..., None] * axis, axis=-1)
    beyond = distance - figure.radius[0, :, None, None] * height
    beyond[figure.radius[0] <= 0] = np.inf
    depth = np.where(beyond <= 0, figure.depth[0, :, None, None], -np.inf)
    return np.where((beyond <= 0).any(axis=0), depth.argmax(axis=0), -1), np.abs(beyond).min(axis=0)


@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([(24, 40), (33, 33), (48, 16)]))
@settings(max_examples=60, deadline=None)
def test_painting_equals_distances_to_the_axes(seed: int, shapes: int, size: tuple[int, int]):
    figure = _figure(np.random.default_rng(seed), shapes)
    seen, order = paint(figure, NO_BLOCK, size)
    shape = np.where(seen[0] > 0, order[0].astype(int)[np.maximum(seen[0].astype(int) - 1, 0)], -1)
    expected, margin = _seen_by_distance(figure, size)
    clear = margin > 0.01  # a pixel center on an edge may fall to either side
    np.testing.assert_array_equal(shape[clear], expected[clear])


def test_the_block_hides_all():
    figure = _figure(np.random.default_rng(0), 5)
    seen, order = paint(figure, np.array([[-0.25, 0.25, 0.25, 0.75]], dtype=np.float32), (40, 40))
    assert (order[0, seen[0, 10:30, 10:30] - 1] == 5).all()
    assert (seen == 6).sum() == 20 * 20


def test_a_picture_does_not_depend_on_its_batch(motions_of):
    rng = np.random.default_rng(0)
    motions, scenes = motions_of(random_codes(rng, 40)), random_scenes(rng, 40)
    frames = render(motions, scenes, (48, 64)).frames
    rows = np.array([33, 2])
    some = replace(motions, codes=motions.codes[rows], phases=motions.phases[rows], activity=motions.activity[rows])
    np.testing.assert_array_equal(render(some, scenes.take(rows), (48, 64)).frames, frames[rows])


def test_a_square_picture_is_the_middle_of_a_wide_one(motions_of):
    rng = np.random.default_rng(1)
    motions, scenes = motions_of(random_codes(rng, 8)), random_scenes(rng, 8)
    scenes = replace(scenes, grain=scenes.grain * 0)
    square, wide = render(motions, scenes, (96, 96)), render(motions, scenes, (96, 128))
    np.testing.assert_array_equal(square.frames, wide.frames[:, :, 16:112])


def test_other_sizes_show_the_same_picture(motions_of):
    rng = np.random.default_rng(1)
    motions, scenes = motions_of(random_codes(rng, 16)), random_scenes(rng, 16)
    large, small = (render(motions, scenes, (side, side)).frames for side in (96, 48))
    halved = large.reshape(16, 48, 2, 48, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - small).mean() < 12


def test_visible_pixels_add_up(motions_of):
    rng = np.random.default_rng(2)
    motions, scenes = motions_of(random_codes(rng, 20)), random_scenes(rng, 20)
    rendering = render(motions, scenes, (48, 64))
    seen, _ = paint(rendering.figure, scenes.block, (48, 64))
    np.testing.assert_array_equal(rendering.visible.sum(axis=1), (seen > 0).sum(axis=(1, 2)))


def test_the_persons_left_is_right_in_a_picture_that_faces_the_viewer(motions_of):
    scenes = random_scenes(np.random.default_rng(0), 1)
    scenes = replace(scenes, angles=scenes.angles * 0)
    figure = draw(motions_of(encode([{"left arm": ("lift", None)}]), 0.5), scenes)
    hand = BODY_PARTS.index("left hand")
    assert figure.end[0, hand, 0] > figure.end[0, BODY_PARTS.index("right hand"), 0]
    nose, head = figure.depth[0, 2], figure.depth[0, 0]
    assert nose > head


@pytest.mark.parametrize("part", SLOTS)
def test_every_object_is_drawn_where_its_part_is(part: str, motions_of):
    scenes = random_scenes(np.random.default_rng(0), 1)
    for does in options(part):
        if does[1] is None:
            continue
        figure = draw(motions_of(encode([{part: does}]), 0.3), scenes)
        drawn = figure.radius[0] > 0
        columns = slot_columns(part)
        assert drawn[columns].any()
        assert not np.delete(drawn, np.r_[0 : len(BODY_PARTS), columns, len(drawn) - 3 : len(drawn)]).any()


def test_two_hands_share_one_barbell(motions_of):
    scenes = random_scenes(np.random.default_rng(0), 1)
    codes = encode([{"left hand": ("hold", "barbell"), "right hand": ("hold", "barbell")}])
    figure = draw(motions_of(codes, 0.0), scenes)
    assert (figure.radius[0, slot_columns("left hand")] > 0).all()
    assert (figure.radius[0, slot_columns("right hand")] <= 0).all()


def test_film_moves_slowly_and_keeps_the_person():
    rng = np.random.default_rng(0)
    scene = random_scenes(rng, 1)
    scenes = film(scene, rng, 30)
    assert len(scenes) == 30
    np.testing.assert_array_equal(scenes.colors, np.repeat(scene.colors, 30, axis=0))
    assert 0 < np.ptp(scenes.angles[:, 0]) < 15
