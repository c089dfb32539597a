"""Batches of clips: decoded in worker processes, or gathered from cached features."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from kgclip.data.features import FeatureFile
from kgclip.errors import KgclipError
from kgclip.video.augmentation import Augmentation
from kgclip.video.cut import VideoPath
from kgclip.video.frames import read_clip
from kgclip.video.sampling import segment_bounds, segment_indices
from kgclip.video.transforms import augment, preprocess


@dataclass(frozen=True)
class Batch:
    """Clips of one step.

    Attributes:
        index: positions of the clips in their source.
        frames: preprocessed pixels or features of frames.
        flipped: clips mirrored by augmentation, whose left and right movements must be swapped.
    """

    index: Int[Tensor, " B"]
    frames: Float[Tensor, "B T C H W"] | Float[Tensor, "B T F"]
    flipped: Bool[Tensor, " B"]


@dataclass(frozen=True)
class Pixels:
    """How frames become what an image tower takes.

    Attributes:
        image_size: side of the square, pixels.
        mean, std: per channel, on values in [0, 1].
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_clip(path: VideoPath, num_frames: int, pixels: Pixels) -> Float[Tensor, "T C H W"]:
    """The frames at the centers of ``num_frames`` equal segments of a video, preprocessed.

    Raises:
        KgclipError: the file cannot be read.
    """
    images = torch.from_numpy(read_clip(path, num_frames).images)
    return preprocess(images, pixels.image_size, pixels.mean, pixels.std)


def _collate(items: list[tuple[int, Tensor, bool] | KgclipError]) -> Batch | KgclipError:
    for item in items:
        if isinstance(item, KgclipError):
            return item
    index, frames, flipped = zip(*items, strict=True)  # pyright: ignore[reportArgumentType]
    # In a worker it stacks in the memory that is shared with the trainer.
    return Batch(torch.tensor(index), default_collate(frames), torch.tensor(flipped))


@runtime_checkable
class Source(Protocol):
    """Clips that come in batches."""

    def __len__(self) -> int: ...

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """The batches of that order, in that epoch's random draw."""
        ...


def epoch_order(num_clips: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch: a permutation that depends on seed and epoch alone; the rest forms a smaller batch."""
    order = np.random.default_rng((seed, epoch)).permutation(num_clips).tolist()
    return [order[start : start + batch_size] for start in range(0, num_clips, batch_size)]


class VideoSource(Dataset):
    """Clips decoded from their files.

    Items are addressed by (epoch, position), so that a worker needs no state and a resumed run draws the same.

    Args:
        num_frames: T.
        augmentation: random sampling and augmentation in training; None for centers of segments.
        workers: processes that decode; 0 decodes here.
    """

    def __init__(
        self,
        paths: Sequence[VideoPath],
        num_frames: int,
        pixels: Pixels,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        workers: int = 0,
    ):
        self.paths, self.num_frames, self.pixels = list(paths), num_frames, pixels
        self.augmentation, self.seed, self.workers = augmentation, seed, workers

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Tensor, bool] | KgclipError:
        epoch, position = key
        path, pixels = self.paths[position], self.pixels
        # A worker's exception reaches the trainer as a traceback in a string; as a value it stays one sentence.
        try:
            if self.augmentation is None:
                return position, load_clip(path, self.num_frames, pixels), False
            rng = np.random.default_rng((self.seed, epoch, position))
            images = torch.from_numpy(read_clip(path, self.num_frames, rng=rng).images)
        except KgclipError as error:
            return error
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        clip, flipped = augment(images, pixels.image_size, pixels.mean, pixels.std, self.augmentation, generator)
        return position, clip, flipped

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """The batches of that order; the workers begin to decode at once, not only when the first is asked for.

        Raises:
            KgclipError: a file cannot be read.
        """
        num_workers = min(self.workers, len(order))
        loader = DataLoader(
            self,
            batch_sampler=[[(epoch, position) for position in batch] for batch in order],  # pyright: ignore[reportArgumentType]
            num_workers=num_workers,
            # Said outright: a process that was spawned would spawn its workers, and each of them import torch anew.
            multiprocessing_context="fork" if num_workers and sys.platform == "linux" else None,
            collate_fn=_collate,
            # Its own, so that the moment of its making does not change what a training step draws.
            generator=torch.Generator(),
        )
        return _sound(iter(loader))


@contextmanager
def worker_deaths() -> Iterator[None]:
    """Turn the death of a process that decodes, which torch raises wherever the main thread is, into a sentence.

    Raises:
        KgclipError: a process of a :class:`VideoSource` was killed in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise KgclipError(
            "a process that decodes videos ended early, perhaps for want of memory; start it again with fewer "
            "--workers, and a training with --resume"
        ) from error


def _sound(batches: Iterator[Batch | KgclipError]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, KgclipError):
            raise batch
        yield batch


class FeatureSource:
    """Clips as cached features of their frames, all in memory.

    Args:
        clips: features of each clip's frames, each [T_i, F].
        num_frames: T drawn from them, from equal segments.
        training: draw at random in each segment; else its center.
    """

    def __init__(
        self, clips: Sequence[Float[Tensor, "_ F"]], num_frames: int, *, training: bool = False, seed: int = 0
    ):
        self.lengths = [len(clip) for clip in clips]
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.features = torch.cat(list(clips)).float()
        self.training, self.seed = training, seed
        self.bounds = {length: segment_bounds(length, num_frames) for length in set(self.lengths)}
        self.centers = {length: segment_indices(length, num_frames) for length in set(self.lengths)}

    def __len__(self) -> int:
        return len(self.lengths)

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """The batches of that order."""
        for positions in order:
            rows = np.stack([self._drawn(epoch, position) for position in positions])
            rows += self.offsets[list(positions), None]
            yield Batch(
                torch.tensor(positions), self.features[torch.from_numpy(rows)], torch.zeros(len(rows), dtype=torch.bool)
            )

    def _drawn(self, epoch: int, position: int) -> Int[np.ndarray, " T"]:
        """What :func:`segment_indices` takes of that clip, with the bounds of the segments computed beforehand."""
        length = self.lengths[position]
        if not self.training:
            return self.centers[length]
        return np.random.default_rng((self.seed, epoch, position)).integers(*self.bounds[length], dtype=np.int64)


class FeatureRows:
    """Cached features [N, T, F] of clips that are read from their file when they are asked for by rows.

    Raises:
        KgclipError: the file lacks some of the clips.
    """

    def __init__(self, features: FeatureFile, clips: tuple[str, ...], num_frames: int):
        features.check(clips)
        self.features, self.clips, self.num_frames = features, clips, num_frames

    @property
    def shape(self) -> tuple[int, ...]:
        """N, T and F."""
        return len(self.clips), self.num_frames, self.features.feature_dim

    def __getitem__(self, rows: Int[Tensor, " B"], /) -> Float[Tensor, "B T F"]:
        clips = (self.features[self.clips[int(row)]][0] for row in rows)
        return torch.stack([clip[segment_indices(len(clip), self.num_frames)] for clip in clips]).float()


def in_order(num_clips: int, batch_size: int) -> list[list[int]]:
    """Batches in the clips' own order, for evaluation."""
    return [list(range(start, min(start + batch_size, num_clips))) for start in range(0, num_clips, batch_size)]
