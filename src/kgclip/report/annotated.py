"""Frames of a film with what was read in them: the action, its probability, and people's joints."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from kgclip.data.wording import printable
from kgclip.engine.watch import Shown
from kgclip.pose.skeleton import ANKLES, ELBOWS, HIPS, KNEES, KNOWN_SCORE, SHOULDERS, WRISTS
from kgclip.pose.tracks import box_of

# Colors of the explanation's page: left, right, trunk.
LEFT, RIGHT, TRUNK, OUTLINE = (86, 180, 233), (230, 159, 0), (255, 255, 255), (11, 13, 16)
_PAIRS = ((SHOULDERS, ELBOWS), (ELBOWS, WRISTS), (HIPS, KNEES), (KNEES, ANKLES))
BONES = (
    *((start[side], end[side], color) for start, end in _PAIRS for side, color in enumerate((LEFT, RIGHT))),
    (SHOULDERS[0], SHOULDERS[1], TRUNK),
    (HIPS[0], HIPS[1], TRUNK),
    *((SHOULDERS[side], HIPS[side], TRUNK) for side in (0, 1)),
)


def annotated(shown: Shown) -> UInt8[np.ndarray, "H W 3"]:
    """The frame with the label at its lower edge and the joints that are known."""
    picture = Image.fromarray(shown.image)
    draw = ImageDraw.Draw(picture, "RGBA")
    size = max(11, picture.height // 18)
    labelled = {label.person for label in shown.labels}
    several = len(labelled) > 1
    for row, joints in enumerate(shown.people):
        for start, end, color in BONES:
            if min(joints[start, 2], joints[end, 2]) >= KNOWN_SCORE:
                line = [tuple(joints[joint, :2].tolist()) for joint in (start, end)]
                draw.line(line, fill=OUTLINE, width=max(3, size // 4))
                draw.line(line, fill=color, width=max(1, size // 8))
        if several and shown.numbers[row] in labelled:
            left, top, right, _ = box_of(joints)
            x, y = (left + right) / 2 - size / 3, max(0, top - size * 1.4)
            draw.text(
                (x, y), str(shown.numbers[row]), font=_font(size), fill=TRUNK, stroke_width=2, stroke_fill=OUTLINE
            )
    if shown.labels:
        lines = [
            f"{f'{label.person}: ' if several else ''}{printable(label.action)}  {label.probability:.0%}"
            for label in shown.labels
        ]
        top = picture.height - len(lines) * (size + size // 4) - size // 4
        draw.rectangle((0, top, picture.width, picture.height), fill=(*OUTLINE, 170))
        for number, text in enumerate(lines):
            draw.text((size // 2, top + size // 8 + number * (size + size // 4)), text, font=_font(size), fill=TRUNK)
    return np.asarray(picture)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """A font that knows most letters, which comes with matplotlib."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
