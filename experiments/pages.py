"""Makes the tables of docs/results.md and of the README from runs of `python -m experiments`.

    python -m experiments.pages DIR...     keep what is shown of these runs in docs/generated, then write both pages
    python -m experiments.pages            write both pages from what is kept
    python -m experiments.pages --check    say whether they are as what is kept makes them

Between the markers `<!-- results: NAME -->` and `<!-- end of results -->` nothing is written by hand; outside of
them everything is.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.arms import BASELINES
from experiments.baselines import PIPELINE
from experiments.family import CLIP_ONLY, KG_CLIP
from experiments.kept import TABLES, Kept, keep, load
from experiments.presets import PRESETS
from experiments.protocol import FIRST_UNTOUCHED_SEED
from experiments.tables import difference_of, duration, mean_of, name_of, table

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/results.md", "README.md")
END = "<!-- end of results -->"
NOTHING = "No results of this are kept."
_BLOCK = re.compile(rf"<!-- results: ([a-z-]+) -->\n.*?{END}", re.DOTALL)
# Experiments that are shown arm by arm, all data sets side by side, and their metrics.
SIDE_BY_SIDE = {
    "unseen": ("novel_top1", "generalized_harmonic_mean"),
    "pose-unseen": ("novel_top1",),
    "controls": ("top1",),
    "ablation": ("top1",),
}

# Experiments of many points, whose arms are shown with their means alone.
ARM_BY_ARM = ("few-labels", "pose")
# Those that are tested with several numbers of frames.
BY_FRAMES = (
    "fine-tuning",
    "fine-tuning-all-labels",
    "fine-tuning-new-look",
    "fine-tuning-new-look-all-labels",
    "fine-tuning-parts",
)


@dataclass(frozen=True)
class Condition:
    """A row of the overview: one point of one experiment, tested with T frames (None: any)."""

    name: str
    preset: str
    point: str
    frames: int | None = None
    in_readme: bool = False


CONDITIONS = (
    *(
        Condition(f"labels on {n} %", "few-labels", f"labels on {n} %", in_readme=n in (10, 20))
        for n in (5, 10, 20, 40)
    ),
    *(Condition(f"{n} % of the clips", "little-data", f"data {n} %") for n in (10, 20)),
    Condition("all clips and labels", "little-data", "data 100 %", in_readme=True),
    *(Condition(f"T = {n}", "few-frames", "trained with 8 frames", n) for n in (1, 2, 4, 16)),
    *(Condition(f"labels on {n} %", "pose", f"labels on {n} %", in_readme=n == 10) for n in (10, 20)),
    *(Condition(f"{n} % of the clips", "pose", f"data {n} %", in_readme=n == 10) for n in (10, 20)),
    Condition("all clips and labels", "pose", "data 100 %", in_readme=True),
)


def overview(results: Sequence[Kept]) -> str:
    """One table a data set: KG-CLIP against the plain pipeline and against the strongest baseline without a graph."""
    header = ("top-1, %", PIPELINE, CLIP_ONLY, "strongest without graph", KG_CLIP)
    header += ("minus pipeline", "minus strongest", f"the same, seeds from {FIRST_UNTOUCHED_SEED}")
    parts = []
    for data in data_of(results):
        rows = [row for condition in CONDITIONS if (row := _condition_row(results, data, condition)) is not None]
        if rows:
            parts += [f"### {title(data)}", table(header, rows)]
    return "\n\n".join(parts) or NOTHING


def _condition_row(results: Sequence[Kept], data: str, condition: Condition) -> list[str] | None:
    of = rows_of(results, data, condition)
    if KG_CLIP not in of:
        return None
    name = strongest(of)
    best = of.get(name or "")
    return [
        condition.name,
        *(mean_of(of.get(arm)) for arm in (PIPELINE, CLIP_ONLY)),
        f"{mean_of(best)} ({name})",
        mean_of(of[KG_CLIP]),
        difference_of(of.get(PIPELINE), turned=True),
        difference_of(best, turned=True),
        difference_of(best, turned=True, of="untouched"),
    ]


def rows_of(results: Sequence[Kept], data: str, condition: Condition) -> dict[str, dict[str, Any]]:
    """The rows of all arms under a condition; none where it was not run."""
    kept = next((kept for kept in results if (kept.data, kept.preset) == (data, condition.preset)), None)
    return {} if kept is None else kept.rows("top1", condition.point, condition.frames)


def strongest(rows: dict[str, dict[str, Any]]) -> str | None:
    """The baseline of the highest mean."""
    return max((arm for arm in rows if arm in BASELINES), key=lambda arm: rows[arm]["mean"], default=None)


def readme(results: Sequence[Kept]) -> str:
    """Few rows: each data set with few labels and with all."""
    rows = []
    for data in data_of(results):
        for condition in (condition for condition in CONDITIONS if condition.in_readme):
            of = rows_of(results, data, condition)
            if KG_CLIP in of:
                name = strongest(of) or ""
                figures = [mean_of(of.get(PIPELINE)), f"{mean_of(of.get(name))} ({name})", mean_of(of[KG_CLIP])]
                figures.append(difference_of(of.get(name), turned=True))
                rows.append([f"{title(data)}, {condition.name}", *figures])
    header = ("top-1, %", PIPELINE, "strongest without graph", KG_CLIP, "KG-CLIP minus strongest")
    return table(header, rows) if rows else NOTHING


def side_by_side(results: Sequence[Kept], preset: str) -> str:
    """All arms of an experiment: mean and difference on each data set."""
    kept = [one for one in results if one.preset == preset]
    if not kept:
        return NOTHING
    metrics, experiment = SIDE_BY_SIDE[preset], PRESETS[preset]
    points = [point.name for point in experiment.points]
    columns = [(one, metric, point) for one in kept for metric in metrics for point in points]
    cells = {column: column[0].rows(*column[1:]) for column in columns}
    header = ["%"]
    for one, metric, point in columns:
        what = name_of(metric) if len(metrics) > 1 else point
        header += [f"{title(one.data)}: {what}", "difference"]
    arms = dict.fromkeys(arm for rows in cells.values() for arm in rows)
    lines = [
        [arm, *(cell(rows.get(arm)) for rows in cells.values() for cell in (mean_of, difference_of))] for arm in arms
    ]
    return f"Differences: minus {experiment.against}.\n\n{table(header, lines)}"


def by_frames(results: Sequence[Kept], preset: str) -> str:
    """Means of all arms of an experiment at every number of frames in the test, its points below each other."""
    parts, experiment = [], PRESETS[preset]
    for kept in (kept for kept in results if kept.preset == preset):
        for point in experiment.points:
            of = {frames: kept.rows("top1", point.name, frames) for frames in point.test_frames}
            trained = of[point.frames]
            lines = [
                [arm, *(mean_of(rows.get(arm)) for rows in of.values()), difference_of(row)]
                for arm, row in trained.items()
            ]
            frames = [f"T = {number}" for number in of]
            header = (f"{point.name}, top-1, %", *frames, f"T = {point.frames}: minus {experiment.against}")
            parts.append(table(header, lines))
    return "\n\n".join(parts) or NOTHING


def arm_by_arm(results: Sequence[Kept], preset: str) -> str:
    """Means of all arms of an experiment at every point, the data sets below each other."""
    parts = []
    for kept in (kept for kept in results if kept.preset == preset):
        points = [point.name for point in PRESETS[preset].points]
        of = {point: kept.rows("top1", point) for point in points}
        arms = dict.fromkeys(arm for rows in of.values() for arm in rows)
        lines = [[arm, *(mean_of(rows.get(arm)) for rows in of.values())] for arm in arms]
        best = [(rows, strongest(rows)) for rows in of.values()]
        named = [f"{difference_of(rows.get(name or ''), turned=True)} ({name})" for rows, name in best]
        lines.append(["KG-CLIP minus strongest without graph", *named])
        parts.append(table((f"{title(kept.data)}, top-1, %", *points), lines))
    return "\n\n".join(parts) or NOTHING


def runs(results: Sequence[Kept], page: Path) -> str:
    """Where all tables of every experiment lie, and what it took."""
    rows = [
        [
            f"[{title(kept.data)}, {kept.preset}]({(kept.folder / TABLES).relative_to(page.parent)})",
            *(str(kept.source[name]) for name in ("seeds", "cells")),
            duration(kept.source["cells_s"]),
            ", ".join(kept.source["commits"]),
        ]
        for kept in results
    ]
    header = ("all tables", "seeds", "cells", "time of all cells", "commits of the cells")
    return table(header, rows) if rows else NOTHING


def data_of(results: Sequence[Kept]) -> list[str]:
    """The data sets in their order."""
    return list(dict.fromkeys(kept.data for kept in results))


def title(data: str) -> str:
    """A data set's name as a heading."""
    return data[:1].upper() + data[1:]


def blocks(results: Sequence[Kept], page: Path) -> dict[str, str]:
    """All parts by the name that their markers have; files are linked as seen from ``page``."""
    return {
        "overview": overview(results),
        "readme": readme(results),
        **{preset: arm_by_arm(results, preset) for preset in ARM_BY_ARM},
        **{preset: side_by_side(results, preset) for preset in SIDE_BY_SIDE},
        **{preset: by_frames(results, preset) for preset in BY_FRAMES},
        "runs": runs(results, page),
    }


def filled(text: str, parts: dict[str, str]) -> str:
    """A page with its blocks filled.

    Raises:
        ValueError: a marker names no block, or has no end.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in parts:
            raise ValueError(f"<!-- results: {name} -->: there is no such block; choose one of {', '.join(parts)}")
        if "<!-- results:" in match[0][1:]:
            raise ValueError(f"<!-- results: {name} -->: has no {END}; write it before the next marker")
        return f"<!-- results: {name} -->\n{parts[name]}\n{END}"

    return _BLOCK.sub(fill, text)


def make_pages(root: Path) -> dict[Path, str]:
    """Both pages as what is kept makes them."""
    parts = blocks(load(root / "docs" / "generated"), root / "docs" / "results.md")
    return {root / page: filled((root / page).read_text(), parts) for page in PAGES}


@dataclass(frozen=True)
class Results:
    """Make the tables of docs/results.md and of the README.

    Attributes:
        runs: folders that `python -m experiments --out` wrote, of one experiment or of all; what is kept of other
            experiments stays.
        check: write nothing; say whether the pages are up to date.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    check: bool = False


def main(options: Results, root: Path = ROOT) -> int:
    """Keep, write or check; 1 where a page is not as it should be."""
    if options.check:
        stale = [page for page, text in make_pages(root).items() if page.read_text() != text]
        for page in stale:
            print(f"{page}: differs from docs/generated between its markers; run python -m experiments.pages")
        return int(bool(stale))
    if options.runs:
        keep(options.runs, root / "docs" / "generated")
    for page, text in make_pages(root).items():
        page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Results)))
