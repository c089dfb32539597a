"""Features of frames, cached on disk: one safetensors file for all clips of a data set."""

import json
import shutil
import tempfile
from collections.abc import Collection, Iterable
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.files import atomic_path

_VERSION = "1"
_DTYPES = {torch.float16: "F16", torch.float32: "F32"}

ClipFeatures = tuple[str, Tensor, np.ndarray]
"""Clip id, features float16 or float32 [T, F], and 0-based indices [T] of the frames they are of."""


def write_features(path: Path, clips: Iterable[ClipFeatures], *, encoder: str) -> None:
    """Write the features of clips as they come; memory holds one clip at a time.

    The file holds ``features`` [sum of T, F], as float16 or float32 like the first clip's, and ``frame_indices``
    int32 [sum of T], clip after clip; its metadata name the encoder and the clips with their T.

    Args:
        path: the safetensors file; it appears when all is written.
        clips: (clip id, features [T, F], frame indices [T]) of each clip.
        encoder: name of what made the features.

    Raises:
        KgclipError: no clips, a clip twice, or features that differ in type or width or are not finite.
    """
    lengths: dict[str, int] = {}
    indices: list[np.ndarray] = []
    first: Tensor | None = None
    with atomic_path(path) as temporary, tempfile.TemporaryFile(dir=temporary.parent) as body:
        for clip, features, frames in clips:
            if first is None:
                first = features[:0].clone()
            _check_clip(f"{path}: clip {clip!r}", features, frames, first)
            if clip in lengths:
                raise KgclipError(f"{path}: got features of clip {clip!r} twice; encode every clip once")
            lengths[clip] = len(features)
            indices.append(frames.astype("<i4"))
            body.write(features.detach().cpu().contiguous().numpy().tobytes())
        if first is None:
            raise KgclipError(f"{path}: got no clip to write; give a data set with clips")
        metadata = {"kgclip_features": _VERSION, "encoder": encoder, "clips": json.dumps(list(lengths.items()))}
        with temporary.open("wb") as file:
            _write_safetensors(file, body, np.concatenate(indices), first, metadata)


class FeatureFile:
    """Features of frames of many clips, read a clip at a time from a memory-mapped file.

    ``features[clip_id]`` gives the features [T, F] as they were written and the 0-based indices [T] of their frames.

    Args:
        path: a file by ``write_features``.

    Raises:
        KgclipError: the file is missing, damaged, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise KgclipError(f"{path}: not found; expected a feature file, as `kgclip data features` writes it")
        try:
            self._file = safe_open(path, framework="pt")
            metadata = self._file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise KgclipError(f"{path}: is no whole safetensors file ({error}); write the features again") from None
        if metadata.get("kgclip_features") != _VERSION:
            raise KgclipError(
                f"{path}: holds no features of frames in version {_VERSION} of their format; "
                "write them with `kgclip data features`"
            )
        self.encoder: str = metadata["encoder"]
        lengths = dict(json.loads(metadata["clips"]))
        ends = list(accumulate(lengths.values()))
        self._ranges = {clip: (end - lengths[clip], end) for clip, end in zip(lengths, ends, strict=True)}
        self.feature_dim: int = self._file.get_slice("features").get_shape()[1]

    @cached_property
    def clips(self) -> tuple[str, ...]:
        """The ids of all clips, in the order they were written."""
        return tuple(self._ranges)

    def __getitem__(self, clip: str) -> tuple[Float[Tensor, "T F"], Int32[np.ndarray, " T"]]:
        self.check([clip])
        start, end = self._ranges[clip]
        frames = self._file.get_slice("frame_indices")[start:end].numpy()
        return self._file.get_slice("features")[start:end], frames

    def check(self, clips: Collection[str]) -> None:
        """Raise KgclipError, with their number and three examples, if clips have no features here."""
        missing = sorted(clip for clip in clips if clip not in self._ranges)
        if missing:
            raise KgclipError(
                f"{self.path}: lacks the features of {len(missing)} of {len(clips)} clips ({', '.join(missing[:3])}); "
                "write features of the whole data set with `kgclip data features`"
            )


def _check_clip(where: str, features: Tensor, frames: Int[np.ndarray, " T"], first: Tensor) -> None:
    if features.ndim != 2 or not features.numel() or features.dtype not in _DTYPES:
        raise KgclipError(
            f"{where} has features {list(features.shape)} of {features.dtype}; "
            "an encoder must return one row per frame, float16 or float32 [T, F]"
        )
    if features.shape[1] != first.shape[1] or features.dtype != first.dtype:
        raise KgclipError(
            f"{where} has {features.shape[1]} features of {features.dtype} a frame, the clips before it "
            f"{first.shape[1]} of {first.dtype}; an encoder must return the same for every clip"
        )
    if len(frames) != len(features):
        raise KgclipError(
            f"{where} has {len(features)} rows of features for {len(frames)} frames; "
            "an encoder must return one row per frame"
        )
    if not torch.isfinite(features).all():
        raise KgclipError(f"{where} has features that are not finite; look for NaN or overflow in the encoder")


def _write_safetensors(
    file: BinaryIO, body: BinaryIO, indices: Int32[np.ndarray, " N"], first: Float[Tensor, "0 F"], metadata: dict
) -> None:
    """Write the format by hand, because its own writer wants the whole tensor in memory.

    The format (README of safetensors): header length as 8 bytes, header as JSON, data. The indices lie first,
    where their 4-byte numbers are aligned whatever the size of the features.
    """
    num_bytes = body.tell()
    header = {
        "__metadata__": metadata,
        "frame_indices": {"dtype": "I32", "shape": [len(indices)], "data_offsets": [0, indices.nbytes]},
        "features": {
            "dtype": _DTYPES[first.dtype],
            "shape": [len(indices), first.shape[1]],
            "data_offsets": [indices.nbytes, indices.nbytes + num_bytes],
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    file.write(indices.tobytes())
    body.seek(0)
    shutil.copyfileobj(body, file)
