"""COCO's keypoints (https://cocodataset.org/#format-data), to and from the keypoints of clips."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.files import digest, write_json
from kgclip.pose.brought import BroughtKeypoints
from kgclip.pose.keypoints import ClipPose, write_keypoints
from kgclip.pose.skeleton import JOINTS, KNOWN_SCORE
from kgclip.video.cut import VideoPath

# Pairs of joints that are drawn as bones, counted from 1.
_BONES = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
_PERSON = 1


def read_coco(path: Path, clips: Mapping[str, VideoPath], out: Path) -> list[str]:
    """Write the keypoints of clips that a COCO file holds as keypoints.parquet; people are joined into tracks.

    Returns:
        Sentences on what was written, and which clips the file lacks.

    Raises:
        KgclipError: the file is broken or holds none of the clips.
    """
    brought = BroughtKeypoints(path)
    poses: dict[str, ClipPose] = {}
    faults: dict[str, str] = {}
    for clip, video in clips.items():
        try:
            poses[clip] = brought.of_clip(clip, video)
        except KgclipError as error:
            faults[clip] = str(error)
    if not poses:
        first = next(iter(faults.values()), "the data set is empty")
        raise KgclipError(f"{path}: gives the keypoints of none of {count_of(len(clips), 'clip')}; the first: {first}")
    write_keypoints(out, poses, {"pose": path.name, "sha256": digest(path)})
    notes = [f"{out}: keypoints of {count_of(len(poses), 'clip')}"]
    if faults:
        names = examples_of(list(faults))
        notes.append(f"{count_of(len(faults), 'clip')} without: {names}; the first: {next(iter(faults.values()))}")
    return notes


def write_coco(path: Path, poses: Mapping[str, ClipPose]) -> None:
    """Write a COCO data set with an image for each observed frame, ``<clip>/img_00001.jpg``, and its people.

    COCO's flags stand for scores: 2 is seen, 0 is not known. The scores themselves are in ``keypoint_scores``.
    """
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for clip, pose in sorted(poses.items()):
        first = len(images) + 1
        images += [
            {
                "id": first + row,
                "file_name": f"{clip}/img_{index + 1:05d}.jpg",
                "width": pose.width,
                "height": pose.height,
            }
            for row, index in enumerate(pose.frame_index.tolist())
        ]
        for number, track in enumerate(pose.tracks, start=1):
            for row, joints in zip(track.rows.tolist(), track.keypoints, strict=True):
                people.append({"id": len(people) + 1, "image_id": first + row, "track_id": number} | _person(joints))
    category = {"id": _PERSON, "name": "person", "supercategory": "person"}
    category |= {"keypoints": [name.replace(" ", "_") for name in JOINTS], "skeleton": _BONES}
    write_json(path, {"images": images, "annotations": people, "categories": [category]})


def _person(joints: Float32[np.ndarray, "17 3"]) -> dict[str, Any]:
    known = joints[:, 2] >= KNOWN_SCORE
    seen = joints[known, :2] if known.any() else joints[:, :2]
    left, top = (float(edge) for edge in seen.min(0))
    width, height = (float(side) for side in np.ptp(seen, axis=0))
    flat = [value for (x, y, _), flag in zip(joints.tolist(), known, strict=True) for value in (x, y, 2 * int(flag))]
    return {
        "category_id": _PERSON,
        "iscrowd": 0,
        "bbox": [left, top, width, height],
        "area": width * height,
        "num_keypoints": int(known.sum()),
        "keypoints": flat,
        "keypoint_scores": joints[:, 2].tolist(),
    }
