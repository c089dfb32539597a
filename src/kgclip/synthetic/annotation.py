"""Kinetics-TPS annotations of synthetic clips, read off the true geometry."""

import numpy as np
from jaxtyping import Float32

from kgclip.kg.movement import PARTS
from kgclip.synthetic.actions import options
from kgclip.synthetic.clip import SyntheticClip
from kgclip.synthetic.figure import BODY_PARTS, SLOTS, Figure, slot_columns
from kgclip.synthetic.vocabulary import on_disk

_LEAST_VISIBLE = 0.35  # of a part's area, else an annotator would leave it out
_LEAST_HUMAN = 0.1
_CADENCES = ("every fifth", "dense", "two", "irregular")
_CADENCE_SHARES = (0.6, 0.12, 0.1, 0.18)
_EMPTY_FRAMES = 0.02  # share of annotated frames in which nobody was marked


def _boxes(figure: Figure, columns: list[int], size: tuple[int, int]) -> list[list[int]]:
    """Enclose capsules, drawn or not visible, in pixels of each frame: left, top, right, bottom, inclusive."""
    height, width = size
    ends = np.stack([figure.start[:, columns], figure.end[:, columns]]) * height + np.array([width / 2, 0])
    radius = figure.radius[:, columns, None] * height
    low = np.where(radius > 0, ends.min(axis=0) - radius, np.inf).min(axis=1)
    high = np.where(radius > 0, ends.max(axis=0) + radius, -np.inf).max(axis=1)
    edges = np.concatenate([np.ceil(low - 0.5), np.floor(high - 0.5)], axis=1)
    return np.clip(edges, 0, [width - 1, height - 1] * 2).astype(int).tolist()


def _full_area(figure: Figure, columns: list[int], height: int) -> Float32[np.ndarray, " T"]:
    radius = figure.radius[:, columns] * height
    length = np.linalg.norm(figure.end[:, columns] - figure.start[:, columns], axis=-1) * height
    return (np.pi * radius**2 + 2 * radius * length).sum(axis=1)


def annotated_frames(rng: np.random.Generator, frames: int) -> list[int]:
    """Draw which frames of a clip are annotated, 0-based: often every fifth, sometimes dense, sometimes only two."""
    cadence = rng.choice(_CADENCES, p=_CADENCE_SHARES)
    if cadence == "every fifth":
        return list(range(0, frames, 5))
    if cadence == "dense":
        first = int(rng.integers(0, frames // 2))
        return list(range(first, min(first + frames // 2, frames)))
    count = 2 if cadence == "two" else max(2, frames // 6)
    return sorted(int(frame) for frame in rng.choice(frames, size=min(count, frames), replace=False))


def _object_boxes(figure: Figure, part: str, size: tuple[int, int]) -> list[list[int]]:
    """Enclose a part's object; where left and right share one, the left part's capsules draw it."""
    columns = slot_columns(part)
    if np.all(figure.radius[:, columns] <= 0):
        columns = slot_columns(part.replace("right", "left"))
    return _boxes(figure, columns, size)


def annotate(clip: SyntheticClip, rng: np.random.Generator) -> dict[int, dict]:
    """Annotate a clip: 1-based image index -> the content of its JSON file.

    A part that is mostly hidden or outside is left out, as is a third of the others, at random. Boxes are inclusive
    pixels inside the image.
    """
    figure, visible, size = clip.rendering.figure, clip.rendering.visible, clip.rendering.frames.shape[1:3]
    columns = {part: [i for i, name in enumerate(BODY_PARTS) if name == part] for part in PARTS}
    columns["human"] = list(range(len(BODY_PARTS)))
    boxes = {name: _boxes(figure, own, size) for name, own in columns.items()}
    shown = {name: visible[:, own].sum(axis=1) / _full_area(figure, own, size[0]) for name, own in columns.items()}
    doings = {part: options(part)[code] for part, code in zip(PARTS, clip.codes, strict=True)}
    things = {part: _object_boxes(figure, part, size) for part in SLOTS if doings[part][1]}
    willing = rng.uniform(0.4, 1.0, len(PARTS))
    images = {}
    for frame in annotated_frames(rng, len(clip.moving)):
        chosen = rng.random(len(PARTS)) < willing
        if rng.random() < _EMPTY_FRAMES or shown["human"][frame] < _LEAST_HUMAN:
            images[frame + 1] = {"humans": []}
            continue
        parts: dict[str, dict] = {}
        for column, part in enumerate(PARTS):
            if not chosen[column] or shown[part][frame] < _LEAST_VISIBLE:
                continue
            state, thing = doings[part] if clip.moving[frame, column] else ("none", None)
            record = {
                "number": len(parts) + 1,
                "name": on_disk(part),
                "box": boxes[part][frame],
                "verb": on_disk(state),
            }
            if thing is not None:
                record |= {"obj_class": on_disk(thing), "obj_bbox": things[part][frame]}
            parts[on_disk(part)] = record
        images[frame + 1] = {"humans": [{"number": 1, "box": boxes["human"][frame], "parts": parts}]}
    return images
