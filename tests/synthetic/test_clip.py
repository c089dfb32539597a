import numpy as np
import pytest

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import actions, encode
from kgclip.synthetic.annotation import annotate, annotated_frames
from kgclip.synthetic.clip import FRAME_RATES, SyntheticOptions, make_clip
from kgclip.synthetic.figure import BODY_PARTS
from kgclip.synthetic.raster import paint
from kgclip.synthetic.vocabulary import on_disk

SHORT = SyntheticOptions(frames=(12, 14), size=(64, 48))


def _clip(action: str, seed: int, options: SyntheticOptions):
    return make_clip(action, np.random.default_rng((seed, 1)), np.random.default_rng((seed, 2)), options)


def test_without_noise_every_part_does_what_the_action_says():
    options = SyntheticOptions(part_noise=0.0, frames=(4, 4), size=(32, 32))
    for seed, (action, composition) in enumerate(actions().items()):
        np.testing.assert_array_equal(_clip(action, seed, options).codes, encode([composition])[0])


@pytest.mark.parametrize("part_noise", [0.2, 1.0])
def test_part_noise_is_the_share_of_parts_that_do_something_else(part_noise: float):
    options = SyntheticOptions(part_noise=part_noise, frames=(2, 2), size=(32, 32))
    expected = encode([actions()["lunge"]])[0]
    other = np.stack([_clip("lunge", seed, options).codes != expected for seed in range(150)])
    assert other.mean() == pytest.approx(part_noise, abs=0.03)


def test_a_clip_has_the_frames_and_rate_asked_for():
    clips = [_clip("pull ups", seed, SHORT) for seed in range(20)]
    assert {clip.rendering.frames.shape[1:] for clip in clips} == {(48, 64, 3)}
    assert {len(clip.rendering.frames) for clip in clips} == {12, 13, 14}
    assert {clip.fps for clip in clips} == set(FRAME_RATES)


def test_clips_of_one_source_show_one_person():
    first = make_clip("lunge", np.random.default_rng(5), np.random.default_rng(1), SHORT)
    second = make_clip("lunge", np.random.default_rng(5), np.random.default_rng(2), SHORT)
    ratio = first.rendering.figure.color[0, 0] / second.rendering.figure.color[0, 0]
    assert np.ptp(ratio) < 1e-4  # one hair color, shaded alike
    assert (first.rendering.frames[0] != second.rendering.frames[0]).any()


def test_parts_that_pause_move_in_most_of_the_clip_and_in_one_stretch():
    clips = [_clip("salsa dancing", seed, SyntheticOptions(frames=(40, 40), size=(32, 32))) for seed in range(30)]
    moving = np.concatenate([clip.moving.T for clip in clips])
    share = moving.mean(axis=1)
    assert share.min() >= 0.5
    assert 0.05 < (share < 1).mean() < 0.3
    assert (np.abs(np.diff(moving.astype(int), axis=1)).sum(axis=1) <= 1).all()


def test_boxes_enclose_exactly_the_pixels_of_fully_visible_parts():
    options = SyntheticOptions(part_noise=0.2, frames=(20, 20), size=(128, 96), occlusion=0.5)
    exact = 0
    for seed, action in enumerate(list(actions())[::3]):
        clip = _clip(action, seed, options)
        figure = clip.rendering.figure
        nothing = np.tile(np.array([0, 0, 0, 0], dtype=np.float32), (20, 1))
        seen, order = paint(figure, nothing, (96, 128))
        for image, content in annotate(clip, np.random.default_rng(seed)).items():
            shape = np.where(seen[image - 1] > 0, order[image - 1][np.maximum(seen[image - 1].astype(int) - 1, 0)], 255)
            for human in content["humans"]:
                for record in human["parts"].values():
                    exact += _check_box(record, shape)
    assert exact > 50  # most parts are crossed by another one somewhere at their edge


def _check_box(record: dict, shape: np.ndarray) -> bool:
    columns = [i for i, part in enumerate(BODY_PARTS) if part is not None and on_disk(part) == record["name"]]
    rows, cols = np.nonzero(np.isin(shape, columns))
    left, top, right, bottom = record["box"]
    assert 0 <= left <= right <= 127
    assert 0 <= top <= bottom <= 95
    assert len(rows) > 0
    assert left <= cols.min() <= cols.max() <= right
    assert top <= rows.min() <= rows.max() <= bottom
    return [int(edge) for edge in (cols.min(), rows.min(), cols.max(), rows.max())] == record["box"]


def test_hidden_parts_are_left_out():
    options = SyntheticOptions(frames=(30, 30), size=(128, 96), occlusion=1.0)
    absent = present = 0
    for seed in range(12):
        clip = _clip("deadlifting", seed, options)
        for image, content in annotate(clip, np.random.default_rng(seed)).items():
            for human in content["humans"]:
                for part in PARTS:
                    columns = [i for i, name in enumerate(BODY_PARTS) if name == part]
                    hidden = clip.rendering.visible[image - 1, columns].sum() == 0
                    absent += hidden
                    present += hidden and on_disk(part) in human["parts"]
    assert absent > 0
    assert present == 0


def test_about_five_of_ten_parts_are_annotated():
    counts = []
    for seed, action in enumerate(actions()):
        images = annotate(_clip(action, seed, SyntheticOptions(frames=(20, 20))), np.random.default_rng(seed))
        counts += [len(human["parts"]) for content in images.values() for human in content["humans"]]
    assert 4 < np.mean(counts) < 6.5


def test_annotations_tell_what_the_parts_do():
    clip = _clip("clean and jerk", 0, SyntheticOptions(part_noise=0.0, frames=(20, 20), occlusion=0.0))
    verbs: dict[str, set] = {}
    for content in annotate(clip, np.random.default_rng(0)).values():
        for human in content["humans"]:
            for name, record in human["parts"].items():
                verbs.setdefault(name, set()).add((record["verb"], record.get("obj_class")))
    assert verbs["left_hand"] == {("hold", "barbell")}
    assert verbs["right_hand"] == {("hold", "barbell")}
    assert ("heft", None) in verbs["left_arm"]
    assert verbs["left_arm"] <= {("heft", None), ("none", None)}
    assert verbs["head"] == {("none", None)}


def test_cadence_is_irregular():
    rng = np.random.default_rng(0)
    drawn = [annotated_frames(rng, 50) for _ in range(300)]
    assert all(frames == sorted(set(frames)) and frames[0] >= 0 and frames[-1] < 50 for frames in drawn)
    fifth = sum(frames == list(range(0, 50, 5)) for frames in drawn) / 300
    assert 0.5 < fifth < 0.7
    assert any(len(frames) == 2 for frames in drawn)
    assert any(len(frames) == 25 for frames in drawn)
