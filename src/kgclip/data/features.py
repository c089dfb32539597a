"""Features of frames, cached on disk: one safetensors file for all clips of a data set."""

from collections.abc import Collection
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int32
from msgspec import Meta, convert
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.files import check_safetensors
from kgclip.identity import Identity, describe, is_same
from kgclip.reading import parse_json, reason_of

VERSION = "2"
_MOST_HEADER = 3 * 2**24  # names of a million clips
_TYPES = (("F16", "I32"), ("F32", "I32"))
_Length = Annotated[int, Meta(ge=0)]


class FeatureFile:
    """Features of frames of many clips, read a clip at a time from a memory-mapped file.

    ``features[clip_id]`` gives the features [T, F] as they were written and the 0-based indices [T] of their frames.

    Args:
        path: a file by ``kgclip.data.feature_writer``.

    Attributes:
        encoder: what made the features.
        num_frames: that clips were sampled at; 0 if each had its own.
        skipped: clips that could not be encoded, and why.
        feature_dim: F.
        clips: their ids, in the order they were written.

    Raises:
        KgclipError: the file is missing, damaged, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise KgclipError(f"{path}: not found; expected a feature file, as `kgclip data features` writes it")
        check_safetensors(path, _MOST_HEADER)
        try:
            self._file = safe_open(path, framework="pt")
            metadata = self._file.metadata() or {}
        except (SafetensorError, OSError, MemoryError) as error:
            raise KgclipError(f"{path}: is no whole safetensors file ({error}); write the features again") from None
        if metadata.get("kgclip_features") != VERSION:
            raise KgclipError(
                f"{path}: holds no features of frames in version {VERSION} of their format; "
                "write them with `kgclip data features`"
            )
        try:
            encoder = parse_json(metadata["encoder"])
            self.encoder = Identity(**{key: str(encoder[key]) for key in ("name", "weights", "preprocessing")})
            self.num_frames = int(metadata["frames"])
            self.skipped = convert(parse_json(metadata["skipped"]), dict[str, str])
            lengths = dict(convert(parse_json(metadata["clips"]), list[tuple[str, _Length]]))
            shapes = {name: self._file.get_slice(name) for name in ("features", "frame_indices")}
            rows, self.feature_dim = shapes["features"].get_shape()
            types = shapes["features"].get_dtype(), shapes["frame_indices"].get_dtype()
            if types not in _TYPES or shapes["frame_indices"].get_shape() != [rows] or self.num_frames < 0:
                raise ValueError(f"features of {types[0]} with indices of {types[1]}")
        except (KeyError, ValueError, TypeError, OverflowError, SafetensorError) as error:
            raise KgclipError(
                f"{path}: its metadata are not those of a feature file ({reason_of(error)}); see docs/data.md"
            ) from None
        ends = list(accumulate(lengths.values(), initial=0))
        if ends[-1] != rows:
            raise KgclipError(f"{path}: has {rows} rows of features, its clips {ends[-1]}; write the features again")
        self._ranges = {clip: (end - lengths[clip], end) for clip, end in zip(lengths, ends[1:], strict=True)}
        self.clips = tuple(lengths)

    def __getitem__(self, clip: str) -> tuple[Float[Tensor, "T F"], Int32[np.ndarray, " T"]]:
        self.check([clip])
        start, end = self._ranges[clip]
        frames = self._file.get_slice("frame_indices")[start:end].numpy()
        return self._file.get_slice("features")[start:end], frames

    def check(self, clips: Collection[str]) -> None:
        """Raise KgclipError, with their number and three examples, if clips have no features here."""
        missing = sorted(clip for clip in clips if clip not in self._ranges)
        if missing:
            why = next((f"; {clip} was skipped: {self.skipped[clip]}" for clip in missing if clip in self.skipped), "")
            raise KgclipError(
                f"{self.path}: lacks the features of {len(missing)} of {len(clips)} clips ({', '.join(missing[:3])}"
                f"{why}); write features of the whole data set with `kgclip data features`"
            )

    def check_encoder(self, encoder: Identity | None, feature_dim: int) -> None:
        """Raise KgclipError if a model takes features of another encoder (None: any) or another F."""
        if encoder is not None and not is_same(self.encoder, encoder):
            raise KgclipError(
                f"{self.path}: holds features by {describe(self.encoder)}, the model takes those by "
                f"{describe(encoder)}; write features with that encoder, or name the backbone "
                f"features:{self.feature_dim} for a new model"
            )
        if self.feature_dim != feature_dim:
            raise KgclipError(
                f"{self.path}: has {self.feature_dim} features a frame, the model takes {feature_dim}; name the "
                f"backbone features:{self.feature_dim} for a new model"
            )
