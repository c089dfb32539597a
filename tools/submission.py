"""Reads what the Kinetics-TPS metric compares: part annotations with their boxes, and a submission's zip file."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kgclip.data.annotation_files import clip_folders, frame_number
from kgclip.data.tables import read_table
from kgclip.errors import KgclipError
from kgclip.kg.names import plain_name

MAX_HUMANS = 10
MAX_PROPOSALS = 5
# Frames 1, 6, 11, … are scored.
FRAME_INTERVAL = 5

VIDEO_FILE, PART_FILE = "pred_vid_result.json", "pred_part_result.json"

Box = tuple[float, float, float, float]
Proposal = tuple[Box, str]


@dataclass(frozen=True)
class Human:
    """One human of one frame: box and, per body part, boxes with states; an annotation has one of them."""

    box: Box
    parts: Mapping[str, tuple[Proposal, ...]]


Frames = dict[int, list[Human]]


@dataclass(frozen=True)
class Videos:
    """What is said of some videos, as annotation or as prediction: actions, and the humans of the scored frames."""

    actions: dict[str, str]
    frames: dict[str, Frames]


def read_annotations(folder: Path, labels: Path | None = None) -> Videos:
    """Read the scored frames (1, 6, 11, …) of all annotated videos; docs/data.md describes the format.

    Raises:
        KgclipError: there is no annotation, a broken one, or a video without a label.
    """
    if not folder.is_dir():
        raise KgclipError(f"{folder}: is no folder of annotations; expected [<class>/]<video>/img_00001.json inside")
    if (folder / "train_annotations").is_dir():
        raise KgclipError(f"{folder}: is a whole data set; give one of its folders of annotations, train_annotations")
    given = {} if labels is None else _read_labels(labels)
    videos = Videos({}, {})
    for video, place in clip_folders(folder):
        if video in videos.frames:
            raise KgclipError(f"{place}: a second folder of annotations for {video!r}; remove one")
        classes = Path(place).relative_to(folder).parts
        label = given.get(video) if labels is not None else classes[0] if classes and classes[0] != video else None
        if label is None:
            missing = f"{labels} has no row for it" if labels is not None else "it lies in no class folder"
            raise KgclipError(f"{place}: the action of {video!r} is unknown, {missing}; give it in --labels CSV")
        videos.actions[video] = plain_name(label)
        videos.frames[video] = _read_frames(place)
    if not videos.frames:
        raise KgclipError(f"{folder}: holds no frame annotation; expected [<class>/]<video>/img_00001.json")
    return videos


def _read_labels(path: Path) -> dict[str, str]:
    rows = read_table(path)
    if rows and not {"video", "label"} <= rows[0].keys():
        raise KgclipError(f"{path}: has the columns {', '.join(rows[0])}; expected video,label")
    return {Path(row["video"]).stem: row["label"] for row in rows}


def _read_frames(folder: str) -> Frames:
    frames: Frames = {}
    for path in sorted(Path(folder).glob("*.json")):
        number = frame_number(path.name)
        if not number or number in frames:
            raise KgclipError(f"{path}: is no img_<number>.json, or a second file for one frame; rename or remove it")
        if number % FRAME_INTERVAL == 1:
            frames[number] = _humans(_parsed(path.read_bytes(), str(path)), str(path))
    return frames


def read_submission(path: Path) -> Videos:
    """Read a submission's zip file; the JSON files may lie in a folder inside it.

    Raises:
        KgclipError: it is no zip file, a file in it is missing or broken, or a frame has more than ten humans, or a
            part more than five proposals.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            actions, parts = (_member(archive, name, path) for name in (VIDEO_FILE, PART_FILE))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise KgclipError(f"{path}: cannot be read as a zip file ({error}); pack the submission again") from error
    broken = next((video for video, action in actions.items() if not isinstance(action, str)), None)
    if broken is not None:
        raise KgclipError(f"{path}: {VIDEO_FILE} gives {broken!r} no action in words; expected {{video: action}}")
    frames = {video: _predicted(content, f"{path}: {PART_FILE}: {video}") for video, content in parts.items()}
    return Videos({video: plain_name(action) for video, action in actions.items()}, frames)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    found = [member for member in archive.namelist() if Path(member).name == name and "__MACOSX" not in member]
    if len(found) != 1:
        raise KgclipError(f"{path}: holds {len(found)} files {name}, expected one")
    content = _parsed(archive.read(found[0]), f"{path}: {name}")
    if not isinstance(content, dict):
        raise KgclipError(f"{path}: {name} is no JSON object; expected one entry per video")
    return content


def _predicted(content: Any, place: str) -> Frames:
    frames: Frames = {}
    for name, frame in content.items() if isinstance(content, dict) else [("", None)]:
        number = frame_number(name)
        if not number:
            raise KgclipError(f"{place}: {name!r} is no frame; expected img_00001.json, img_00006.json, …")
        if number % FRAME_INTERVAL != 1:
            continue
        frames[number] = _humans(frame, f"{place}: {name}")
        most = max((len(p) for human in frames[number] for p in human.parts.values()), default=0)
        if len(frames[number]) > MAX_HUMANS or most > MAX_PROPOSALS:
            raise KgclipError(
                f"{place}: {name} has {len(frames[number])} humans, and up to {most} proposals for a part; at most "
                f"{MAX_HUMANS} and {MAX_PROPOSALS} are allowed"
            )
    return frames


def _parsed(content: bytes, place: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise KgclipError(f"{place}: malformed JSON ({error}); write it again") from error


def _humans(frame: Any, place: str) -> list[Human]:
    humans = frame.get("humans") or [] if isinstance(frame, dict) else None
    if not isinstance(humans, list) or not all(isinstance(human, dict) for human in humans):
        raise KgclipError(f'{place}: holds no list of humans; expected {{"humans": [{{"box", "parts"}}, …]}}')
    return [_human(human, place) for human in humans]


def _human(human: dict[str, Any], place: str) -> Human:
    boxes = _boxes(human.get("box"), place)
    parts = human.get("parts") or {}
    if len(boxes) != 1 or not isinstance(parts, dict | list):
        raise KgclipError(f"{place}: a human has {len(boxes)} boxes, or parts that are no object; expected one box")
    # Parts are an object by name, or a list of records with names.
    records = parts.items() if isinstance(parts, dict) else [(_get(part, "name"), part) for part in parts]
    found: dict[str, tuple[Proposal, ...]] = {}
    for name, record in records:
        verbs = _get(record, "verb")
        verbs = verbs if isinstance(verbs, list) else [verbs]
        if not all(isinstance(word, str) for word in (name, *verbs)):
            raise KgclipError(f"{place}: part {name!r} has no name or no verb in words; mend the record")
        at = _boxes(_get(record, "box"), place)
        at = at * len(verbs) if len(at) == 1 else at
        if len(at) != len(verbs):
            raise KgclipError(f"{place}: part {name!r} has {len(at)} boxes and {len(verbs)} verbs; expected as many")
        proposals = tuple(zip(at, map(plain_name, verbs), strict=True))
        found[plain_name(name)] = found.get(plain_name(name), ()) + proposals
    return Human(boxes[0], found)


def _get(record: Any, key: str) -> Any:
    return record.get(key) if isinstance(record, dict) else None


def _boxes(value: Any, place: str) -> list[Box]:
    boxes = value if isinstance(value, list) and all(isinstance(box, list) for box in value) else [value]
    for box in boxes:
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(x, int | float) for x in box):
            raise KgclipError(f"{place}: {box!r} is no box; expected [x1, y1, x2, y2] in pixels")
    return [(float(box[0]), float(box[1]), float(box[2]), float(box[3])) for box in boxes]
