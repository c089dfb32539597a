"""`kgclip metrics psc`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tyro.conf import Positional

from kgclip.cli.output import parse, print_json, print_table


@dataclass(frozen=True)
class PscCommand:
    """Score a Kinetics-TPS submission as the official evaluator does, with plain top-1 beside it.

    Examples:

      kgclip metrics psc submission.zip Kinetics-TPS/train_annotations

      kgclip metrics psc submission.zip annotations --labels labels.csv --json
    """

    submission: Positional[Path]
    """zip file with pred_vid_result.json and pred_part_result.json"""
    annotations: Positional[Path]
    """folder [<class>/]<video>/img_00001.json"""
    labels: Path | None = None
    """CSV of video,label; default: the class folders of the annotations"""
    json: bool = False
    """print one JSON object"""


def psc(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(PscCommand, argv, "metrics psc")
    from kgclip.engine.psc import evaluate_submission

    report = evaluate_submission(command.submission, command.annotations, command.labels)
    if command.json:
        print_json(asdict(report))
        return 0
    rows = [
        ("official score: accuracy conditioned on PSC", f"{report.score:.6f}"),
        ("plain top-1, another quantity", f"{report.top1:.6f}"),
        ("mean PSC", f"{report.mean_psc:.6f}"),
    ]
    print_table(f"{report.num_videos} videos, {report.num_frames} frames", ("metric", "value"), rows)
    return 0
