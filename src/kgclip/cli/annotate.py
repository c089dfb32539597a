"""`kgclip annotate`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from kgclip.cli.output import parse, say, workers_here
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.video.cut import VideoPath


@dataclass(frozen=True)
class AnnotateCommand:
    """Find people and their joints in clips, and write the states of their body parts as annotations.

    OUT then holds one JSON file a frame in the layout of Kinetics-TPS, for --annotations of other commands, and all
    keypoints of all people in keypoints.parquet. A run that was broken off goes on where it was.

    Examples:

      kgclip annotate clips/ --out annotations --pose movenet_lightning.tflite

      kgclip annotate clips.csv --out annotations --pose usyd-community/vitpose-base-simple --every 2

      kgclip annotate clips/ --out annotations --pose openpose_output/
    """

    clips: Positional[Path]
    """video file, folder of videos or of class folders, Kinetics-TPS root, CSV file, or an address (docs/remote.md)"""
    out: Path
    """folder to write or to go on with"""
    pose: str
    """a MoveNet .tflite file; the name or folder of a ViTPose model; or keypoints: .parquet, .json or a folder"""
    detector: str | None = None
    """name or folder of the person detector of a ViTPose model (default: PekingU/rtdetr_r50vd_coco_o365)"""
    every: int | None = None
    """look at every Nth frame (default: 4), and at two a second or more; keypoints that you bring come as they are"""
    person: str = "subject"
    """who is annotated: subject, all, or a number from 1, as in keypoints.parquet (1 is the subject)"""
    workers: int | None = None
    """processes that look at clips (default: 2); a .parquet is read by one, and a Ray cluster has its own number"""
    engine: Literal["local", "ray"] = "local"
    """this machine, or the processes of a Ray cluster (docs/cluster.md)"""


def annotate(argv: Sequence[str]) -> int:
    """Run `kgclip annotate`."""
    command = parse(AnnotateCommand, argv, "annotate")
    workers = workers_here(command.workers, command.engine)
    people = _people(command.person)
    every = 4 if command.every is None else command.every
    if every < 1:
        raise KgclipError(f"--every {every}: is too small; give a number from 1")
    from kgclip.pose import annotate as work
    from kgclip.pose.brought import is_keypoints
    from kgclip.progress import progress_bar

    for option, value in (("--detector", command.detector), ("--every", command.every)):
        if value is not None and is_keypoints(command.pose):
            raise KgclipError(f"{option} {value}: {command.pose} holds keypoints already; leave the option out")
    clips = _clips(command.clips, command.out)
    source = work.PoseSource(command.pose, command.detector, every)
    with progress_bar("Annotating", len(clips), "clips") as advance:
        poses = work.annotate(
            clips,
            command.out,
            source,
            people=people,
            workers=workers,
            engine=command.engine,
            advance=advance,
        )
    nobody = sum(not pose.tracks for pose in poses.values())
    numbers = [len(pose.tracks) for pose in poses.values()]
    if people.start > 1 and people.start > max(numbers, default=0):
        raise KgclipError(
            f"--person {command.person}: no clip shows so many people, the most are {max(numbers, default=0)}; the "
            f"keypoints are in {command.out}, give a smaller number"
        )
    say(f"{len(poses)} clips annotated in {command.out}, {nobody} of them without a person")
    return 0


def _people(word: str) -> range:
    """The numbers of the people that `--person` names."""
    if word == "subject":
        return range(1, 2)
    if word == "all":
        return range(1, sys.maxsize)
    if not word.isdecimal() or int(word) < 1:
        raise KgclipError(f"--person {word}: expected subject, all, or a number from 1")
    return range(int(word), int(word) + 1)


def _clips(path: Path, out: Path) -> "dict[str, VideoPath]":
    """Videos by clip id: one file, the files in a folder, or those of a data set in any layout.

    The folder of annotations may lie among the class folders.
    """
    from kgclip.data.clip import VIDEO_EXTENSIONS, clip_id, videos_in
    from kgclip.data.dataset import open_dataset
    from kgclip.data.listing import library_at, videos_under
    from kgclip.remote import at

    if path.suffix.lower() in VIDEO_EXTENSIONS and not path.is_dir():
        return {clip_id(path.name): at(path)}
    with library_at(path) as library:
        here = videos_in(library.path) if library.path.is_dir() else []
        files = [library.original(file) for file in here]
        deeper = [video for video in videos_under(library.path) if video.parent != library.path] if files else []
    if deeper:
        raise KgclipError(
            f"{files[0]}: lies beside folders of videos, such as {deeper[0].parent.name}/; put it into one of them, or "
            "give a folder of videos alone"
        )
    if not files:
        among = out.is_dir() and out.resolve().is_relative_to(path.resolve())
        return {clip.id: clip.path for clip in open_dataset(path, out if among else None).clips}
    clips: dict[str, VideoPath] = {}
    for file in files:
        if clips.setdefault(clip_id(file.name), file) is not file:
            raise KgclipError(
                f"{file}: has the same name as {clips[clip_id(file.name)]}; a clip is known by its file name without "
                "the extension, so rename one of the two"
            )
    return clips
