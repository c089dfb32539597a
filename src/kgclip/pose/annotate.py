"""From video files to keypoints and part annotations: resumable, in parallel, and nothing skipped in silence."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from kgclip.cluster import Engine, map_on_ray
from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.locks import lock
from kgclip.parallel import map_in_workers
from kgclip.pose.brought import BroughtKeypoints, is_keypoints
from kgclip.pose.estimators.estimator import Estimator, open_estimator
from kgclip.pose.frames import remove_frames, write_frames, write_vocabulary
from kgclip.pose.keypoints import KEYPOINTS_FILE, ClipPose, read_keypoints, write_keypoints
from kgclip.pose.motion import LONGEST_GAP_S
from kgclip.pose.tracks import link_tracks
from kgclip.video.cut import VideoPath, absolute
from kgclip.video.decode import Video, open_video

SAVE_EVERY_S = 60.0
CHUNK_BYTES = 2**27
"""Of decoded frames held at once."""


@dataclass(frozen=True)
class PoseSource:
    """Where keypoints come from.

    Attributes:
        pose: a .tflite file, the name or folder of a ViTPose model, or keypoints that the user brings.
        detector: the person detector of a ViTPose model; None takes the usual one.
        every: distance of the observed frames, less where that is more than half a second; keypoints that the user
            brings come as they are.
    """

    pose: str
    detector: str | None = None
    every: int = 4


def annotate(
    clips: Mapping[str, VideoPath],
    out: Path,
    source: PoseSource,
    *,
    people: range = range(1, 2),
    workers: int = 1,
    engine: Engine = "local",
    advance: Callable[[int], None] = lambda amount: None,
) -> dict[str, ClipPose]:
    """Write the keypoints and the part annotations of clips; clips whose keypoints are there are not looked at again.

    Args:
        clips: videos by clip id.
        out: folder of annotations, `<clip>/img_00001.json`, with `keypoints.parquet` and `list/`.
        source: where keypoints come from; must be the same in a folder that is continued.
        people: who is annotated, from 1, the clip's subject.
        workers: number of processes on this machine.
        engine: "ray" for those of a cluster.
        advance: is called with the number of clips that are done.

    Raises:
        KgclipError: the folder belongs to other annotations, or a clip cannot be read; all others are then written.
    """
    with lock(out):
        poses, faults = _collect(clips, out, source, workers if engine == "local" else None, advance)
        if faults and not poses:
            raise KgclipError(f"none of {len(clips)} clips can be annotated; the first: {faults[0]}")
        write_vocabulary(out)
        for clip in clips.keys() & poses.keys():
            write_frames(_frames_of(out, clip), poses[clip], people)
        if poses and not (out / KEYPOINTS_FILE).is_file():
            write_keypoints(out / KEYPOINTS_FILE, poses, _origin(source))
            raise KgclipError(f"{out}: was removed or moved while it was written; run it again")
    if faults:
        raise KgclipError(
            f"{len(faults)} of {len(clips)} clips are not annotated, the others are; the first: {faults[0]}"
        )
    return {clip: poses[clip] for clip in clips}


def _collect(
    clips: Mapping[str, VideoPath], out: Path, source: PoseSource, workers: int | None, advance: Callable[[int], None]
) -> tuple[dict[str, ClipPose], list[str]]:
    """The people of all clips, saved as they are found, and what is wrong with clips that cannot be read.

    Without a number of workers the processes of a Ray cluster look.
    """
    file, origin = out / KEYPOINTS_FILE, _origin(source)
    poses = earlier_poses(out, source)
    todo = [(clip, path) for clip, path in clips.items() if clip not in poses]
    advance(len(clips) - len(todo))
    faults: list[str] = []
    saved = time.monotonic()
    workers = None if workers is None else workers_for(source, workers)
    if workers is None and Path(source.pose).exists():
        source = replace(source, pose=str(Path(source.pose).absolute()))
    look = partial(_look, source=source, alone=workers is not None and min(workers, len(todo)) <= 1)
    looked = (
        map_on_ray(look, [(clip, absolute(path)) for clip, path in todo], place=str(out))
        if workers is None
        else map_in_workers(look, todo, workers, place=str(out))
    )
    try:
        for (clip, _), result in zip(todo, looked, strict=True):
            if isinstance(result, ClipPose):
                poses[clip] = result
            else:
                faults.append(str(result))
            if time.monotonic() - saved > SAVE_EVERY_S:
                write_keypoints(file, poses, origin)
                saved = time.monotonic()
            advance(1)
    finally:
        if poses:
            write_keypoints(file, poses, origin)
    return poses, faults


def workers_for(source: PoseSource, workers: int) -> int:
    """How many processes look: 1 where poses are rows of one file, which are looked up sooner than a process starts."""
    return 1 if Path(source.pose).suffix == ".parquet" else workers


def annotated_clips(out: Path) -> set[str]:
    """The clips whose keypoints are in a folder of annotations, which may not be there."""
    file = out / KEYPOINTS_FILE
    return set(read_keypoints(file)[0]) if file.is_file() else set()


def let_go(out: Path, keep: Collection[str], source: PoseSource | None) -> None:
    """Take all clips but some out of a folder of annotations, with their frames.

    Keypoints that the user brings go altogether, unless they are the same file as before: they may hold other clips
    now, and are read again for little.

    Args:
        out: as in :func:`annotate`; may not be there.
        keep: clips that stay.
        source: of the run that goes on; None where it reads no pose.

    Raises:
        KgclipError: the folder belongs to other annotations, or is in use.
    """
    file = out / KEYPOINTS_FILE
    if not out.exists():
        return
    with lock(out):
        if not file.is_file():
            if source is not None:
                earlier_poses(out, source)
            return
        poses, origin = read_keypoints(file)
        if source is not None and is_keypoints(source.pose) and "every" not in origin:
            now = _origin(source)
            keep, origin = (keep if now == origin and "sha256" in now else ()), now
        elif source is not None:
            earlier_poses(out, source)
        gone = poses.keys() - set(keep)
        for clip in gone:
            remove_frames(_frames_of(out, clip))
        if gone:
            write_keypoints(file, {clip: pose for clip, pose in poses.items() if clip not in gone}, origin)


def _frames_of(out: Path, clip: str) -> Path:
    # An id may start with "..", where a list of clips lies beside them.
    return out.joinpath(*(word for word in Path(clip).parts if word not in ("..", "/")))


def observe(clip: str, path: VideoPath, source: PoseSource) -> ClipPose:
    """The people of one clip.

    Args:
        clip: its id, by which keypoints that the user brings are found.
        path: the video.
        source: where keypoints come from.

    Raises:
        KgclipError: the video or the estimator cannot be read, or the keypoints brought lack the clip.
    """
    if is_keypoints(source.pose):
        return _brought(source.pose).of_clip(clip, path)
    estimator = _estimator(source.pose, source.detector)
    with open_video(path) as video:
        # At a low frame rate more of them: a person is unknown between observations that are far apart.
        step = min(source.every, max(1, int(LONGEST_GAP_S * video.fps)))
        indices = np.arange(0, video.num_frames, step)
        people = list(estimator(_frames(video, indices)))
        time_s = video.times_s(indices)
        info = video.info
    return ClipPose(indices.astype(np.int32), time_s, info.width, info.height, link_tracks(people, time_s))


def prepare(source: PoseSource) -> None:
    """Load what `observe` needs, which it else does with the first clip; raises KgclipError where it cannot."""
    if is_keypoints(source.pose):
        _brought(source.pose)
    else:
        _estimator(source.pose, source.detector)


def _look(task: tuple[str, VideoPath], source: PoseSource, alone: bool) -> ClipPose | str:
    """The people of one clip, or why it cannot be read."""
    if not alone:
        torch.set_num_threads(1)  # a worker to a core
    if not is_keypoints(source.pose):
        _estimator(source.pose, source.detector)  # a model that cannot be loaded is no fault of the clip
    try:
        return observe(*task, source)
    except KgclipError as error:
        return str(error)


def _frames(video: Video, indices: np.ndarray) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The frames of a video, decoded a chunk at a time."""
    chunk = max(1, CHUNK_BYTES // (3 * video.info.width * video.info.height))
    for start in range(0, len(indices), chunk):
        yield from video.read(indices[start : start + chunk])


def _origin(source: PoseSource) -> dict[str, object]:
    """What keypoints depend on, for the file that holds them."""
    path = Path(source.pose)
    origin: dict[str, object] = {"pose": path.name if path.exists() else source.pose}
    if path.is_file():
        origin["sha256"] = digest(path)
    return origin if is_keypoints(source.pose) else origin | {"detector": source.detector, "every": source.every}


def earlier_poses(out: Path, source: PoseSource) -> dict[str, ClipPose]:
    """The poses of an earlier run of the same kind.

    Raises:
        KgclipError: the folder belongs to other annotations, or to none.
    """
    file, origin = out / KEYPOINTS_FILE, _origin(source)
    if not file.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise KgclipError(f"{out}: is there and holds no {KEYPOINTS_FILE}; give a new folder for --out")
        return {}
    poses, earlier = read_keypoints(file)
    if earlier != origin:
        raise KgclipError(
            f"{out}: was made with {_in_words(earlier)}, asked for is {_in_words(origin)}; give a new folder for --out"
        )
    return poses


def _in_words(origin: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in origin.items() if value is not None)


@lru_cache(maxsize=1)
def _estimator(pose: str, detector: str | None) -> Estimator:
    return open_estimator(pose, detector)


def _brought(pose: str) -> BroughtKeypoints:
    path = Path(pose)
    return _read_brought(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=1)
def _read_brought(path: Path, changed_ns: int) -> BroughtKeypoints:
    # A file that was written since is another one; of a folder nothing is kept.
    return BroughtKeypoints(path)
