"""Several clips read by a recognizer at once: frames of one size go through the encoder together."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kgclip.engine.encoder import FrameEncoder
from kgclip.errors import KgclipError
from kgclip.video.frames import ClipFrames


def encode_together(encoder: FrameEncoder, clips: Sequence[ClipFrames]) -> list[Float[Tensor, "T F"] | KgclipError]:
    """Features of the frames of each clip; what is wrong with one takes the place of its own alone."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for position, clip in enumerate(clips):
        sizes.setdefault(clip.images.shape[1:], []).append(position)
    found: dict[int, Float[Tensor, "T F"] | KgclipError] = {}
    for positions in sizes.values():
        try:
            features = encoder.encode(np.concatenate([clips[position].images for position in positions]))
        except KgclipError as error:
            found |= {p: _alone(encoder, clips[p]) if len(positions) > 1 else error for p in positions}
            continue
        lengths = [len(clips[position].images) for position in positions]
        found |= zip(positions, features.split(lengths), strict=True)
    return [found[position] for position in range(len(clips))]


def _alone(encoder: FrameEncoder, clip: ClipFrames) -> Float[Tensor, "T F"] | KgclipError:
    try:
        return encoder.encode(clip.images)
    except KgclipError as error:
        return error
