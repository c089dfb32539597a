"""`kgclip evaluate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json, print_table, say, short
from kgclip.errors import KgclipError

# Figures of a report and the columns they are printed in; all columns of one table do not fit a terminal.
ACCURACY = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class", "macro_f1": "macro F1"}
CALIBRATION = {"ece": "calibration error", "aurc": "area under risk-coverage"}


@dataclass(frozen=True)
class EvaluateCommand:
    """Measure a model on clips it never saw: accuracy, macro F1, calibration; of the score and of each part alone.

    Examples:

      kgclip evaluate model --data figures

      kgclip evaluate model --data figures --frames 1 2 4 8 16 --out results

      kgclip evaluate model --data figures --html pages
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    data: Path
    """data set that holds the clips"""
    part: Literal["test", "val"] | None = None
    """default: the test part, or where there is none the validation part"""
    features: Path | None = None
    """cached features in place of pixels"""
    keypoints: Path | None = None
    """keypoints.parquet of these clips by `kgclip annotate`, for a model that reads pose"""
    frames: tuple[int, ...] = ()
    """frames a clip, one or several numbers; default: as in training"""
    workers: int = 2
    """processes that decode"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""
    out: Path | None = None
    """folder to write, with report.json and confusion.png"""
    html: Path | None = None
    """folder to write, with evaluation.html and the explanation of every clip, each a single file"""
    json: Switch = False
    """print one JSON object"""


def evaluate(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(EvaluateCommand, argv, "evaluate")
    if any(frames < 1 for frames in command.frames):
        raise KgclipError(f"--frames {min(command.frames)}: needs at least one frame; give numbers from 1")
    from kgclip.engine.checkpoint import Checkpoint, choose_device
    from kgclip.engine.evaluate import evaluate as run_evaluation
    from kgclip.engine.evaluate import open_evaluation
    from kgclip.locks import claim_output

    if command.out is not None:
        claim_output(command.out)
    if command.html is not None:
        claim_output(command.html, "--html")
    device = choose_device(command.device)
    checkpoint = Checkpoint.load(command.model)
    evaluation = open_evaluation(checkpoint, command.data, command.part, command.features, command.keypoints)
    results = [
        run_evaluation(checkpoint, evaluation, frames=frames, workers=command.workers, device=device)
        for frames in command.frames or (checkpoint.config.frames,)
    ]
    reports = [report for report, _ in results]
    # With several numbers of frames, the figures at the top are those of the most frames.
    report = max(reports, key=lambda r: r["frames"])
    if len(reports) > 1:
        keys = ("frames", *ACCURACY, *CALIBRATION, "parts", "output", "ms_per_clip")
        report |= {"by_frames": [{key: r[key] for key in keys} for r in reports]}
    if command.out is not None:
        _write(command.out, report, checkpoint.actions)
    if command.html is not None:
        from kgclip.report.evaluation_page import write_evaluation

        scores = {r["frames"]: score for r, score in results}
        write_evaluation(command.html, checkpoint, evaluation, scores, report["frames"])
    if command.json:
        print_json(report)
    else:
        _print(report, reports)
    return 0


def _write(out: Path, report: dict[str, Any], actions: Sequence[str]) -> None:
    from kgclip.files import atomic_folder, write_json
    from kgclip.report.figures import confusion_figure

    with atomic_folder(out) as temporary:
        write_json(temporary / "report.json", report)
        confusion_figure(report["recognized_as"], actions).savefig(temporary / "confusion.png", dpi=130)


def _print(report: dict[str, Any], reports: list[dict[str, Any]]) -> None:
    per_class = report["per_class"].items()
    print_table("per class", ("action", "accuracy", "clips"), [(n, v["accuracy"], v["clips"]) for n, v in per_class])
    rows = [
        (
            r["frames"],
            *(r[figure] for figure in ACCURACY),
            *(r["parts"][part] for part in ("mm", "tri", "pose", "path")),
            r["ms_per_clip"],
        )
        for r in reports
    ]
    columns = ("frames", *ACCURACY.values(), "S_mm", "S_tri", "pose alone", "path alone", "ms a clip")
    print_table(f"{report['num_clips']} clips", columns, rows)
    rows = [(r["frames"], *(r[figure] for figure in CALIBRATION)) for r in reports]
    print_table("stated probabilities", ("frames", *CALIBRATION.values()), rows)
    unknown = report["unknown"]
    if unknown is not None:
        right, passed, held = (f"{unknown[k]:.1%}" for k in ("answered_top1", "false_accept", "false_reject"))
        say(
            f"unknown below {unknown['below']:.1%}: answers {unknown['coverage']:.1%} of the clips, {right} of them "
            f"right; {passed} of the wrong first guesses pass, {held} of the right ones are held back"
        )
    hashes = (f"{what} {short(report[f'{what}_hash'])}" for what in ("split", "graph", "model"))
    say(", ".join(hashes))
