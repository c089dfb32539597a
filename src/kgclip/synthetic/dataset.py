"""A synthetic data set on disk, in the layout of Kinetics-TPS (docs/synthetic.md)."""

import csv
import string
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from kgclip.errors import KgclipError
from kgclip.files import atomic_folder
from kgclip.kg.movement import PARTS
from kgclip.parallel import map_in_workers
from kgclip.pose.keypoints import KEYPOINTS_FILE, ClipPose, write_keypoints
from kgclip.progress import progress_bar
from kgclip.synthetic.actions import actions
from kgclip.synthetic.annotation import annotate
from kgclip.synthetic.clip import SyntheticOptions, make_clip
from kgclip.synthetic.keypoints import observe
from kgclip.synthetic.vocabulary import OBJECTS, STATES, on_disk
from kgclip.video.encode import write_video

_ID_LETTERS = string.ascii_letters + string.digits + "-_"
_LEADING_HYPHEN = 0.05  # share of ids that start with a hyphen, a stumbling block for command lines
_MOST_CLIPS_OF_A_SOURCE = 3
_KEYPOINT_STREAM = 1  # of random numbers: noise of keypoints leaves videos and annotations alone

_PARTS = ("train", "test")


class ClipPlan(NamedTuple):
    """One clip to be made: its name, and the seeds of its source and of itself."""

    id: str
    action: str
    part: str
    source_seed: tuple[int, ...]
    seed: tuple[int, ...]


def plan(options: SyntheticOptions) -> list[ClipPlan]:
    """Name every clip of a data set: Kinetics ids, up to three clips of a source, no source on both sides."""
    rng = np.random.default_rng((options.seed, 0))
    plans: list[ClipPlan] = []
    sources: set[str] = set()
    for action in actions():
        for part, left in zip(_PARTS, (options.train_per_action, options.test_per_action), strict=True):
            while left:
                clips = min(left, int(rng.integers(1, _MOST_CLIPS_OF_A_SOURCE + 1)))
                source = _source_id(rng, sources)
                for start in np.cumsum(rng.integers(10, 90, size=clips)):
                    seed = (options.seed, 2, len(plans))
                    video = f"{source}_{start:06d}_{start + 10:06d}"
                    plans.append(ClipPlan(video, action, part, (options.seed, 1, len(sources)), seed))
                left -= clips
    return plans


def _source_id(rng: np.random.Generator, taken: set[str]) -> str:
    while True:
        letters = [_ID_LETTERS[i] for i in rng.integers(len(_ID_LETTERS), size=11)]
        if rng.random() < _LEADING_HYPHEN:
            letters[0] = "-"
        source = "".join(letters)
        if source not in taken:
            taken.add(source)
            return source


def _make(root: Path, options: SyntheticOptions, clip_plan: ClipPlan) -> ClipPose:
    """Write one clip and, for training, its annotations; give its keypoints."""
    rng = np.random.default_rng(clip_plan.seed)
    clip = make_clip(clip_plan.action, np.random.default_rng(clip_plan.source_seed), rng, options)
    action = on_disk(clip_plan.action)
    write_video(root / f"{clip_plan.part}_videos" / action / f"{clip_plan.id}.mp4", clip.rendering.frames, clip.fps)
    if clip_plan.part == "train":
        folder = root / "train_annotations" / action / clip_plan.id / clip_plan.id
        folder.mkdir(parents=True)
        for image, content in annotate(clip, rng).items():
            (folder / f"img_{image:05d}.json").write_bytes(orjson.dumps(content))
    return observe(clip, np.random.default_rng((*clip_plan.seed, _KEYPOINT_STREAM)), options.keypoint_noise)


def _write_lists(root: Path, plans: list[ClipPlan], poses: dict[str, ClipPose]) -> None:
    folder = root / "list"
    folder.mkdir()
    for name, words in (("body_part", PARTS), ("part_stat", STATES), ("object", OBJECTS)):
        (folder / f"{name}.txt").write_text("".join(f"{on_disk(word)}\n" for word in words))
    for part in _PARTS:
        with (folder / f"video_{part}_flist.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("video", "frames"))
            writer.writerows((p.id, len(poses[p.id].frame_index)) for p in plans if p.part == part)


def generate(out: Path, options: SyntheticOptions, *, workers: int = 1, progress: bool = True) -> None:
    """Write a synthetic data set in the layout of Kinetics-TPS, and the keypoints of its figures; all of it or nothing.

    The number of workers changes the time it takes, not the result.

    Raises:
        KgclipError: ``out`` is a file or a folder that holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise KgclipError(f"{out}: is not an empty folder; remove it or choose another one")
    plans = plan(options)
    with atomic_folder(out) as root, progress_bar("drawing figures", len(plans), "clips", show=progress) as advance:
        for part in _PARTS:
            for action in actions():
                (root / f"{part}_videos" / on_disk(action)).mkdir(parents=True)
        poses = {}
        make = partial(_make, root, options)
        for clip, pose in zip(plans, map_in_workers(make, plans, workers, place=str(out), chunk=4), strict=True):
            poses[clip.id] = pose
            advance(1)
        _write_lists(root, plans, poses)
        write_keypoints(root / KEYPOINTS_FILE, poses, {"pose": "synthetic figures", "noise": options.keypoint_noise})
