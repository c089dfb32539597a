"""Part states as frame annotations in the layout of Kinetics-TPS (docs/data.md), with boxes and confidences."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jaxtyping import Float, Int8

from kgclip.files import atomic_path
from kgclip.kg import movement
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.skeleton import KNOWN_SCORE
from kgclip.pose.states import LEFT_OUT, PART_JOINTS, PARTS, STATES, read_states
from kgclip.remains import clear_remains

LIMB_MARGIN = 0.1
"""Around the joints of arms and legs, in torso lengths."""
END_HALF = 0.22
"""Half the side of the boxes around wrists and ankles, and the margin around the hips, in torso lengths."""
LEAST_INSIDE = 0.5
"""A part of whose box less than this lies in the frame is left out."""

Box = Float[np.ndarray, " 4"]


def frame_annotations(pose: ClipPose, people: range) -> list[dict[str, Any]]:
    """What the JSON file of each observed frame holds; people are numbered from 1, the clip's subject.

    A part's `confidence` is that of its state, from 0 to 1 (see `kgclip.pose.states.States`).
    """
    annotations: list[dict[str, Any]] = [{"humans": []} for _ in pose.frame_index]
    for person in range(people.start, min(people.stop, len(pose.tracks) + 1)):
        body = pose.body(person)
        assert body is not None
        states = read_states(body)
        for row in pose.tracks[person - 1].rows:
            step = min(pose.steps[row], len(states.codes) - 1)
            joints = body.keypoints[step]
            parts = _parts(joints, body.torso_px, states.codes[step], states.confidence[step], pose)
            if parts:
                box = _clipped(_around(joints[joints[:, 2] >= KNOWN_SCORE, :2], LIMB_MARGIN * body.torso_px), pose)
                annotations[row]["humans"].append({"number": person, "box": _pixels(box), "parts": parts})
    return annotations


def write_frames(folder: Path, pose: ClipPose, people: range) -> None:
    """Write one JSON file for each observed frame of a clip; other frames of an earlier run are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    clear_remains(folder)
    old = set(folder.glob("img_*.json"))
    for index, annotation in zip(pose.frame_index, frame_annotations(pose, people), strict=True):
        file = folder / f"img_{index + 1:05d}.json"
        _write_once(file, orjson.dumps(annotation))
        old.discard(file)
    for file in old:
        file.unlink()


def remove_frames(folder: Path) -> None:
    """Remove the JSON files of a clip, and folders that are then empty; a folder that is not there is fine."""
    for file in folder.glob("img_*.json"):
        file.unlink()
    with suppress(OSError):
        while True:  # ends at the first folder that holds something
            folder.rmdir()
            folder = folder.parent


def write_vocabulary(folder: Path) -> None:
    """Write the words that the annotations may use, as `list/` of Kinetics-TPS."""
    words = {"body_part.txt": movement.PARTS, "part_stat.txt": STATES, "object.txt": ("none",)}
    (folder / "list").mkdir(parents=True, exist_ok=True)
    clear_remains(folder / "list")
    for name, lines in words.items():
        _write_once(folder / "list" / name, "".join(f"{_on_disk(line)}\n" for line in lines).encode())


def _write_once(file: Path, content: bytes) -> None:
    """Write a file, unless that is its content already: what was read from it stays good (`fingerprint`)."""
    if not file.is_file() or file.read_bytes() != content:
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)


def _parts(
    joints: Float[np.ndarray, "17 3"],
    torso_px: float,
    codes: Int8[np.ndarray, " 9"],
    confidence: Float[np.ndarray, " 9"],
    pose: ClipPose,
) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {}
    for part, code, sure in zip(PARTS, codes, confidence, strict=True):
        if code == LEFT_OUT:
            continue
        box = _part_box(part, joints[list(PART_JOINTS[part]), :2], torso_px)
        inside = _clipped(box, pose)
        if _area(inside) < LEAST_INSIDE * _area(box):
            continue
        parts[_on_disk(part)] = {
            "number": len(parts) + 1,
            "name": _on_disk(part),
            "box": _pixels(inside),
            "verb": _on_disk(STATES[code]),
            "confidence": round(float(sure), 3),
        }
    return parts


def _part_box(part: str, points: Float[np.ndarray, "N 2"], torso_px: float) -> Box:
    kind = part.split()[-1]
    if kind in ("arm", "leg"):
        return _around(points, LIMB_MARGIN * torso_px)
    if kind == "hip":
        return _around(points, END_HALF * torso_px)
    return _around(points[-1:], END_HALF * torso_px)


def _around(points: Float[np.ndarray, "N 2"], margin: float) -> Box:
    return np.concatenate([points.min(0) - margin, points.max(0) + margin])


def _clipped(box: Box, pose: ClipPose) -> Box:
    return np.clip(box, 0, np.array([pose.width, pose.height] * 2) - 1)


def _area(box: Box) -> float:
    return float(np.prod(np.maximum(box[2:] - box[:2], 0)))


def _pixels(box: Box) -> list[int]:
    return [round(float(edge)) for edge in box]


def _on_disk(words: str) -> str:
    return words.replace(" ", "_")
