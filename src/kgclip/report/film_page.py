"""The page of a watched film: when each action was seen, with pictures and reasons."""

import os
import re
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


class FilmPage:
    """Collects the spans of a film, as small as the page will show them, and no more of them than it will."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[dict[str, Any]] = []

    def add(self, span: ActionSpan) -> None:
        """Take the next span."""
        self.count += 1
        if self.count > MOST_SPANS:
            return
        values = span.to_json()
        values["movements"] = [[m["movement"], m["contribution"]] for m in values["movements"]]
        if span.picture is not None:
            height, width = span.picture.shape[:2]
            size = max(1, PICTURE_WIDTH * height // width), PICTURE_WIDTH
            values["picture"] = webp(resized(span.picture[None], *size)[0])
        self._rows.append(values)

    def text(self, watcher: Watcher, file: Path | None, folder: Path) -> str:
        """The page.

        Args:
            watcher: that has found the spans.
            file: of the film; None for live video.
            folder: where the page will lie, from which it links to the film.
        """
        order = sorted(self._rows, key=lambda row: -row["probability"])
        surest = {id(row) for row in order[:MOST_PICTURES]}
        rows = [row if id(row) in surest else {k: v for k, v in row.items() if k != "picture"} for row in self._rows]
        inside = file is not None and watcher.watched_s <= LONGEST_INSIDE_S
        data: dict[str, Any] = {
            "format": "kgclip.film/1",
            "film": {
                "name": printable(watcher.name if file is None else file.name),
                "duration_s": round(watcher.watched_s, 3),
                "video": data_address("video/mp4", preview(file)) if file is not None and inside else None,
                "link": None if file is None else _link(file, folder),
            },
            "spans": rows,
            "unlisted": self.count - len(rows),
            "rule": {
                "window_s": round(watcher.plan.window_s, 3),
                "step_s": round(watcher.plan.step_s, 3),
                "enter": round(watcher.rule.enter, 4),
                "leave": round(watcher.rule.leave, 4),
            },
            "provenance": provenance(watcher.recognizer.checkpoint),
        }
        return compose("film", "Watched film", data)

    def write(self, page: Path, watcher: Watcher, file: Path | None) -> None:
        """Write the page; `file` is the film, None for live video."""
        write_page(page, self.text(watcher, file, page.parent))


def _link(file: Path, folder: Path) -> str | None:
    """The film's address from the page's folder; None where it would not be a plain one below or beside it."""
    link = quote(os.path.relpath(file.resolve(), folder.resolve()))
    return link if re.fullmatch(r"[\w.\-/%]+", link, re.ASCII) else None
