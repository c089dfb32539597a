"""The page of one explained prediction."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.data.wording import printable
from kgclip.engine.explanation import DECIMALS, SEEN, Explanation
from kgclip.files import digest
from kgclip.report.compose import compose, write_page
from kgclip.report.pictures import data_address, resized, webp
from kgclip.video.frames import ClipFrames, read_clip
from kgclip.video.preview import preview

POSTER_WIDTH, STRIP_WIDTH = 160, 72
# Of a clip that was read at more frames, so many are shown.
MOST_IN_STRIP = 16
# Of more actions the page has the first, and the part of all others in the softmax.
MOST_ACTIONS = 60
# What the page computes itself, or does not draw.
_NOT_DRAWN = ("s_mm", "s_tri", "s_path", "score", "changes", "contribution", "clearest_s", "triplets")


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
        path: of the file.
        video, poster: data addresses.
        strip: the frames that the model read, side by side, and their times.
        sha256: start of the file's digest.
    """

    path: Path
    video: str
    poster: str
    strip: dict[str, Any]
    sha256: str

    @classmethod
    def of(cls, path: Path, frames_read: int) -> "ClipMedia":
        """Take it from a file.

        Raises:
            KgclipError: the file cannot be read.
        """
        pictures = _pictures(read_clip(path, min(MOST_IN_STRIP, frames_read)))
        return cls(path, data_address("video/mp4", preview(path)), **pictures, sha256=digest(path)[:16])


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
    media = media or ClipMedia.of(Path(explanation.file), len(explanation.clip.times_s))
    data = explanation.to_json()
    data["clip"] |= {
        "id": clip_id or printable(media.path.stem),
        "file": printable(media.path.name),
        "truth": truth,
        "video": media.video,
        "poster": media.poster,
        "strip": media.strip,
    }
    data["answer"]["start_s"] = _first_shown(explanation)
    for row in (*data["actions"], *data["movements"], data["answer"], data):
        for name in _NOT_DRAWN:
            row.pop(name, None)
    _fold(data, explanation)
    for row in data["movements"]:
        # Weights to four decimals are enough for probabilities to 2e-4, which what is not listed makes exact.
        row["weights"] = [round(weight, 4) for weight in row["weights"]]
    data["provenance"] |= {"clip_sha256": media.sha256}
    data["links"] = {name: link for name, link in vars(links or Links()).items() if link is not None}
    return compose("explanation", "Explained prediction", data)


def _fold(data: dict[str, Any], explanation: Explanation) -> None:
    """Leave the first MOST_ACTIONS actions in the data; of the others what they are in the softmax together."""
    others = [action.score / explanation.temperature for action in explanation.actions[MOST_ACTIONS:]]
    if not others:
        return
    data["actions"] = data["actions"][:MOST_ACTIONS]
    for row in data["movements"]:
        row["weights"] = row["weights"][:MOST_ACTIONS]
    highest = max(others)
    unlisted = highest + math.log(sum(math.exp(logit - highest) for logit in others))
    data["fusion"] |= {"unlisted": round(unlisted, DECIMALS), "unlisted_actions": len(others)}


def _pictures(clip: ClipFrames) -> dict[str, Any]:
    """The poster and the frames the model read, side by side."""
    height, width = clip.images.shape[1:3]
    poster = resized(clip.images[:1], max(1, round(POSTER_WIDTH * height / width)), POSTER_WIDTH)[0]
    small = resized(clip.images, max(1, round(STRIP_WIDTH * height / width)), STRIP_WIDTH)
    side_by_side = small.transpose(1, 0, 2, 3).reshape(small.shape[1], -1, 3)
    return {
        "poster": webp(poster),
        "strip": {"src": webp(side_by_side), "times_s": [round(time, 3) for time in clip.times_s.tolist()]},
    }


def _first_shown(explanation: Explanation) -> float:
    """The start of the strongest reason, or of the clip."""
    by_name = {movement.name: movement for movement in explanation.movements}
    spans = [s for reason in explanation.reasons[:1] for s in by_name[reason.movements[0]].spans if s.strength >= SEEN]
    return round(spans[0].start_s, 3) if spans else 0.0


def write_explanation(folder: Path, explanation: Explanation, taken: set[str]) -> Path:
    """Write the page of a clip into a folder, named after the clip; clips of one name are numbered.

    Args:
        folder: which may be there already.
        explanation: of the clip.
        taken: names in use, to which this one is added.

    Returns:
        The page's path.
    """
    stem = re.sub(r"[^\w.\-]+", "-", printable(Path(explanation.file).stem), flags=re.ASCII)[:100] or "clip"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    file = folder / f"{name}.html"
    write_page(file, explanation_page(explanation))
    return file
