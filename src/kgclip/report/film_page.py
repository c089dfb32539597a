"""The page of a watched film: when each action was seen, with pictures and reasons."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kgclip.data.wording import printable
from kgclip.engine.provenance import provenance
from kgclip.engine.watch import ActionSpan, Watcher
from kgclip.report.compose import compose, write_page
from kgclip.report.pictures import data_address, resized, webp
from kgclip.video.preview import preview

PICTURE_WIDTH = 112
# Of longer films the page has a link to the file in place of the video.
LONGEST_INSIDE_S = 60.0
# Of more spans the surest have a picture; the page has the first of so many.
MOST_PICTURES, MOST_SPANS = 200, 3000


def film_page(watcher: Watcher, spans: Sequence[ActionSpan], file: Path | None, folder: Path) -> str:
    """The page as text.

    Args:
        watcher: that has found the spans.
        spans: in order of time.
        file: of the film; None for live video.
        folder: where the page will lie, from which it links to the film.
    """
    shown = spans[:MOST_SPANS]
    surest = {id(span) for span in sorted(shown, key=lambda span: -span.probability)[:MOST_PICTURES]}
    inside = file is not None and watcher.watched_s <= LONGEST_INSIDE_S
    data: dict[str, Any] = {
        "format": "kgclip.film/1",
        "film": {
            "name": printable(Path(watcher.name).name if file is not None else watcher.name),
            "duration_s": round(watcher.watched_s, 3),
            "video": data_address("video/mp4", preview(file)) if file is not None and inside else None,
            "link": None if file is None else _link(file, folder),
        },
        "spans": [_span(span, picture=id(span) in surest) for span in shown],
        "unlisted": len(spans) - len(shown),
        "rule": {
            "window_s": round(watcher.plan.window_s, 3),
            "step_s": round(watcher.plan.step_s, 3),
            "enter": round(watcher.rule.enter, 4),
            "leave": round(watcher.rule.leave, 4),
        },
        "provenance": provenance(watcher.recognizer.checkpoint),
    }
    return compose("film", "Watched film", data)


def write_film_page(page: Path, watcher: Watcher, spans: Sequence[ActionSpan], file: Path | None) -> None:
    """Write the page."""
    write_page(page, film_page(watcher, spans, file, page.parent))


def _span(span: ActionSpan, *, picture: bool) -> dict[str, Any]:
    values = span.to_json()
    values["movements"] = [[m["movement"], m["contribution"]] for m in values["movements"]]
    if picture and span.picture is not None:
        height, width = span.picture.shape[:2]
        values["picture"] = webp(resized(span.picture[None], max(1, PICTURE_WIDTH * height // width), PICTURE_WIDTH)[0])
    return values


def _link(file: Path, folder: Path) -> str | None:
    """The film's address from the page's folder; None where it would not be a plain one below or beside it."""
    link = quote(os.path.relpath(file.resolve(), folder.resolve()))
    return link if re.fullmatch(r"[\w.\-/%]+", link, re.ASCII) else None
