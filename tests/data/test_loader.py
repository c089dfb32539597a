"""Batches of clips: their order, which frames they hold, and what a broken file says."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kgclip.data.loader import Batch, FeatureSource, Pixels, VideoSource, epoch_order, in_order, load_clip
from kgclip.errors import KgclipError
from kgclip.video.augmentation import Augmentation
from kgclip.video.encode import write_video
from kgclip.video.sampling import segment_indices

PIXELS = Pixels(32, (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
LENGTHS = (5, 12, 9)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three tiny videos of other lengths, shapes and colors; every frame is a little brighter than the last."""
    folder = tmp_path_factory.mktemp("videos")
    names = []
    for number, length in enumerate(LENGTHS):
        ramp = np.linspace(40, 200, 48, dtype=np.uint8)
        frames = np.zeros((length, 40, 48, 3), np.uint8) if number else np.zeros((length, 64, 48, 3), np.uint8)
        frames[..., number] = ramp
        frames += (np.arange(length, dtype=np.uint8) * 4)[:, None, None, None]
        names.append(folder / f"clip {number}.mp4")
        write_video(names[-1], frames, 10)
    return names


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is no video."""
    path = tmp_path_factory.mktemp("broken") / "broken.mp4"
    path.write_bytes(b"not a video" * 100)
    return path


def assert_same(first: Iterator[Batch], second: Iterator[Batch]) -> None:
    """Both give the same batches."""
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.index, other.index)
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.flipped, other.flipped)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_is_a_permutation_that_seed_and_epoch_decide(clips: int, batch_size: int, seed: int, epoch: int):
    order = epoch_order(clips, batch_size, seed, epoch)
    assert sorted(chain(*order)) == list(range(clips))
    assert [len(batch) for batch in order[:-1]] == [batch_size] * max(0, len(order) - 1)
    assert all(0 < len(batch) <= batch_size for batch in order)
    np.random.default_rng().permutation(3)  # draws elsewhere change nothing
    assert epoch_order(clips, batch_size, seed, epoch) == order
    assert [*chain(*epoch_order(clips, 7, seed, epoch))] == [*chain(*order)]  # nor does the size of a batch


def test_other_epochs_and_seeds_have_other_orders():
    orders = [tuple(epoch_order(50, 50, seed, epoch)[0]) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9


@given(st.integers(0, 60), st.integers(1, 20))
def test_evaluation_keeps_the_clips_order(clips: int, batch_size: int):
    order = in_order(clips, batch_size)
    assert [*chain(*order)] == list(range(clips))
    assert len(order) == -(-clips // batch_size)


def numbered_features() -> list[Tensor]:
    """Feature [clip, frame] of every frame: it says itself where it is from."""
    return [torch.tensor([[float(clip), float(t)] for t in range(length)]) for clip, length in enumerate(LENGTHS)]


def test_features_in_evaluation_are_those_at_the_segments_centers():
    source = FeatureSource(numbered_features(), num_frames=4)
    assert len(source) == 3
    batches = list(source.batches([[2, 0], [1]]))
    assert [batch.index.tolist() for batch in batches] == [[2, 0], [1]]
    expected = {0: [0, 1, 3, 4], 1: [1, 4, 7, 10], 2: [1, 3, 5, 7]}  # floor((k + 1/2) n / 4) for n = 5, 12, 9
    for batch in batches:
        for clip, frames in zip(batch.index.tolist(), batch.frames.tolist(), strict=True):
            assert frames == [[clip, t] for t in expected[clip]]
        assert not batch.flipped.any()


def test_features_in_training_are_drawn_from_every_segment():
    source = FeatureSource(numbered_features(), num_frames=3, training=True, seed=5)
    seen: list[Counter[int]] = [Counter(), Counter(), Counter()]
    for epoch in range(200):
        (batch,) = source.batches([[1]], epoch)
        assert (batch.frames[0, :, 0] == 1).all()
        for segment, t in enumerate(batch.frames[0, :, 1].int().tolist()):
            seen[segment][t] += 1
    # 12 frames, three segments of four frames each: every frame of each is drawn, none more than twice its share.
    for segment, counter in enumerate(seen):
        assert set(counter) == set(range(4 * segment, 4 * segment + 4))
        assert max(counter.values()) < 100


def test_a_draw_of_features_depends_on_seed_epoch_and_clip_alone():
    clips = [torch.arange(100.0)[:, None], torch.arange(100.0)[:, None]]
    source = FeatureSource(clips, 8, training=True, seed=1)
    (first,) = source.batches([[0, 1]], epoch=3)
    assert not torch.equal(first.frames[0], first.frames[1])
    for order in ([[1, 0]], [[1], [0]]):
        rows = {
            i: frames
            for batch in source.batches(order, 3)
            for i, frames in zip(batch.index.tolist(), batch.frames, strict=True)
        }
        assert torch.equal(rows[0], first.frames[0])
        assert torch.equal(rows[1], first.frames[1])
    (next_epoch,) = source.batches([[0, 1]], epoch=4)
    (other_seed,) = FeatureSource(clips, 8, training=True, seed=2).batches([[0, 1]], epoch=3)
    assert not torch.equal(next_epoch.frames, first.frames)
    assert not torch.equal(other_seed.frames, first.frames)


@pytest.mark.parametrize("training", [True, False])
def test_features_are_drawn_as_segment_indices_says(training: bool):
    lengths = (3, 8, 16, 100)
    source = FeatureSource([torch.arange(float(n))[:, None] for n in lengths], 8, training=training, seed=5)
    (batch,) = source.batches([[2, 0, 3, 1]], epoch=4)
    for position, frames in zip(batch.index.tolist(), batch.frames, strict=True):
        rng = np.random.default_rng((5, 4, position)) if training else None
        assert frames[:, 0].tolist() == segment_indices(lengths[position], 8, rng=rng).tolist()


def test_half_precision_features_are_read_as_float32():
    source = FeatureSource([torch.ones(3, 2, dtype=torch.float16)], 2)
    (batch,) = source.batches([[0]])
    assert batch.frames.dtype == torch.float32


def test_videos_in_evaluation_equal_load_clip(paths: list[Path]):
    source = VideoSource(paths, 4, PIXELS)
    assert len(source) == 3
    batches = list(source.batches([[2, 0], [1]]))
    assert [batch.index.tolist() for batch in batches] == [[2, 0], [1]]
    for batch in batches:
        assert not batch.flipped.any()
        for clip, frames in zip(batch.index.tolist(), batch.frames, strict=True):
            assert frames.shape == (4, 3, 32, 32)
            assert torch.equal(frames, load_clip(paths[clip], 4, PIXELS))


def test_load_clip_takes_the_frames_at_the_segments_centers(paths: list[Path]):
    brightness = load_clip(paths[1], 4, PIXELS).mean(dim=(1, 2, 3))
    every = load_clip(paths[1], LENGTHS[1], PIXELS).mean(dim=(1, 2, 3))
    torch.testing.assert_close(brightness, every[[1, 4, 7, 10]])
    assert (every.diff() > 0).all()


def test_workers_give_the_same_clips(paths: list[Path]):
    order = [[2, 0], [1]]
    assert_same(VideoSource(paths, 3, PIXELS).batches(order), VideoSource(paths, 3, PIXELS, workers=1).batches(order))


def test_augmentation_depends_on_seed_epoch_and_clip_alone(paths: list[Path]):
    def source(seed: int = 0, workers: int = 0) -> VideoSource:
        return VideoSource(paths, 3, PIXELS, augmentation=Augmentation(), seed=seed, workers=workers)

    order = [[2, 0], [1]]
    assert_same(source().batches(order, 1), source().batches(order, 1))
    assert_same(source().batches(order, 1), source(workers=1).batches(order, 1))
    (whole,) = source().batches([[0, 1, 2]], 1)
    for batch in source().batches(order, 1):
        assert torch.equal(batch.frames, whole.frames[batch.index])
        assert torch.equal(batch.flipped, whole.flipped[batch.index])
    for other in (source().batches([[0, 1, 2]], 2), source(seed=1).batches([[0, 1, 2]], 1)):
        assert not torch.equal(next(other).frames, whole.frames)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_flip_is_told(paths: list[Path], probability: float):
    still = Augmentation((1.0,), flip=probability, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, gray=0.0)
    (batch,) = VideoSource(paths, 2, PIXELS, augmentation=still).batches([[1, 2]])
    assert batch.flipped.tolist() == [probability == 1] * 2
    # The videos get brighter from left to right.
    right_minus_left = batch.frames[..., 16:].mean(dim=(1, 2, 3, 4)) - batch.frames[..., :16].mean(dim=(1, 2, 3, 4))
    assert ((right_minus_left < 0) == batch.flipped).all()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("augmentation", [None, Augmentation()])
def test_a_broken_file_is_one_sentence(
    paths: list[Path], broken: Path, workers: int, augmentation: Augmentation | None
):
    source = VideoSource([*paths, broken], 3, PIXELS, augmentation=augmentation, workers=workers)
    batches = source.batches([[0], [1, 3], [2]])
    assert next(batches).index.tolist() == [0]
    with pytest.raises(KgclipError, match=r"broken\.mp4") as caught:
        list(batches)
    message = str(caught.value)
    assert message.startswith(str(broken))
    assert "\n" not in message
    assert "Traceback" not in message


def test_no_clips_give_no_batches(paths: list[Path]):
    assert list(VideoSource(paths, 3, PIXELS, workers=1).batches([])) == []
    assert list(FeatureSource(numbered_features(), 3).batches([])) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_making_batches_draws_nothing_from_the_global_generator(paths: list[Path], workers: int):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert len(list(VideoSource(paths, 3, PIXELS, workers=workers).batches([[0], [1]]))) == 2
    assert torch.equal(torch.get_rng_state(), before)
