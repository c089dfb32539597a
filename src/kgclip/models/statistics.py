"""What a clip's frames say over time, on one scale whether few frames were seen or many."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.video.sampling import segment_indices

NUM_STATISTICS = 4
# Numbers of frames that each have a scale of their own; others take the nearest.
FRAME_COUNTS = (1, 2, 4, 8, 16, 32)
# The mean over frames says most, and with few clips there are more statistics than clips: the others count half.
TIME_SCALE = 0.5


def frame_statistics(frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
    """Mean, standard deviation, end minus start, and mean absolute difference over time, side by side (S = 4 F).

    End and start are the means of the last and first third (at least one frame), so that one noisy frame does not
    decide the direction of a movement. One frame alone gives zeros for all but the mean.
    """
    third = max(1, frames.shape[1] // 3)
    mean = frames.mean(dim=1)
    spread = ((frames - mean[:, None]).square().mean(dim=1) + 1e-12).sqrt()
    direction = frames[:, -third:].mean(dim=1) - frames[:, :third].mean(dim=1)
    change = frames.diff(dim=1).abs().sum(dim=1) / max(1, frames.shape[1] - 1)
    return torch.cat([mean, spread, direction, change], dim=1)


def thinned(frames: Float[Tensor, "B T F"], num_frames: int) -> Float[Tensor, "B N F"]:
    """The same clips seen with fewer frames: the centers of equal segments."""
    return frames[:, torch.from_numpy(segment_indices(frames.shape[1], num_frames)).to(frames.device)]


class ClipStatistics(nn.Module):
    """:func:`frame_statistics`, standardized by what training clips show when seen with as many frames.

    Deviation, direction and change depend on how many frames a clip is seen with: two frames lie far apart, one has
    none of them. Standardized by one scale, a clip seen with 1 or 2 frames would lie far from all training clips. So
    each number of frames has a scale; only the mean over frames has one for all. More frames than :meth:`fit` saw
    are taken as several interleaved clips, whose statistics are averaged.

    Args:
        frame_dim: F, dimension of a frame's embedding.
    """

    mean: Tensor
    scale: Tensor
    largest: Tensor

    def __init__(self, frame_dim: int):
        super().__init__()
        width = NUM_STATISTICS * frame_dim
        self.frame_dim = frame_dim
        self.register_buffer("mean", torch.zeros(len(FRAME_COUNTS), width))
        self.register_buffer("scale", torch.ones(len(FRAME_COUNTS), width))
        # The most frames that fit has seen; 0 before.
        self.register_buffer("largest", torch.zeros((), dtype=torch.int64))

    def _counts(self, num_frames: int) -> list[int]:
        """The numbers of frames at which a clip of that many is learned from; the last is the clip itself."""
        return [*(count for count in FRAME_COUNTS if _row(count) < _row(num_frames)), num_frames]

    @torch.no_grad()
    def fit(self, frames: Float[Tensor, "N T F"]) -> None:
        """Learn the scales from training clips (no labels)."""
        counts = self._counts(frames.shape[1])
        for count in counts:
            statistics = frame_statistics(thinned(frames, count))
            self.mean[_row(count)] = statistics.mean(dim=0)
            self.scale[_row(count)] = statistics.std(dim=0, correction=0).clamp(min=1e-4)
        last = _row(counts[-1])
        for values in (self.mean, self.scale):
            values[last:] = values[last].clone()
            values[:, : self.frame_dim] = values[last, : self.frame_dim].clone()
        self.scale[:, self.frame_dim :] /= TIME_SCALE
        self.largest.fill_(frames.shape[1])

    def forward(self, frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
        """The standardized statistics of clips."""
        largest = int(self.largest) or frames.shape[1]
        parts = math.ceil(frames.shape[1] / largest)
        statistics = torch.stack([frame_statistics(frames[:, part::parts]) for part in range(parts)]).mean(dim=0)
        row = _row(min(frames.shape[1], largest))
        return (statistics - self.mean[row]) / self.scale[row]

    def glances(self, frames: Float[Tensor, "N T F"]) -> Float[Tensor, "C N S"]:
        """The standardized statistics of clips seen with fewer frames than are given, from one frame on."""
        glances = [self(thinned(frames, count)) for count in self._counts(frames.shape[1])[:-1]]
        return torch.stack(glances) if glances else frames.new_zeros(0, len(frames), self.mean.shape[1])


def _row(num_frames: int) -> int:
    """The position in FRAME_COUNTS of the count nearest to that number, by ratio."""
    return min(len(FRAME_COUNTS) - 1, round(math.log2(num_frames)))
