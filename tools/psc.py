"""The official Kinetics-TPS metric: accuracy conditioned on part-state correctness (PSC), as its 2021 evaluator counts.

    python -m tools.psc submission.zip Kinetics-TPS/train_annotations [--labels labels.csv]
docs/metrics.md defines it. Operations are in the evaluator's order: comparisons of floats then fall out alike.
"""

import json
import reprlib
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import tyro
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment
from tyro.conf import Positional

from kgclip.data.annotation_files import clip_folders, frame_number
from kgclip.data.tables import read_table
from kgclip.errors import KgclipError
from kgclip.kg.names import plain_name
from kgclip.reading import check_unpacked, open_regular, read_bytes, reason_of
from kgclip.visible import visible

HUMAN_IOU, PART_IOU, STEPS, MAX_HUMANS, MAX_PROPOSALS = 0.5, 0.3, 10_000, 10, 5
FRAME_INTERVAL = 5  # frames 1, 6, 11, … are scored
VIDEO_FILE, PART_FILE = "pred_vid_result.json", "pred_part_result.json"
MAX_BYTES = 2**28  # twice a complete submission; a small zip file may claim to hold any size

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Human:
    """One human of one frame: box and, per body part, boxes with states; an annotation has one of them."""

    box: Box
    parts: Mapping[str, tuple[tuple[Box, str], ...]]


Frames = dict[int, list[Human]]


@dataclass(frozen=True)
class Videos:
    """What annotation or prediction holds of each video: its action, and the humans of the scored frames."""

    actions: dict[str, str]
    frames: dict[str, Frames]


@dataclass(frozen=True)
class PscReport:
    """The official score beside plain accuracy, which is another quantity.

    Attributes:
        score: area under accuracy with PSC ≥ t, over t; in [0, 0.9999].
        top1: share of videos with the right action, whatever their parts.
        mean_psc: mean PSC of all videos.
        num_videos, num_frames: that were scored.
    """

    score: float
    top1: float
    mean_psc: float
    num_videos: int
    num_frames: int


def evaluate_submission(submission: Path, annotations: Path, labels: Path | None = None) -> PscReport:
    """Score a submission against annotations.

    Raises:
        KgclipError: either cannot be read, or the submission lacks an annotated video.
    """
    truth, predicted = read_annotations(annotations, labels), read_submission(submission)
    for what, held in (("action", predicted.actions), ("parts", predicted.frames)):
        missing = sorted(truth.actions.keys() - held.keys())
        if missing:
            raise KgclipError(
                f"{submission}: lacks the {what} of {len(missing)} of {len(truth.actions)} annotated videos, such as "
                f"{missing[0]!r}; the official evaluator takes complete submissions only"
            )
    videos = sorted(truth.actions)
    right = np.array([truth.actions[video] == predicted.actions[video] for video in videos])
    psc = np.array([part_state_correctness(truth.frames[video], predicted.frames[video]) for video in videos])
    score, num_frames = (right * steps_reached(psc)).mean() / STEPS, sum(map(len, truth.frames.values()))
    return PscReport(float(score), float(right.mean()), float(psc.mean()), len(videos), num_frames)


def steps_reached(psc: Float64[np.ndarray, " V"]) -> Float64[np.ndarray, " V"]:
    """How many of the thresholds 1e-4 … 9999e-4 each PSC reaches: a product might round across one of them."""
    return np.searchsorted(np.arange(1, STEPS) / STEPS, psc, side="right").astype(np.float64)


def part_state_correctness(truth: Frames, predicted: Frames) -> float:
    """PSC of a video: the mean over its annotated frames of the share of parts that are right, in [0, 1].

    A frame without annotated humans does not count, nor does one without annotated parts, unless its prediction is
    missing. A video without any frame that counts has 1.
    """
    total, count = 0.0, 0
    for number, humans in truth.items():
        num_parts = sum(len(human.parts) for human in humans)
        if not humans or (number in predicted and num_parts == 0):
            continue
        count += 1
        if number in predicted:
            matches = match_humans(humans, predicted[number])
            total += sum(_right_parts(humans[i], human) for i, human in sorted(matches.items())) / num_parts
    return total / count if count else 1.0


def match_humans(truth: list[Human], predicted: list[Human]) -> dict[int, Human]:
    """The predicted human of each annotated one: the assignment with the largest sum of IoU, then those above 0.5."""
    overlap = np.array([[iou(t.box, p.box) for p in predicted] for t in truth]).reshape(len(truth), len(predicted))
    rows, columns = linear_sum_assignment(1 - overlap)
    return {int(i): predicted[j] for i, j in zip(rows, columns, strict=True) if overlap[i, j] > HUMAN_IOU}


def iou(a: Box, b: Box) -> float:
    """Intersection over union of boxes of whole pixels, both ends included; −1 without a common pixel."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return -1.0
    areas = sum((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return width * height / (areas - width * height)


def _right_parts(truth: Human, predicted: Human) -> float:
    """Sum over the annotated parts of 1/N, N the number of proposals, where one of them is right."""
    pairs = [(annotated, predicted.parts.get(name, ())) for name, annotated in truth.parts.items()]
    return sum(
        1 / len(proposals)
        for annotated, proposals in pairs
        if any(iou(box, b) >= PART_IOU and state == s for box, state in annotated for b, s in proposals)
    )


def read_annotations(folder: Path, labels: Path | None = None) -> Videos:
    """Read the scored frames (1, 6, 11, …) of all annotated videos; docs/data.md describes the format.

    Raises:
        KgclipError: there is no annotation, a broken one, or a video without a label.
    """
    if not folder.is_dir():
        raise KgclipError(f"{folder}: is no folder of annotations; expected [<class>/]<video>/img_00001.json")
    if (folder / "train_annotations").is_dir():
        raise KgclipError(f"{folder}: is a whole data set; give one of its folders of annotations, train_annotations")
    rows, videos = [] if labels is None else read_table(labels), Videos({}, {})
    if rows and not {"video", "label"} <= rows[0].keys():
        raise KgclipError(f"{labels}: has the columns {', '.join(rows[0])}; expected video,label")
    given = {Path(row["video"]).stem: row["label"] for row in rows}
    for place in clip_folders(folder):
        video = Path(place).name
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


def _read_frames(folder: str) -> Frames:
    frames: Frames = {}
    for path in sorted(Path(folder).glob("*.json")):
        number = frame_number(path.name)
        if not number or number in frames:
            raise KgclipError(f"{path}: is no img_<number>.json, or a second file for one frame; rename or remove it")
        if number % FRAME_INTERVAL == 1:
            frames[number] = _humans(_parsed(read_bytes(path), str(path)), str(path))
    return frames


def read_submission(path: Path) -> Videos:
    """Read a submission's zip file; the JSON files may lie in a folder inside it.

    Raises:
        KgclipError: it is no zip file, or a file in it is missing, broken or too large.
    """
    try:
        with open_regular(path, MAX_BYTES) as file, zipfile.ZipFile(file) as archive:
            actions, parts = (_member(archive, name, path) for name in (VIDEO_FILE, PART_FILE))
    except KgclipError:
        raise
    except Exception as error:  # zipfile has those of four ways to pack
        reason = reason_of(error)
        raise KgclipError(f"{path}: cannot be read as a zip file ({reason}); pack the submission again") from error
    broken = next((video for video, action in actions.items() if not isinstance(action, str)), None)
    if broken is not None:
        raise KgclipError(f"{path}: {VIDEO_FILE} gives {broken!r} no action in words; expected {{video: action}}")
    frames = {video: _predicted(content, f"{path}: {PART_FILE}: {video}") for video, content in parts.items()}
    return Videos({video: plain_name(action) for video, action in actions.items()}, frames)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    members = (member for member in archive.infolist() if "__MACOSX" not in member.filename)
    files = [member for member in members if Path(member.filename).name == name]
    if len(files) != 1:
        raise KgclipError(f"{path}: holds {len(files)} files {name}, expected one")
    if files[0].compress_size > path.stat().st_size:  # room for it would be made before it is read
        raise KgclipError(f"{path}: states more bytes of {name} than it has; pack the submission again")
    if files[0].file_size > MAX_BYTES:
        raise KgclipError(
            f"{path}: {name} has {files[0].file_size / 2**30:.1f} GiB unpacked, expected at most "
            f"{MAX_BYTES / 2**30:.0f}; leave out the frames that are not scored"
        )
    content = _parsed(archive.read(files[0]), f"{path}: {name}")  # zipfile unpacks no more than the header states
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
        check_unpacked(content)
        return orjson.loads(content)
    except ValueError as error:
        raise KgclipError(f"{place}: malformed JSON ({error}); write it again") from None


def _humans(frame: Any, place: str) -> list[Human]:
    humans = frame.get("humans") or [] if isinstance(frame, dict) else None
    if not isinstance(humans, list) or not all(isinstance(human, dict) for human in humans):
        raise KgclipError(f'{place}: holds no list of humans; expected {{"humans": [{{"box", "parts"}}, …]}}')
    return [_human(human, place) for human in humans]


def _human(human: dict[str, Any], place: str) -> Human:
    boxes, parts = _boxes(human.get("box"), place), human.get("parts") or {}
    if len(boxes) != 1 or not isinstance(parts, dict | list):
        raise KgclipError(f"{place}: a human has {len(boxes)} boxes, or parts that are no object; expected one box")
    records = parts.items() if isinstance(parts, dict) else [(_get(part, "name"), part) for part in parts]
    proposals: dict[str, tuple[tuple[Box, str], ...]] = {}
    for name, record in records:
        verbs = _get(record, "verb")
        verbs = verbs if isinstance(verbs, list) else [verbs]
        if not all(isinstance(word, str) for word in (name, *verbs)):
            raise KgclipError(f"{place}: part {name!r} has no name or no verb in words; correct the record")
        at = _boxes(_get(record, "box"), place)
        at = at * len(verbs) if len(at) == 1 else at
        if len(at) != len(verbs):
            raise KgclipError(f"{place}: part {name!r} has {len(at)} boxes and {len(verbs)} verbs; expected as many")
        part = plain_name(name)
        proposals[part] = proposals.get(part, ()) + tuple(zip(at, map(plain_name, verbs), strict=True))
    return Human(boxes[0], proposals)


def _get(record: Any, key: str) -> Any:
    return record.get(key) if isinstance(record, dict) else None


def _boxes(value: Any, place: str) -> list[Box]:
    boxes = value if isinstance(value, list) and all(isinstance(box, list) for box in value) else [value]
    for box in boxes:
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(x, int | float) for x in box):
            raise KgclipError(f"{place}: {reprlib.repr(box)} is no box; expected [x1, y1, x2, y2] in pixels")
    return [(float(box[0]), float(box[1]), float(box[2]), float(box[3])) for box in boxes]


def main(submission: Positional[Path], annotations: Positional[Path], labels: Path | None = None) -> int:
    """Print the score, plain accuracy and mean PSC of a submission's zip file as one JSON object.

    Args:
        submission: with pred_vid_result.json and pred_part_result.json.
        annotations: a folder [<class>/]<video>/img_00001.json.
        labels: a CSV of video,label; default: the class folders of the annotations.
    """
    try:
        print(json.dumps(asdict(evaluate_submission(submission, annotations, labels))))
    except KgclipError as error:
        print(f"psc: {visible(str(error))}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
