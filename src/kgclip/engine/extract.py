"""Features of the frames of a data set: computed once by an encoder, cached for training in minutes."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.cluster import map_on_ray
from kgclip.data.feature_writer import FeatureWriter, begun_clips
from kgclip.data.features import FeatureFile
from kgclip.engine import processes
from kgclip.engine.encoder import EncoderSource, FrameEncoder, open_encoder
from kgclip.errors import KgclipError
from kgclip.files import disk_room
from kgclip.identity import describe, is_same
from kgclip.locks import lock
from kgclip.progress import progress_bar
from kgclip.remains import clear_remains, remove_folder
from kgclip.video.cut import VideoPath, absolute
from kgclip.video.frames import ClipFrames, ReadClip, read_clip, read_clips

Encoded = tuple[Float[Tensor, "T F"], Int[np.ndarray, " T"]]
"""Features of frames, and the frames' 0-based indices."""


@dataclass(frozen=True)
class Extraction:
    """What a run did.

    Attributes:
        clips: in the feature file.
        encoded: by this run; the others were encoded by runs before it.
        skipped: clips that could not be encoded, and why.
    """

    clips: int
    encoded: int
    skipped: dict[str, str]


def extract_features(
    encoder: FrameEncoder,
    paths: Mapping[str, VideoPath],
    num_frames: int,
    out: Path,
    *,
    workers: int = 2,
    keep_going: bool = False,
    progress: bool = True,
    on_ray: EncoderSource | None = None,
    read_clip: ReadClip = read_clip,
) -> Extraction:
    """Encode up to ``num_frames`` frames of every clip and write them as one feature file.

    What is encoded is kept in a hidden folder beside the file until that is whole; the same call goes on from there.
    If the file is there with these clips, frames and encoder, nothing is done.

    Where several processes train together, the first calls this; where the file is not there, the others call
    :func:`encode_for_first` meanwhile.

    Args:
        num_frames: from equal segments, at their centers.
        workers: threads that decode.
        keep_going: leave out clips that cannot be encoded.
        on_ray: where the processes of a Ray cluster find the same encoder, if they are to encode.
        read_clip: reads the frames of a file here; that of `kgclip.engine.apart` keeps files of strangers apart.

    Raises:
        KgclipError: a clip cannot be encoded (unless ``keep_going``), no clip can, another process writes the file, or
            it is there and holds something else.
    """
    with lock(out), disk_room(out):
        folder = _begun(out)
        clear_remains(out.parent, folder.name)
        if out.exists():
            extraction = _already(encoder, paths, num_frames, out)
            remove_folder(folder)  # of a run that was killed after it had written the file
            return extraction
        writer = FeatureWriter(folder, encoder.identity, num_frames)
        writer.keep(paths)
        before, skipped = len(writer.lengths), {}
        todo = {clip: path for clip, path in paths.items() if clip not in writer.lengths}
        with progress_bar("encoding frames", len(paths), "clips", show=progress) as advance:
            advance(len(paths) - len(todo))
            encoded = (
                _encode_together(encoder, todo, num_frames, workers, read_clip)
                if on_ray is None
                else _encode_on_ray(on_ray, todo, num_frames)
            )
            for clip, result in encoded:
                try:
                    if isinstance(result, KgclipError):
                        raise result
                    writer.add(clip, *result)
                except KgclipError as error:
                    if not keep_going:
                        raise KgclipError(
                            f"{error}; {len(writer.lengths)} of {len(paths)} clips are encoded; correct or remove "
                            "it and run again, or leave out such clips with --keep-going"
                        ) from error
                    skipped[clip] = str(error)
                advance(1)
        writer.save(out, skipped)
        remove_folder(folder)
        return Extraction(len(writer.lengths), len(writer.lengths) - before, skipped)


def let_go(
    encoder: FrameEncoder, paths: Mapping[str, VideoPath], num_frames: int, out: Path, unchanged: Collection[str]
) -> None:
    """Prepare a feature file for clips that are no longer those it was written of; `extract_features` then goes on.

    Features of clips that are gone, or whose file is another now, are let go. While clips are left to encode, there is
    only what an ended run leaves.

    Args:
        encoder, paths, num_frames, out: as in :func:`extract_features`.
        unchanged: clips whose file is the one that was encoded.

    Raises:
        KgclipError: the file holds features of another encoder or number of frames, or is in use.
    """
    keep = paths.keys() & set(unchanged)
    with lock(out), disk_room(out):
        folder = _begun(out)
        if out.exists():
            file = same_kind(encoder, num_frames, out)
            if {*file.clips, *file.skipped} == paths.keys() == keep:
                return
            remove_folder(folder)
            writer = FeatureWriter(folder, encoder.identity, num_frames)
            for clip in file.clips:
                if clip in keep:
                    writer.add(clip, *file[clip])
            out.unlink()
        elif folder.exists():
            FeatureWriter(folder, encoder.identity, num_frames).keep(keep)


def encoded_clips(out: Path) -> set[str]:
    """The clips that a feature file holds, or that an ended run has left of it."""
    if out.exists():
        return set(FeatureFile(out).clips)
    return begun_clips(_begun(out))


def encode_for_first(encoder: FrameEncoder, paths: Mapping[str, VideoPath], num_frames: int, workers: int) -> None:
    """Encode this process's part of what the first one extracts; see :func:`extract_features`."""
    for _ in _encode_together(encoder, paths, num_frames, workers, read_clip):
        pass


def _encode_together(
    encoder: FrameEncoder, paths: Mapping[str, VideoPath], num_frames: int, workers: int, read_clip: ReadClip
) -> Iterator[tuple[str, Encoded | KgclipError]]:
    """The clips of the first process in their order, each encoded by one of the processes; nothing in the others."""
    todo = processes.object_of_first(list(paths))
    mine = todo[processes.rank() :: processes.count()]
    frames = read_clips({clip: paths[clip] for clip in mine}, num_frames, max(1, workers), read_clip)
    for _ in range(0, len(todo), processes.count()):
        clip, read = next(frames, (None, None))
        done = clip, read if isinstance(read, KgclipError | None) else _encode(encoder, read)
        yield from (found for found in processes.gathered_objects(done) if found[0] is not None)


def _encode(encoder: FrameEncoder, frames: ClipFrames) -> Encoded | KgclipError:
    """A clip of few frames repeats them; each is encoded and stored once."""
    once = frames.distinct()
    try:
        return encoder.encode(once.images), once.indices
    except KgclipError as error:
        return error


def _encode_on_ray(
    source: EncoderSource, todo: Mapping[str, VideoPath], num_frames: int
) -> Iterator[tuple[str, Encoded | KgclipError]]:
    work = partial(_encode_file, source=source.absolute(), num_frames=num_frames)
    yield from zip(
        todo, map_on_ray(work, [absolute(path) for path in todo.values()], place="--engine ray"), strict=True
    )


@lru_cache(maxsize=1)
def _encoder_of_process(source: EncoderSource) -> FrameEncoder:
    return open_encoder(source)


def _encode_file(path: VideoPath, source: EncoderSource, num_frames: int) -> Encoded | KgclipError:
    """What one process of a cluster does."""
    encoder = _encoder_of_process(source)
    try:
        return _encode(encoder, read_clip(path, num_frames))
    except KgclipError as error:
        return error


def _begun(out: Path) -> Path:
    """The folder in which a feature file is begun."""
    return out.with_name(f".{out.name}.kgclip-part")


def _already(encoder: FrameEncoder, paths: Mapping[str, VideoPath], num_frames: int, out: Path) -> Extraction:
    """What is in the file, if this run would write the same.

    Raises:
        KgclipError: it is no feature file, or of another encoder, number of frames, or other clips.
    """
    file = same_kind(encoder, num_frames, out)
    if set(paths) != {*file.clips, *file.skipped}:
        raise _differs(out, "features of other clips")
    return Extraction(len(file.clips), 0, file.skipped)


def same_kind(encoder: FrameEncoder, num_frames: int, out: Path) -> FeatureFile:
    """The feature file, if it is of this encoder and number of frames.

    Raises:
        KgclipError: it is no feature file, or of another encoder or number of frames.
    """
    file = FeatureFile(out)
    if not is_same(file.encoder, encoder.identity):
        raise _differs(out, f"features by {describe(file.encoder)}, not by {describe(encoder.identity)}")
    if file.num_frames != num_frames:
        raise _differs(out, f"features of {file.num_frames} frames a clip, not {num_frames}")
    return file


def _differs(out: Path, how: str) -> KgclipError:
    return KgclipError(f"{out}: exists and holds {how}; choose another --out, or remove it")
