"""One self-contained HTML page with the results of a demonstration."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.engine.explanation import Explanation
from kgclip.report.compose import render, write_page
from kgclip.report.figures import confusion_figure, new_figure
from kgclip.report.pictures import side_by_side, webp
from kgclip.video.cut import video_at
from kgclip.video.frames import read_clip

# Of a clip, so many are shown, so wide.
FRAMES, FRAME_WIDTH = 5, 128
ARMS = {
    "clip_only": "CLIP only",
    "kg_clip": "KG-CLIP",
    "kg_clip_pose": "KG-CLIP, poses read too",
    "few_labels_clip_only": "CLIP only, 20 % of the labels",
    "few_labels_kg_clip": "KG-CLIP, 20 % of the labels",
}


@dataclass(frozen=True)
class Example:
    """A clip of the demonstration that is explained.

    Attributes:
        truth: its label.
        page: of the explanation, relative to the demonstration's.
    """

    explanation: Explanation
    truth: str
    page: str


def write_report(
    file: Path,
    summary: dict[str, Any],
    graph: dict[str, Any],
    reports: dict[str, dict[str, Any]],
    examples: tuple[Sequence[Example], Sequence[Example]],
    actions: Sequence[str],
) -> None:
    """Write the page, pictures inside it.

    Args:
        file: to write.
        summary: what ``summary.json`` holds.
        graph: counts and findings.
        reports: evaluation of each arm, with ``top1_by_frames``: its accuracy by frames in the test.
        examples: of clips of unseen actions, and of any clips.
        actions: names, in the order of the confusion matrix.
    """
    of_unseen, of_all = ([_card(example) for example in chosen] for chosen in examples)
    page = render(
        "demo",
        title="Demonstration",
        summary=summary,
        graph=graph,
        arms=[(label, reports[name]) for name, label in ARMS.items()],
        of_unseen=of_unseen,
        examples=of_all,
        by_frames=_png(_frames_seen_figure(reports)),
        confusion=_png(confusion_figure(reports["kg_clip"]["recognized_as"], actions)),
    )
    write_page(file, page)


def _card(example: Example) -> dict[str, Any]:
    """What the page says of a clip."""
    explanation = example.explanation
    first = explanation.actions[0]
    reasons = " and ".join(reason.text for reason in explanation.reasons)
    return {
        "answer": first.action,
        "probability": f"{first.probability:.0%}".replace("%", " %"),
        "unknown": explanation.unknown,
        "right": first.action == example.truth,
        "truth": example.truth,
        "why": reasons and f"Because {reasons}",
        "page": example.page,
        "picture": webp(side_by_side(read_clip(video_at(explanation.file), FRAMES).images, FRAME_WIDTH)),
    }


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


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
