import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil

from kgclip.video import transforms
from kgclip.video.augmentation import Augmentation
from kgclip.video.transforms import LUMA, augment, preprocess

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PLAIN = ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))  # leaves values from 0 to 255
OFF = Augmentation(scales=(1.0,), flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, gray=0.0)
SIZES = [
    (256, 340, 224),
    (240, 320, 64),
    (97, 131, 224),
    (101, 57, 32),
    (480, 270, 112),
    (224, 224, 224),
    (225, 224, 224),
]


def picture(height: int, width: int, num_frames: int = 2, seed: int = 0) -> np.ndarray:
    """Half noise, half smooth: the worst and the usual case."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (num_frames, height, width, 3))
    y, x = np.mgrid[:height, :width]
    smooth = 127 + 120 * np.sin(x / 9 + y / 17)
    noise[:, :, width // 2 :] = smooth[None, :, width // 2 :, None]
    return noise.astype(np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("height", "width", "image_size"), [*SIZES, (1080, 1920, 224), (7, 5, 64)])
def test_preprocess_is_within_a_gray_level_of_pil(height: int, width: int, image_size: int) -> None:
    frames = picture(height, width)
    got = preprocess(torch.from_numpy(frames), image_size, *PLAIN).numpy()
    scaled_long = int(image_size * max(height, width) / min(height, width))
    size = (image_size, scaled_long) if height > width else (scaled_long, image_size)  # PIL's order: width, height
    resized = np.stack([np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BICUBIC)) for f in frames])
    left, top = (size[0] - image_size) // 2, (size[1] - image_size) // 2
    expected = resized[:, top : top + image_size, left : left + image_size].transpose(0, 3, 1, 2)
    difference = np.abs(got - expected)
    assert got.shape == (2, 3, image_size, image_size)
    assert difference.max() <= 1.001
    assert (difference > 0.5).mean() < 0.02


@pytest.mark.parametrize(("height", "width", "image_size"), SIZES)
def test_preprocess_is_transformers_for_clip(height: int, width: int, image_size: int) -> None:
    frames = picture(height, width)
    processor = CLIPImageProcessorPil(size={"shortest_edge": image_size}, crop_size=image_size)
    expected = processor(list(frames), return_tensors="pt")["pixel_values"]
    got = preprocess(torch.from_numpy(frames), image_size, MEAN, STD)
    gray_level = 1 / (255 * torch.tensor(STD)).view(-1, 1, 1)
    assert got.shape == expected.shape
    assert ((got - expected).abs() / gray_level).max() <= 1.001


def test_preprocess_normalizes_each_channel() -> None:
    frames = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 8, 8, 3)
    got = preprocess(frames, 8, MEAN, STD)
    for channel, value in enumerate((0.0, 0.2, 1.0)):
        expected = (value - MEAN[channel]) / STD[channel]
        assert got[0, channel].numpy() == pytest.approx(np.full((8, 8), expected), abs=1e-5)


def test_a_frame_does_not_depend_on_the_others() -> None:
    frames = torch.from_numpy(picture(60, 90, num_frames=3))
    together = preprocess(frames, 32, MEAN, STD)
    for index in range(3):
        assert torch.equal(preprocess(frames[index : index + 1], 32, MEAN, STD)[0], together[index])


def test_without_changes_augment_is_preprocess() -> None:
    frames = torch.from_numpy(picture(48, 48))
    got, flipped = augment(frames, 32, MEAN, STD, OFF, generator())
    assert torch.allclose(got, preprocess(frames, 32, MEAN, STD), atol=1e-4)
    assert not flipped


def test_one_draw_serves_all_frames() -> None:
    frames = torch.from_numpy(picture(48, 64, num_frames=1)).expand(4, -1, -1, -1)
    for seed in range(10):
        got, _ = augment(frames, 24, MEAN, STD, Augmentation(), generator(seed))
        for frame in got[1:]:
            assert torch.equal(frame, got[0])


def test_randomness_comes_from_the_generator_alone() -> None:
    frames = torch.from_numpy(picture(48, 64))
    state = torch.get_rng_state()
    first, _ = augment(frames, 24, MEAN, STD, Augmentation(), generator(3))
    again, _ = augment(frames, 24, MEAN, STD, Augmentation(), generator(3))
    other, _ = augment(frames, 24, MEAN, STD, Augmentation(), generator(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_call_draws_as_much() -> None:
    frames = torch.from_numpy(picture(48, 64))
    some, none = generator(), generator()
    augment(frames, 24, MEAN, STD, Augmentation(), some)
    augment(frames, 24, MEAN, STD, OFF, none)
    assert torch.equal(some.get_state(), none.get_state())


def test_a_flip_is_reported_and_mirrors() -> None:
    frames = torch.from_numpy(picture(48, 64))
    options = Augmentation(gray=0.0)
    for seed in range(5):
        plain, not_flipped = augment(frames, 24, MEAN, STD, dataclasses.replace(options, flip=0.0), generator(seed))
        mirrored, flipped = augment(frames, 24, MEAN, STD, dataclasses.replace(options, flip=1.0), generator(seed))
        assert (not_flipped, flipped) == (False, True)
        assert torch.allclose(mirrored, plain.flip(3), atol=1e-4)


def test_flips_come_with_their_probability() -> None:
    frames = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    shared = generator()
    flips = [augment(frames, 8, MEAN, STD, Augmentation(flip=0.25), shared)[1] for _ in range(800)]
    assert 0.19 < sum(flips) / len(flips) < 0.31


unit = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 300), st.integers(1, 300), st.lists(unit, min_size=3, max_size=3))
def test_crops_lie_inside_and_keep_their_scales(height: int, width: int, draws: list[float]) -> None:
    scales = Augmentation().scales
    top, left, crop_height, crop_width = transforms._crop_box(height, width, scales, draws)
    assert 0 <= top <= top + crop_height <= height
    assert 0 <= left <= left + crop_width <= width
    sides = [max(1, round(min(height, width) * scale)) for scale in scales]
    assert any(
        (sides[i], sides[j]) == (crop_height, crop_width)
        for i in range(len(sides))
        for j in range(max(0, i - 1), min(len(sides), i + 2))
    )


def jitter(pixels: Tensor, options: Augmentation, draws: list[float]) -> Tensor:
    """The colors a second way: one step after the other, pixel values only, hue as a rotation of the chroma plane."""
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    brightness, contrast, saturation = (
        1 + share * (2 * draw - 1)
        for share, draw in zip((options.brightness, options.contrast, options.saturation), draws[:3], strict=True)
    )
    pixels = pixels * brightness
    mean = (pixels.mean((0, 2, 3), keepdim=True) * luma).sum()
    pixels = contrast * pixels + (1 - contrast) * mean
    if draws[4] < options.gray:
        return (pixels * luma).sum(1, keepdim=True).expand_as(pixels).clamp(0, 255)
    pixels = saturation * pixels + (1 - saturation) * (pixels * luma).sum(1, keepdim=True)
    turn = torch.polar(torch.tensor(1.0), torch.tensor(2 * torch.pi * options.hue * (2 * draws[3] - 1)))
    gray = pixels.mean(1, keepdim=True)
    cubic = torch.polar(torch.ones(3), 2 * torch.pi / 3 * torch.arange(3.0))
    chroma = 2 / 3 * (pixels * cubic.view(1, 3, 1, 1)).sum(1, keepdim=True) * turn
    return (gray + (chroma * cubic.conj().view(1, 3, 1, 1)).real).clamp(0, 255)


@settings(deadline=None, max_examples=40)
@given(st.lists(unit, min_size=5, max_size=5))
def test_colors_equal_the_steps_one_by_one(draws: list[float]) -> None:
    pixels = torch.from_numpy(picture(12, 16).transpose(0, 3, 1, 2).copy())
    got = transforms._recolor(pixels, Augmentation(), draws)
    assert torch.allclose(got, jitter(pixels.float(), Augmentation(), draws), atol=0.01)
    assert got.min() >= 0
    assert got.max() <= 255


def test_gray_clips_have_no_color() -> None:
    frames = torch.from_numpy(picture(16, 16))
    got, _ = augment(frames, 16, *PLAIN, Augmentation(gray=1.0), generator())
    assert torch.allclose(got[:, 0], got[:, 1], atol=0.01)
    assert torch.allclose(got[:, 0], got[:, 2], atol=0.01)
