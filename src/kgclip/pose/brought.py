"""Keypoints that the user brings: our Parquet, COCO keypoint JSON, and the JSON of common estimators (docs/pose.md)."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float32

from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose, pose_of, read_keypoints
from kgclip.pose.skeleton import NUM_JOINTS
from kgclip.pose.tracks import link_tracks
from kgclip.reading import MOST_UNPACKED, check_unpacked, one_sentence, read_bytes
from kgclip.video.cut import VideoPath, ends_of, name_of
from kgclip.video.decode import open_video

# OpenPose's joints in COCO's order, by the number of its joints.
OPENPOSE_ORDER = {
    25: (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
    18: (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
}
_MOST_GROWTH = 12  # of lists of short numbers; estimators write hours of film into one file
_MOST_BYTES, _MOST_DIGITS, _MOST_FRAMES = 2**28, 18, 2**31
LARGEST_SHARE = 1.5
"""Coordinates that are all smaller than this are shares of the frame, not pixels."""

Pose = Float32[np.ndarray, "17 3"]
# The people of one clip by frame number.
Frames = dict[int, list[Pose]]


def is_keypoints(pose: str) -> bool:
    """Whether `--pose` names keypoints: a .parquet or .json file, or a folder that is no model's."""
    path = Path(pose)
    return path.suffix in (".parquet", ".json") or (path.is_dir() and not (path / "config.json").is_file())


class BroughtKeypoints:
    """Keypoints of many clips, in one file or in a folder with a file or a folder for each clip."""

    def __init__(self, path: Path):
        """Open them.

        Raises:
            KgclipError: nothing is there, or a file cannot be read.
        """
        self.path = path
        self._poses: dict[str, ClipPose] = {}
        self._frames: dict[str, Frames] = {}
        if path.suffix == ".parquet":
            self._poses, _ = read_keypoints(path)
        elif path.is_file():
            self._frames = _read_document(path)
        elif not path.is_dir():
            raise KgclipError(f"{path}: no such file or folder; expected keypoints (docs/pose.md)")

    def of_clip(self, clip: str, video: VideoPath) -> ClipPose:
        """The people of one clip, joined into tracks; they are looked for by its id, by its end, then by its file name.

        The frame numbers of a cut count its own frames.

        Raises:
            KgclipError: there are none of it, they do not fit the video, or one of the two cannot be read.
        """
        names = (clip, name_of(video))
        poses = [pose for name in names if (pose := pose_of(self._poses, name)) is not None]
        if poses:
            return poses[0]
        frames = next(filter(None, (pose_of(self._frames, name) or self._read(name) for name in names)), None)
        if not frames:
            name = ends_of(clip)[-1]
            several = sum(other.endswith(f"/{name}") for other in (*self._poses, *self._frames)) > 1
            raise KgclipError(
                f"{self.path}: has keypoints of several clips named {name}, and {clip} is none of them; give a video "
                "whose folder has the name that it has there"
                if several
                else f"{self.path}: has no keypoints of {clip}; expected {name}.json or a folder {name}"
            )
        numbers = sorted(frames)
        indices = np.array(numbers) - (0 if numbers[0] == 0 else 1)
        people = [np.stack(frames[n]) if frames[n] else np.empty((0, NUM_JOINTS, 3), np.float32) for n in numbers]
        _check_pixels(f"{self.path}: {clip}", people)
        with open_video(video) as opened:
            if indices[-1] >= opened.num_frames:
                raise KgclipError(
                    f"{self.path}: has keypoints of frame {numbers[-1]} of {clip}, whose video has "
                    f"{opened.num_frames} frames; give the video that they were made from"
                )
            time_s, info = opened.times_s(indices), opened.info
        return ClipPose(indices.astype(np.int32), time_s, info.width, info.height, link_tracks(people, time_s))

    def _read(self, clip: str) -> Frames:
        """The people of a clip in a file or a folder of its own."""
        places = [(self.path / f"{end}.json", self.path / end) for end in ends_of(clip)]
        file, folder = next((place for place in places if place[0].is_file() or place[1].is_dir()), places[0])
        if file.is_file():
            return pose_of(_read_document(file), file.stem) or {}
        frames: Frames = {}
        names = folder.glob("[!.]*.json") if folder.is_dir() else ()  # hidden ones are of an operating system
        for frame in sorted(names):
            frames[_number(frame.stem, frame)] = _parsed(frame, lambda value: [_pose(p) for p in _instances(value)])
        return frames


def _read_document(path: Path) -> dict[str, Frames]:
    """The people in one JSON file by clip and frame number."""
    return _parsed(path, lambda value: _group(path, value))


def _group(path: Path, value: Any) -> dict[str, Frames]:
    clips: dict[str, Frames] = defaultdict(dict)
    for image, poses in _images(value):
        place = Path(str(image))
        clip = place.parent.as_posix() if place.parent.name else path.stem
        clips[clip].setdefault(_number(place.stem, path), []).extend(poses)
    return dict(clips)


def _images(value: Any) -> Iterator[tuple[str | int, list[Pose]]]:
    """Each image with its people: MMPose's `instance_info`, a COCO data set, or a list of results."""
    if isinstance(value, dict) and "instance_info" in value:
        value = value["instance_info"]
    if isinstance(value, dict):
        names = {image["id"]: image["file_name"] for image in value["images"]}
        yield from ((name, []) for name in names.values())
        for row in value["annotations"]:
            yield names[row["image_id"]], [_pose(row)]
    elif value and "frame_id" in value[0]:
        for frame in value:
            yield frame["frame_id"], [_pose(person) for person in frame["instances"]]
    else:
        for row in value:
            yield row["image_id"], [_pose(row)]


def _instances(value: Any) -> list[dict[str, Any]]:
    """The people in the JSON of one frame."""
    if isinstance(value, dict):
        return value["people"] if "people" in value else value["instances"]
    return value


def _pose(person: dict[str, Any]) -> Pose:
    """One person's 17 joints; models of more joints (Halpe, whole body) start with COCO's."""
    if "pose_keypoints_2d" in person:
        joints = np.array(person["pose_keypoints_2d"], np.float32).reshape(-1, 3)
        return joints[list(OPENPOSE_ORDER.get(len(joints), range(NUM_JOINTS)))]
    if "keypoint_scores" in person:
        scores = np.array(person["keypoint_scores"], np.float32)
        # Scores may come besides COCO's flags, which are then the third number of a joint.
        positions = np.array(person["keypoints"], np.float32).reshape(len(scores), -1)[:, :2]
        joints = np.column_stack([positions, scores])
    else:
        joints = np.array(person["keypoints"], np.float32).reshape(-1, 3)
        if joints[:, 2].max() == 2:  # COCO's flags of visibility: 1 is hidden, 2 is seen
            joints[:, 2] /= 2
    if len(joints) < NUM_JOINTS:
        raise ValueError(f"{len(joints)} joints")
    joints = joints[:NUM_JOINTS]
    joints[:, 2] = joints[:, 2].clip(0, 1)
    return joints


def _number(name: str, path: Path) -> int:
    """The frame number in the name of an image or a file: its last digits."""
    digits = re.findall(r"\d+", name)
    if not digits:
        raise KgclipError(f"{path}: {name!r} has no frame number; expected a name such as img_00001")
    if len(digits[-1]) > _MOST_DIGITS or int(digits[-1]) >= _MOST_FRAMES:
        raise KgclipError(f"{path}: {name[:80]!r} has a frame number of {len(digits[-1])} digits; expected img_00001")
    return int(digits[-1])


def _parsed(path: Path, parse: Callable[[Any], Any]) -> Any:
    content = read_bytes(path, _MOST_BYTES)
    # Numbers that are too large become infinite, and are refused when the clip is asked for.
    with one_sentence(path, "a layout of keypoints of docs/pose.md"), np.errstate(over="ignore"):
        check_unpacked(content, max(MOST_UNPACKED, _MOST_GROWTH * len(content)))
        return parse(orjson.loads(content))


def _check_pixels(where: str, people: list[np.ndarray]) -> None:
    positions = np.concatenate([poses[:, :, :2].ravel() for poses in people])
    if len(positions) and not np.isfinite(positions).all():
        raise KgclipError(f"{where}: a coordinate is no number; expected pixels")
    if positions.any() and np.abs(positions).max() < LARGEST_SHARE:
        raise KgclipError(f"{where}: coordinates seem to be shares of the frame; expected pixels, multiply by its size")
