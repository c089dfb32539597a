"""Writing of feature files, a clip at a time, so that a run that was ended goes on."""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from kgclip.data.features import VERSION
from kgclip.errors import KgclipError
from kgclip.files import atomic_path, read_json, write_json
from kgclip.identity import Identity
from kgclip.remains import clear_remains, temporary_prefix

_DTYPES = {torch.float16: "F16", torch.float32: "F32"}
_TYPES = {name: dtype for dtype, name in _DTYPES.items()}

ClipFeatures = tuple[str, Tensor, np.ndarray]
"""Clip id, features float16 or float32 [T, F], and 0-based indices [T] of the frames they are of."""


def write_features(path: Path, clips: Iterable[ClipFeatures], *, encoder: Identity) -> None:
    """Write the features of clips as they come; memory holds one clip at a time.

    The file holds ``features`` [sum of T, F], as float16 or float32 like the first clip's, and ``frame_indices``
    int32 [sum of T], clip after clip; its metadata name the encoder and the clips with their T.

    Raises:
        KgclipError: no clips, a clip twice, or features that differ in type or width or are not finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=temporary_prefix(path), dir=path.parent) as folder:
        writer = FeatureWriter(Path(folder), encoder, 0)
        for clip in clips:
            writer.add(*clip)
        writer.save(path)


class FeatureWriter:
    """Collects features a clip at a time in a folder; a run that was ended goes on where it stopped.

    The folder holds ``run.json`` (what makes the features), ``features.bin`` (their rows), and ``clips.jsonl``: a line
    for each clip, once its rows are written.

    Args:
        folder: new, empty, or of a run that was ended.
        encoder: what makes the features.
        num_frames: T that clips are sampled at; 0 if each has its own.

    Attributes:
        lengths: T of each clip that is written.

    Raises:
        KgclipError: the folder holds something else, or features of another encoder or number of frames.
    """

    def __init__(self, folder: Path, encoder: Identity, num_frames: int) -> None:
        self.folder = folder
        self.lengths: dict[str, int] = {}
        self._indices: list[np.ndarray] = []
        self._first: Tensor | None = None
        self._run = {"kgclip_features": VERSION, "encoder": encoder, "frames": num_frames}
        self._rows, self._lines = folder / "features.bin", folder / "clips.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        clear_remains(folder)
        if not any(folder.iterdir()):
            write_json(folder / "run.json", self._run)
        if not (folder / "run.json").is_file() or read_json(folder / "run.json") != self._run:
            raise KgclipError(
                f"{folder}: is not of an ended run with this encoder and this number of frames; repeat that run's "
                "options, or remove the folder"
            )
        self._rows.touch()
        self._lines.touch()
        self._resume()

    def _resume(self) -> None:
        """Take the clips whose line and rows are whole and undamaged, and cut off what comes after them."""
        rows, lines, available = 0, 0, self._rows.stat().st_size
        with self._rows.open("rb") as content:
            for line in self._lines.read_bytes().splitlines(keepends=True):
                try:
                    clip = json.loads(line) if line.endswith(b"\n") else {}
                    dtype = _TYPES[clip["dtype"]]
                    name, frames, width = str(clip["clip"]), np.array(clip["frames"], np.int32), int(clip["width"])
                    size = len(frames) * width * dtype.itemsize
                    # Nothing is read of rows that are not there.
                    whole = rows + size <= available and crc32(content.read(size)) == clip["crc32"]
                except (ValueError, LookupError, TypeError, OverflowError):
                    break
                if not whole:
                    break
                rows, lines = rows + size, lines + len(line)
                self._first = torch.empty(0, width, dtype=dtype)
                self._enter(name, frames)
        os.truncate(self._rows, rows)
        os.truncate(self._lines, lines)

    def _enter(self, clip: str, frames: Int[np.ndarray, " T"]) -> None:
        self.lengths[clip] = len(frames)
        self._indices.append(frames.astype("<i4"))

    def keep(self, clips: Collection[str]) -> None:
        """Let go of all clips but these, as far as they are written."""
        if self.lengths.keys() <= set(clips):
            return
        lines = self._lines.read_bytes().splitlines(keepends=True)
        kept = []
        with atomic_path(self._rows) as rows, self._rows.open("rb") as old, rows.open("wb") as new:
            for line in lines:
                clip = json.loads(line)
                content = old.read(len(clip["frames"]) * clip["width"] * _TYPES[clip["dtype"]].itemsize)
                if clip["clip"] in clips:
                    new.write(content)
                    kept.append(line)
        # A run that is killed here has lines without their rows: it lets go of more than it need.
        with atomic_path(self._lines) as file:
            file.write_bytes(b"".join(kept))
        self.lengths, self._indices, self._first = {}, [], None
        self._resume()

    def add(self, clip: str, features: Tensor, frames: np.ndarray) -> None:
        """Write the features [T, F] of one clip, and the 0-based indices [T] of their frames.

        Raises:
            KgclipError: the clip is there, or its features differ in type or width from the others or are not finite.
        """
        first = features[:0].clone() if self._first is None else self._first
        _check_clip(f"clip {clip!r}", features, frames, first)
        if clip in self.lengths:
            raise KgclipError(f"got features of clip {clip!r} twice; encode every clip once")
        rows = features.detach().cpu().contiguous().numpy().tobytes()
        line = {"clip": clip, "frames": frames.tolist(), "width": features.shape[1], "dtype": _DTYPES[first.dtype]}
        line["crc32"] = crc32(rows)
        with self._rows.open("ab") as handle:
            handle.write(rows)
        with self._lines.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        self._first = first
        self._enter(clip, frames)

    def save(self, path: Path, skipped: Mapping[str, str] | None = None) -> None:
        """Write the feature file in one step, with why clips were skipped; the folder can then be removed.

        Raises:
            KgclipError: no clip has features.
        """
        if self._first is None:
            raise KgclipError(f"{path}: got no clip to write; give a data set with clips that can be read")
        metadata = {
            "kgclip_features": VERSION,
            "encoder": json.dumps(self._run["encoder"]),
            "frames": str(self._run["frames"]),
            "clips": json.dumps(list(self.lengths.items())),
            "skipped": json.dumps(dict(skipped or {})),
        }
        with atomic_path(path) as temporary, self._rows.open("rb") as rows, temporary.open("wb") as file:
            _write_safetensors(file, rows, np.concatenate(self._indices), self._first, metadata)


def begun_clips(folder: Path) -> set[str]:
    """The clips that an ended run seems to have written in its folder, which may not be there."""
    lines, names = folder / "clips.jsonl", set[str]()
    for line in lines.read_bytes().splitlines() if lines.is_file() else ():
        with suppress(ValueError, LookupError, TypeError):
            names.add(str(json.loads(line)["clip"]))
    return names


def _check_clip(where: str, features: Tensor, frames: np.ndarray, first: Tensor) -> None:
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
    num_bytes = len(indices) * first.shape[1] * first.dtype.itemsize
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
    shutil.copyfileobj(body, file)
