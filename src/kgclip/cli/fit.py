"""`kgclip fit`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json, say
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.engine.fit import FitEstimate


@dataclass(frozen=True)
class FitCommand:
    """Make a recognizer of your own clips in one call: check, poses, movements, features, graph, training, report.

    The folder then holds the model, the annotations, the features and report.html. What an earlier run has done is
    taken from there.

    Examples:

      kgclip fit clips/ --out fitted --pose movenet_lightning.tflite

      kgclip fit clips/ --out fitted --pose movenet_lightning.tflite --definitions actions.yaml

      kgclip predict fitted/model new.mp4
    """

    clips: Positional[Path]
    """folder of class folders, or a list of videos with labels"""
    out: Path
    """folder to write or to go on with"""
    pose: str | None = None
    """a MoveNet .tflite file, the name or folder of a ViTPose model, or keypoints; without it no pose is read"""
    detector: str | None = None
    """name or folder of the person detector of a ViTPose model"""
    annotations: Path | None = None
    """part annotations of the clips, in place of those that are made from poses"""
    definitions: Path | None = None
    """a YAML file of definitions of actions, or shipped; actions without clips are learned from it alone"""
    backbone: str = "auto"
    """what encodes frames: auto, efficientnet-lite0, synthetic, or the name or folder of a CLIP or SigLIP model"""
    frames: int = 8
    """frames a clip"""
    source_pattern: str | None = None
    """a regular expression whose group `source`, or else its first, is the recording in a clip's id"""
    keep_going: Switch = False
    """skip broken annotations and clips whose frames cannot be encoded, with a warning; files that are no videos are
    refused all the same"""
    workers: int = 2
    """processes that look at clips"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where frames are encoded"""
    dry_run: Switch = False
    """estimate time and memory, and make nothing"""
    json: Switch = False
    """print the summary (or the estimate) as one JSON object"""


def fit(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(FitCommand, argv, "fit")
    if command.frames < 1:
        raise KgclipError(f"--frames {command.frames}: needs at least one frame; give a number from 1")
    if command.detector is not None and command.pose is None:
        raise KgclipError(f"--detector {command.detector}: is of a ViTPose model; give its name with --pose")
    from dataclasses import asdict

    from kgclip.engine.fit import FitOptions, Fitting
    from kgclip.engine.left_out import summarize
    from kgclip.report.fit_page import PAGE, write_report

    fitting = Fitting.open(FitOptions(**{name: getattr(command, name) for name in FitOptions.__dataclass_fields__}))
    estimate = fitting.estimate()
    if command.dry_run:
        print_json(asdict(estimate)) if command.json else say(in_words(estimate))
        return 0
    tell = (lambda _: None) if command.json else say
    tell(in_words(estimate))
    started = time.monotonic()
    checkpoint = fitting.run(tell)
    summary = summarize(checkpoint.left_out)
    write_report(command.out / PAGE, checkpoint, fitting.dataset, fitting.findings)
    if command.json:
        values: dict[str, Any] = {"model": str(checkpoint.config.out), "wall_s": round(time.monotonic() - started, 1)}
        print_json(values | checkpoint.summary | asdict(summary))
        return 0
    say(f"{checkpoint.config.out}: {len(checkpoint.split.train)} clips in {time.monotonic() - started:.0f} s")
    for sentence in summary.sentences(completed=checkpoint.summary["completed_clips"] > 0):
        say(sentence)
    say(f"see {command.out / PAGE}; recognize with: kgclip predict {checkpoint.config.out} VIDEO")
    return 0


def in_words(estimate: "FitEstimate") -> str:
    """The estimate for a person."""
    parts = ", ".join(f"{name} {_duration(seconds)}" for name, seconds in estimate.seconds.items())
    whole = _duration(sum(estimate.seconds.values()))
    return f"this will take about {whole} ({parts}) and {estimate.memory_bytes / 2**30:.1f} GiB of memory"


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
