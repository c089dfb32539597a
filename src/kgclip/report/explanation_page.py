"""The page of one explained prediction."""

import math
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.copies import local_file
from kgclip.data.wording import printable
from kgclip.engine.explanation import DECIMALS, SEEN, Explanation
from kgclip.engine.videos import Videos
from kgclip.files import digest
from kgclip.report.compose import compose, write_page
from kgclip.report.pictures import data_address, resized, side_by_side, webp
from kgclip.video.cut import VideoPath, file_of, name_of, video_at
from kgclip.video.frames import ClipFrames

POSTER_WIDTH, STRIP_WIDTH = 160, 64
# Of a clip that was read at more frames, so many are shown.
MOST_IN_STRIP = 16
# Of more actions the page can change these; of the others it has the names, and their part in the softmax.
MOST_ACTIONS = 24
# What the page computes itself, or does not draw.
_NOT_DRAWN = ("s_mm", "s_tri", "s_path", "score", "changes", "contribution", "clearest_s", "triplets", "joints", "file")
_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


@dataclass(frozen=True)
class Links:
    """Other pages, relative to this one."""

    index: str | None = None
    previous: str | None = None
    next: str | None = None


@dataclass(frozen=True)
class ClipMedia:
    """What a page shows of a video file; with it in hand the file may go.

    Attributes:
        path: of the file, or its cut.
        video, poster: data addresses.
        strip: the frames that the model read, side by side, and their times.
        sha256: start of the file's digest.
    """

    path: VideoPath
    video: str
    poster: str
    strip: dict[str, Any]
    sha256: str

    @classmethod
    def of(cls, path: VideoPath, frames_read: int, videos: Videos | None = None) -> "ClipMedia":
        """Take it from a file, which ``videos`` opens, or this process.

        Raises:
            KgclipError: the file cannot be read.
        """
        videos = videos or Videos()
        pictures = _pictures(videos.read_clip(path, min(MOST_IN_STRIP, frames_read)))
        video = data_address("video/mp4", videos.preview(path))
        with local_file(file_of(path)) as file:
            return cls(path, video, **pictures, sha256=digest(file)[:16])


def explanation_page(
    explanation: Explanation,
    *,
    clip_id: str | None = None,
    truth: str | None = None,
    links: Links | None = None,
    media: ClipMedia | None = None,
) -> str:
    """The page of an explanation, with its video inside.

    Args:
        explanation: of a file that is still there, unless `media` is given.
        clip_id: the clip's id in its data set.
        truth: its label, where it has one.
        links: to other pages.
        media: of the clip, where it is at hand.

    Raises:
        KgclipError: the file cannot be read any more.
    """
    media = media or ClipMedia.of(video_at(explanation.file), len(explanation.clip.times_s))
    data = explanation.to_json()
    for row in data["movements"]:
        row["weights"] = [round(weight, 4) for weight in row["weights"]]
    explanation.make_exact(data["actions"], data["movements"])
    data["clip"] |= {
        "id": clip_id or printable(name_of(media.path)),
        "file": printable(Path(explanation.file).name),
        "truth": truth,
        "video": media.video,
        "poster": media.poster,
        "strip": media.strip,
    }
    data["answer"]["start_s"] = _first_shown(explanation)
    for row in (*data["actions"], *data["movements"], data["answer"], data):
        for name in _NOT_DRAWN:
            row.pop(name, None)
    data["actions"] = [{k: v for k, v in row.items() if v is not None} for row in data["actions"]]
    _fold(data, explanation)
    if explanation.keypoints is not None:
        data["keypoints"] = [_drawn(person) for person in explanation.keypoints["people"]]
    for row in data["movements"]:
        row["spans"] = [span[:3] for span in row["spans"]]
        # Reasons bring the clause of what is seen.
        row.get("phrase", {}).pop("is", None)
    data["provenance"].pop("frame_times_s")
    data["provenance"]["clip_sha256"] = media.sha256
    data["links"] = {name: link for name, link in vars(links or Links()).items() if link is not None}
    return compose("explanation", "Explained prediction", data)


def _drawn(person: dict[str, Any]) -> dict[str, Any]:
    """A person's joints in little room."""
    times_s = [round(time, 2) for time in person["times_s"]]
    return {"times_s": times_s, "frames": packed(value for frame in person["frames"] for value in frame)}


def packed(values: Iterable[int]) -> str:
    """Whole numbers as in source maps: base-64 digits of five bits, the last of a number below 32, the sign first."""
    letters = []
    for value in values:
        rest = 2 * abs(value) + (value < 0)
        while rest >= 32:
            letters.append(_DIGITS[32 + rest % 32])
            rest //= 32
        letters.append(_DIGITS[rest])
    return "".join(letters)


def _fold(data: dict[str, Any], explanation: Explanation) -> None:
    """Leave the first MOST_ACTIONS actions; of the others, names, and what they are in the softmax together."""
    others = [action.score / explanation.temperature for action in explanation.actions[MOST_ACTIONS:]]
    if not others:
        return
    data["others"] = [[row["action"], round(row["probability"], 4)] for row in data["actions"][MOST_ACTIONS:]]
    data["actions"] = data["actions"][:MOST_ACTIONS]
    for row in data["movements"]:
        row["weights"] = row["weights"][:MOST_ACTIONS]
    highest = max(others)
    unlisted = highest + math.log(sum(math.exp(logit - highest) for logit in others))
    data["fusion"]["unlisted"] = round(unlisted, DECIMALS)


def _pictures(clip: ClipFrames) -> dict[str, Any]:
    """The poster and the frames the model read, side by side."""
    height, width = clip.images.shape[1:3]
    poster = resized(clip.images[:1], max(1, round(POSTER_WIDTH * height / width)), POSTER_WIDTH)[0]
    return {
        "poster": webp(poster),
        "strip": {
            "src": webp(side_by_side(clip.images, STRIP_WIDTH)),
            "times_s": [round(time, 3) for time in clip.times_s.tolist()],
        },
    }


def _first_shown(explanation: Explanation) -> float:
    """The start of the strongest reason, or of the clip."""
    by_name = {movement.name: movement for movement in explanation.movements}
    spans = [s for reason in explanation.reasons[:1] for s in by_name[reason.movements[0]].spans if s.strength >= SEEN]
    return round(spans[0].start_s, 3) if spans else 0.0


def write_explanation(folder: Path, explanation: Explanation, taken: set[str], videos: Videos | None = None) -> Path:
    """Write the page of a clip into a folder, named after the clip; clips of one name are numbered.

    Args:
        folder: which may be there already.
        explanation: of the clip.
        taken: names in use, to which this one is added.
        videos: opens the clip; None for this process.

    Returns:
        The page's path.
    """
    stem = re.sub(r"[^\w.\-]+", "-", printable(name_of(video_at(explanation.file))), flags=re.ASCII)[:100] or "clip"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    file = folder / f"{name}.html"
    media = ClipMedia.of(video_at(explanation.file), len(explanation.clip.times_s), videos)
    write_page(file, explanation_page(explanation, media=media))
    return file
