"""The generated parts of the results page and of the README, as Markdown."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments import arms
from experiments.arms import CLIP_ONLY, KG_CLIP, PARSINGS_GIVEN
from experiments.cells import CHOSEN_ON_TEST
from experiments.kept import CALIBRATION, DETAILED, LINKS, MOVEMENTS, TIMED, Kept
from experiments.plots import LATENCY
from experiments.presets import PRESETS
from experiments.runner import duration
from experiments.tables import label_of, name_of, provenance_block, scale_of

NONE = "–"
NOTHING = "No results of this are kept."
# Arms that may be the strongest rival: they have no graph.
RIVALS = {*arms.PLAIN, *arms.MOVEMENTS, "novel_name", "novel_text", "novel_captions", "novel_attributes"}
_TITLES = {"jhmdb-tps": "JHMDB-TPS"}
# In the README: what is compared on which data.
_README_DATA = ("synthetic", "jhmdb-tps")
_README = (
    ("labels on 10 %", "few-labels", "labels on 10 %"),
    ("labels on 20 %", "few-labels", "labels on 20 %"),
    ("all labels", "little-data", "data 100 %"),
)


@dataclass(frozen=True)
class Question:
    """Is KG-CLIP ahead of its rivals under one condition?

    Attributes:
        preset, point, frames, metric: the condition; ``frames`` None takes any.
        others: rivals beside the strongest one.
        arm: of ours.
        name: of the condition in the table.
    """

    preset: str
    point: str
    name: str
    frames: int | None = None
    metric: str = "top1"
    others: tuple[str, ...] = ()
    arm: str = KG_CLIP


_PLAIN_RIVALS = (CLIP_ONLY, "multi-label head")
_UNLABELED_RIVALS = (CLIP_ONLY, "pseudo-labels", "multi-label head")
_NOVEL = "half of the actions novel"
QUESTIONS = (
    *(
        Question("few-labels", f"labels on {n} %", f"labels on {n} %, movements on all", others=_UNLABELED_RIVALS)
        for n in (5, 10, 20, 40)
    ),
    *(
        Question("parsings-given", f"labels on {n} %", f"labels on {n} %, parsings given", arm=PARSINGS_GIVEN)
        for n in (5, 10, 20, 40)
    ),
    Question("base-to-novel", _NOVEL, "unseen actions", metric="novel_top1", arm="novel_path"),
    *(Question("little-data", f"data {n} %", f"{n} % of the data", others=_PLAIN_RIVALS) for n in (10, 20)),
    Question("little-data", "data 100 %", "all data and labels", others=_PLAIN_RIVALS),
    *(
        Question("few-frames", "trained with 8 frames", f"{n} of 8 frames in the test", n, others=_PLAIN_RIVALS)
        for n in (1, 2)
    ),
)


def title(data: str) -> str:
    """A data set's name as a heading."""
    return _TITLES.get(data, data[:1].upper() + data[1:])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mean_of(row: dict[str, Any] | None) -> str:
    """Mean ± interval; shares in percent."""
    if row is None:
        return NONE
    text = _scaled(row["metric"], row["mean"])
    return text if row["interval"] is None else f"{text} ± {_scaled(row['metric'], row['interval'])}"


def difference_of(row: dict[str, Any] | None, *, turned: bool = False) -> str:
    """Paired difference ± interval, bold where it is clear of zero; ``turned`` gives the other arm less this one."""
    if row is None or row["difference"] is None:
        return NONE
    difference, half = -row["difference"] if turned else row["difference"], row["difference_interval"]
    text = _scaled(row["metric"], difference, "+")
    if half is not None:
        text += f" ± {_scaled(row['metric'], half)}"
        text = f"**{text}**" if abs(difference) > half else text
    return text + "\\*" * (row["p_holm"] is not None and row["p_holm"] < 0.05)


def _scaled(metric: str, value: float, sign: str = "") -> str:
    scale = scale_of(metric)
    return f"{scale * value:{sign}.{1 if scale == 100 else 2}f}"


def strongest(kept: Kept, question: Question) -> str | None:
    """The rival of the highest mean; None where the condition or a rival is not among the results."""
    rows = kept.rows(question.metric, question.point, question.frames)
    return next((arm for arm in rows if arm in RIVALS), None) if question.arm in rows else None


def questions_block(results: Sequence[Kept]) -> str:
    """One table a data set: KG-CLIP against the strongest rival, and against others that were named beforehand."""
    parts = []
    for data in _data_of(results):
        rows = []
        for kept in (kept for kept in results if kept.data == data and not kept.legacy):
            for question in (question for question in QUESTIONS if question.preset == kept.preset):
                rows += _answers(kept, question)
        if rows:
            header = ("condition", "KG-CLIP", "against", "rival", "KG-CLIP less rival, points")
            parts += [f"### {title(data)}", table(header, rows)]
    return "\n\n".join(parts) or NOTHING


def _answers(kept: Kept, question: Question) -> list[list[str]]:
    best = strongest(kept, question)
    if best is None:
        return []
    rows = kept.rows(question.metric, question.point, question.frames)
    against = {best: f"{best} (strongest)"} | {arm: arm for arm in question.others if arm in rows and arm != best}
    ours = mean_of(rows[question.arm])
    return [
        [question.name, ours, name, mean_of(rows[arm]), difference_of(rows[arm], turned=True)]
        for arm, name in against.items()
    ]


def readme_block(results: Sequence[Kept]) -> str:
    """Few rows: each data set with few labels and with all."""
    by_place = {(kept.data, kept.preset): kept for kept in results if not kept.legacy}
    rows = []
    for data in _README_DATA:
        for name, preset, point in _README:
            kept = by_place.get((data, preset))
            best = None if kept is None else strongest(kept, Question(preset, point, name))
            if kept is not None and best is not None:
                of = kept.rows("top1", point)
                given = by_place.get((data, "parsings-given"))
                known = None if given is None else given.rows("top1", point).get(PARSINGS_GIVEN)
                figures = [mean_of(of.get(CLIP_ONLY)), mean_of(of[KG_CLIP]), difference_of(of[best], turned=True)]
                figures.append(mean_of(known))
                rows.append([f"{title(data)}, {name}", f"{mean_of(of[best])} ({best})", *figures])
    header = ("top-1, %", "strongest without graph", CLIP_ONLY, KG_CLIP, "KG-CLIP less strongest", "parsings given")
    return table(header, rows) if rows else NOTHING


def experiment_block(results: Sequence[Kept], page: Path, preset: str) -> str:
    """All arms of one experiment on every data set: means, differences, plots and provenance."""
    parts = []
    for kept in results:
        if kept.preset == preset and not kept.legacy:
            plots = [f"![{preset}, {kept.data}]({plot.relative_to(page.parent)})" for plot in kept.plots]
            origin = f"{kept.summary['seeds'].max()} seeds. {provenance_block(kept.source)}"
            parts += [f"### {title(kept.data)}", *_tables(kept), *plots, origin]
    return "\n\n".join(parts) or NOTHING


def _tables(kept: Kept) -> list[str]:
    experiment = PRESETS[kept.preset]
    shown = kept.summary.filter(pl.col("metric").is_in(experiment.metrics))
    columns = list(dict.fromkeys(shown.select("metric", "point", "frames").iter_rows()))
    against, of_all = experiment.against, shown["arm"].unique(maintain_order=True).to_list()
    means, differences = _column_names(columns, name_of), _column_names(columns, lambda _: "")
    if len(columns) <= 2:
        header = [part for pair in zip(means, [f"less {against}"] * len(columns), strict=True) for part in pair]
        cells = _cells(kept, columns, of_all, mean_of, difference_of)
        return [table([_unit(experiment.metrics), *header], cells)]
    several = len(experiment.metrics) > 1
    others = [arm for arm in of_all if arm != against]
    parts = [
        table([_unit(experiment.metrics), *means], _cells(kept, columns, of_all, mean_of)),
        table(
            [f"less {against}, points", *(means if several else differences)],
            _cells(kept, columns, others, difference_of),
        ),
    ]
    if kept.preset in TIMED:
        times = [(LATENCY, point, frames) for _, point, frames in columns]
        parts.append(table([label_of(LATENCY), *_column_names(times, name_of)], _cells(kept, times, of_all, mean_of)))
    return parts


def _unit(metrics: Sequence[str]) -> str:
    return label_of(metrics[0]) if len(metrics) == 1 else "%"


def _column_names(columns: Sequence[tuple[str, str, int]], name: Callable[[str], str]) -> list[str]:
    """What tells the columns apart: the metric, the number of frames, or the point."""
    points = {point for _, point, _ in columns}
    if len({metric for metric, _, _ in columns}) > 1:
        return [name(metric) for metric, _, _ in columns]
    return [f"T = {frames}" if len(points) == 1 < len(columns) else point for _, point, frames in columns]


def _cells(
    kept: Kept,
    columns: Sequence[tuple[str, str, int]],
    names: Sequence[str],
    *cells: Callable[[dict[str, Any] | None], str],
) -> list[list[str]]:
    rows = [kept.rows(metric, point, frames) for metric, point, frames in columns]
    return [[arm, *(cell(of.get(arm)) for of in rows for cell in cells)] for arm in names]


def metrics_block(results: Sequence[Kept], metrics: Sequence[str]) -> str:
    """Other metrics of all arms at one point of few labels, one table a data set."""
    preset, point = DETAILED
    parts = []
    for kept in results:
        present = kept.summary.filter(pl.col("metric").is_in(list(metrics)), pl.col("point") == point)
        if kept.preset == preset and not kept.legacy and len(present):
            columns = [metric for metric in metrics if metric in present["metric"]]
            rows = {metric: kept.rows(metric, point) for metric in columns}
            names = present["arm"].unique(maintain_order=True).to_list()
            lines = [[arm, *(mean_of(rows[metric].get(arm)) for metric in columns)] for arm in names]
            parts += [f"### {title(kept.data)}", table([point, *map(_label, columns)], lines)]
    return "\n\n".join(parts) or NOTHING


def _label(metric: str) -> str:
    return label_of(metric).replace("hits", "Hits@")


def legacy_block(results: Sequence[Kept]) -> str:
    """What choosing on the test clips would have given, beside the honest figure."""
    parts = []
    for kept in (kept for kept in results if kept.legacy):
        rows = []
        for point, frames in dict.fromkeys(kept.summary.select("point", "frames").iter_rows()):
            of = kept.rows(PRESETS[kept.preset].metrics[0], point, frames)
            for arm in (arm for arm in of if arm + CHOSEN_ON_TEST in of):
                cheating = of[arm + CHOSEN_ON_TEST]
                gain = _scaled(cheating["metric"], cheating["mean"] - of[arm]["mean"], "+")
                rows.append([f"{point}: {arm}", mean_of(of[arm]), mean_of(cheating), gain])
        header = (f"{title(kept.data)}, top-1, %", "chosen on validation", "chosen on test", "difference of means")
        parts += [table(header, rows), provenance_block(kept.source)]
    return "\n\n".join(parts) or NOTHING


def runs_block(results: Sequence[Kept]) -> str:
    """What every experiment took."""
    rows = [
        [
            f"{title(kept.data)}, {kept.folder.name}",
            str(kept.source["cells"]),
            duration(kept.source["cells_s"]),
            duration(kept.source["wall_s"]),
        ]
        for kept in results
    ]
    cells, wall = (sum(kept.source[name] for kept in results) for name in ("cells_s", "wall_s"))
    count = sum(kept.source["cells"] for kept in results)
    header = ("experiment", "cells", "time of all cells", "wall time of the run")
    return table(header, [*rows, ["together", str(count), duration(cells), duration(wall)]]) if rows else NOTHING


def links_block(file: Path, page: Path) -> str:
    """Link prediction: mean reciprocal ranks; the file has the other metrics."""
    if not file.is_file():
        return NOTHING
    parts = file.read_text().strip().split("\n\n")
    shown = [part for part in parts if re.match(r"## |\| mrr(,| against)", part)]
    whole = f"All metrics: [{file.name}]({file.relative_to(page.parent)}). {parts[-1]}"
    return "\n\n".join([*(f"#{part}" if part.startswith("#") else part for part in shown), whole])


def _data_of(results: Sequence[Kept]) -> list[str]:
    return list(dict.fromkeys(kept.data for kept in results))


def blocks(results: Sequence[Kept], page: Path) -> dict[str, str]:
    """All parts by the name that their markers have; pictures are linked as seen from ``page``."""
    return {
        "questions": questions_block(results),
        "readme": readme_block(results),
        "remedies": experiment_block(results, page, "remedies"),
        **{preset: experiment_block(results, page, preset) for preset in PRESETS},
        "other-metrics": metrics_block(results, CALIBRATION),
        "movements": metrics_block(results, MOVEMENTS),
        "link-prediction": links_block(page.parent / "generated" / LINKS, page),
        "chosen-on-test": legacy_block(results),
        "runs": runs_block(results),
    }
