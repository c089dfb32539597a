"""One self-contained HTML page with the results of a demonstration."""

import base64
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from kgclip.files import atomic_path
from kgclip.report.figures import confusion_figure, new_figure
from kgclip.video.cut import video_at
from kgclip.video.frames import read_clip

TEMPLATE = "demo.html.j2"
ARMS = {
    "clip_only": "CLIP only",
    "kg_clip": "KG-CLIP",
    "kg_clip_pose": "KG-CLIP, poses read too",
    "few_labels_clip_only": "CLIP only, 20 % of the labels",
    "few_labels_kg_clip": "KG-CLIP, 20 % of the labels",
}


def write_page(
    file: Path,
    summary: dict[str, Any],
    graph: dict[str, Any],
    reports: dict[str, dict[str, Any]],
    examples: tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]],
    actions: Sequence[str],
) -> None:
    """Write the page, pictures inside it.

    Args:
        file: to write.
        summary: what ``summary.json`` holds.
        graph: counts and findings.
        reports: evaluation of each arm, with ``top1_by_frames``: its accuracy by frames in the test.
        examples: predictions, each with its ``truth`` and the ``page`` that explains it: of clips of unseen actions,
            and of any clips.
        actions: names, in the order of the confusion matrix.
    """
    from jinja2 import Environment

    source = files("kgclip.report").joinpath(TEMPLATE).read_text()
    of_unseen, of_all = (
        [example | {"frames": _png(_frames_figure(example["file"]))} for example in chosen] for chosen in examples
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(
        summary=summary,
        graph=graph,
        arms={name: (label, reports[name]) for name, label in ARMS.items()},
        of_unseen=of_unseen,
        examples=of_all,
        by_frames=_png(_frames_seen_figure(reports)),
        confusion=_png(confusion_figure(reports["kg_clip"]["recognized_as"], actions)),
    )
    with atomic_path(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _frames_figure(file: str) -> Any:
    clip = read_clip(video_at(file), 6)
    figure = new_figure(12.0, 2.0)
    for axes, frame, time_s in zip(figure.subplots(1, 6), clip.images, clip.times_s, strict=True):
        axes.imshow(frame)
        axes.set_title(f"{time_s:.2f} s", fontsize=9)
        axes.axis("off")
    return figure


def _frames_seen_figure(reports: dict[str, dict[str, Any]]) -> Any:
    figure = new_figure(8.0, 3.0)
    axes = figure.add_subplot()
    accuracy: dict[int, float] = {}
    for name, label in ARMS.items():
        accuracy = reports[name]["top1_by_frames"]
        axes.plot(list(accuracy), [100 * value for value in accuracy.values()], marker="o", label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(accuracy), [str(frames) for frames in accuracy])
    axes.set_xlabel("frames in the test (8 in training)")
    axes.set_ylabel("test top-1, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
