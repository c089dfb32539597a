"""`kgclip predict`."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json, say
from kgclip.errors import KgclipError
from kgclip.visible import visible

if TYPE_CHECKING:
    from kgclip.engine.explanation import Explanation, MovementReading
    from kgclip.engine.predict import Recognizer
    from kgclip.engine.videos import Videos
    from kgclip.video.cut import VideoPath

Command = TypeVar("Command", bound=Any)
# Movements that add less are not printed one by one.
LEAST_SHOWN = 0.005


@dataclass(frozen=True)
class PredictCommand:
    """Recognize the action in video files or folders of them, and say which movements support it.

    A file that cannot be read is reported and does not stop the rest; the exit code is then 2.

    Examples:

      kgclip predict model clip.mp4

      kgclip predict model clips/ --json > predictions.jsonl

      kgclip predict model clip.mp4 --html pages

      kgclip predict model clip.mp4 --actions "push up,pull ups"

      kgclip predict --backbone openai/clip-vit-base-patch16 --actions names.txt clip.mp4
    """

    paths: Positional[tuple[Path, ...]]
    """the folder that `kgclip train` wrote (none with --backbone), then video files, folders or addresses
    (docs/remote.md); film.mp4#t=12,15 is a part of a file, from 12 to 15 s"""
    actions: str | None = None
    """the actions to choose from: names with commas between, or a text file with one a line; default: the model's"""
    backbone: str | None = None
    """in place of a trained model: the name or folder of a CLIP or SigLIP model, which compares clips with names"""
    frames: int | None = None
    """frames a clip; default: as in training"""
    top: int = 5
    """how many actions to list"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    pose: str | None = None
    """for a model that reads pose: its estimator, or none to do without; default: the one in its folder"""
    keypoints: Path | None = None
    """keypoints of the clips in place of an estimator: keypoints.parquet, or a layout of docs/pose.md"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""
    engine: Literal["local", "ray"] = "local"
    """this machine, or the processes of a Ray cluster (docs/cluster.md)"""
    untrusted: Switch = False
    """decode in a process apart, with limits on memory and time, for files that you do not trust"""
    html: Path | None = None
    """folder for one page a clip, each a single file with its video that explains the prediction"""
    json: Switch = False
    """print one JSON object a line, each as soon as its file is done"""


def predict(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(PredictCommand, argv, "predict")
    if command.frames is not None and command.frames < 1:
        raise KgclipError(f"--frames {command.frames}: is too small; give 1 or more")
    files = command.paths if command.backbone is not None else command.paths[1:]
    if not files:
        what = "" if command.backbone is not None else "the model's folder and "
        raise KgclipError(f"predict: no file given; name {what}at least one video file or folder")
    if command.untrusted and command.engine != "local":
        raise KgclipError("--untrusted: is for this machine; leave it out, or --engine")
    options: dict[str, Any] = {"frames": command.frames}
    if command.actions is not None:
        options["actions"] = action_names(command.actions)
    from kgclip.data.listing import find_videos
    from kgclip.locks import claim_output
    from kgclip.progress import progress_bar

    if command.html is not None:
        claim_output(command.html, "--html")
    recognizer = _recognizer(command, options.get("actions", ()))
    videos = list(find_videos(files))
    failed, pages = False, set[str]()
    # On a terminal the results themselves show the progress.
    with progress_bar("recognizing", len(videos), "clips", show=not sys.stdout.isatty()) as advance:
        for result in _results(command, recognizer, videos, options):
            failed |= isinstance(result, dict)
            if command.json:
                print_json(result if isinstance(result, dict) else result.to_json())
            else:
                print(describe(result, command.top), flush=True)
            if command.html is not None and not isinstance(result, dict):
                failed |= not _write_page(command.html, result, pages, recognizer.videos)
            advance(1)
    return 2 if failed else 0


def _results(
    command: PredictCommand, recognizer: "Recognizer", videos: "Sequence[VideoPath]", options: dict[str, Any]
) -> Iterator["Explanation | dict[str, str]"]:
    """Predictions by this process, or by those of a cluster."""
    if command.engine == "local":
        yield from recognizer.predict_many(videos, **options)
        return
    from kgclip.cluster import map_on_ray
    from kgclip.video.cut import absolute

    given = replace(absolute_options(command), paths=tuple(path.absolute() for path in command.paths))
    recognizer.candidates(options.get("actions", ()))
    work = partial(_predict_file, command=given, options=options)
    found = map_on_ray(work, [absolute(video) for video in videos], place="--engine ray")
    for video, result in zip(videos, found, strict=True):
        if isinstance(result, KgclipError):
            yield {"file": str(video), "error": str(result)}
        else:
            yield result | {"file": str(video)} if isinstance(result, dict) else replace(result, file=str(video))


def absolute_options(command: Command) -> Command:
    """The same command for processes that work in another folder."""
    paths = {name: value.absolute() for name, value in vars(command).items() if isinstance(value, Path)}
    texts = {
        name: str(Path(value).absolute())
        for name in ("backbone", "encoder", "pose")
        if (value := getattr(command, name, None)) is not None and Path(value.rpartition(".py:")[0] or value).exists()
    }
    return replace(command, **paths, **texts)


def _predict_file(
    path: "VideoPath", command: PredictCommand, options: dict[str, Any]
) -> "Explanation | dict[str, str]":
    """What one process of a cluster does."""
    recognizer = _recognizer_of_process(command, options.get("actions", ()))
    return next(recognizer.predict_many([path], **options))


def _write_page(folder: Path, explanation: "Explanation", taken: set[str], videos: "Videos") -> bool:
    """Write a clip's page; says so, or why it cannot be written, which does not stop other clips."""
    from kgclip.report.explanation_page import write_explanation

    try:
        page = write_explanation(folder, explanation, taken, videos)
    except KgclipError as error:
        say(f"kgclip: {visible(str(error))}", error=True)
        return False
    say(f"  {page}", error=True)
    say("", error=True)
    return True


def action_names(given: str) -> tuple[str, ...]:
    """The names that ``--actions`` gives: those of a text file, or those between commas.

    Raises:
        KgclipError: no such file, or no name.
    """
    from kgclip.files import read_text

    # Many names are too long to be that of a file, which os.path takes as an answer.
    is_file = Path(given).suffix == ".txt" or os.path.isfile(given)  # noqa: PTH113
    names = read_text(Path(given)).splitlines() if is_file else given.split(",")
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise KgclipError(f"--actions {given}: names no action; give names with commas between, or a file of them")
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1)
def _recognizer_of_process(command: PredictCommand, actions: tuple[str, ...]) -> "Recognizer":
    return _recognizer(command, actions)


def _recognizer(command: PredictCommand, actions: tuple[str, ...]) -> "Recognizer":
    from kgclip.engine.apart import Apart
    from kgclip.engine.checkpoint import choose_device
    from kgclip.engine.predict import Recognizer
    from kgclip.engine.videos import Videos
    from kgclip.pose.brought import is_keypoints

    videos = Apart if command.untrusted else Videos
    if command.pose is not None and command.keypoints is not None:
        raise KgclipError("--keypoints: stand in place of an estimator; leave out --pose or --keypoints")
    if command.keypoints is not None and not command.keypoints.exists():
        raise KgclipError(f"--keypoints {command.keypoints}: no such file or folder; expected keypoints (docs/pose.md)")
    if command.keypoints is not None and not is_keypoints(str(command.keypoints)):
        raise KgclipError(
            f"--keypoints {command.keypoints}: has no name of keypoints (docs/pose.md); an estimator goes to --pose"
        )
    if command.backbone is None:
        pose = command.pose if command.keypoints is None else str(command.keypoints)
        return trained_recognizer(
            command.paths[0], command.encoder, command.encoder_weights, pose, command.device, videos=videos
        )
    if not actions:
        raise KgclipError(f"--backbone {command.backbone}: knows no actions; name them with --actions")
    if command.pose is not None or command.keypoints is not None:
        raise KgclipError("--pose, --keypoints: are for a trained model; leave them out, or --backbone")
    if command.encoder is not None:
        raise KgclipError("--encoder: makes features for a trained model; leave out --backbone or --encoder")
    return Recognizer.from_names(command.backbone, actions, device=choose_device(command.device), videos=videos)


def trained_recognizer(
    model: Path,
    encoder: str | None,
    encoder_weights: Path | None,
    pose: str | None,
    device: str,
    **options: Any,
) -> "Recognizer":
    """The recognizer of a model's folder, as the options of commands give it; further options are the recognizer's.

    Raises:
        KgclipError: a part of it cannot be loaded.
    """
    from kgclip.engine.checkpoint import choose_device
    from kgclip.engine.encoder import load_encoder
    from kgclip.engine.predict import Recognizer

    device = choose_device(device)
    if encoder is None and encoder_weights is not None:
        raise KgclipError("--encoder-weights: are for an encoder of your own; give --encoder FILE.py:NAME")
    own = load_encoder(encoder, encoder_weights) if encoder else None
    return Recognizer.from_pretrained(model, encoder=own, pose=pose, device=device, **options)


def describe(result: "Explanation | dict[str, str]", top: int) -> str:
    """One prediction for a person."""
    if isinstance(result, dict):
        return f"{visible(result['file'])}\n  error: {visible(result['error'])}\n"
    first = result.actions[0]
    lines = [result.file, f"  {_sentence(result)}"]
    reads_pose = any(row.s_pose is not None for row in result.actions)
    for row in result.actions[:top]:
        parts = {"S_mm": row.s_mm, "S_tri": row.s_tri, "S_pose": row.s_pose, "S_path": row.s_path}
        numbers = "  ".join(f"{k} {_number(v)}" for k, v in parts.items() if k != "S_pose" or reads_pose)
        lines.append(f"  {row.probability:6.1%}  {row.action:<28} {numbers}")
    moved = [m for m in result.movements if abs(m.contribution()) >= LEAST_SHOWN]
    if moved:
        pose = "" if first.s_pose is None else f", pose {first.s_pose:.3f}"
        lines.append(
            f"  score of {first.action} {first.score:.3f} = looks {first.appearance:.3f}{pose}, and movements:"
        )
    for m in moved:
        lines.append(
            f"    {m.contribution():+.3f}  {m.name:<34} share of clip {m.evidence:4.2f}, average {m.baseline:4.2f}, "
            f"of action {m.shares[0]:4.2f}; {_when(m)}"
        )
    if moved:
        rest = first.score - first.appearance - (first.s_pose or 0) - sum(m.contribution() for m in moved)
        lines.append(f"    {rest:+.3f}  all other movements")
    lines += [f"  it would be {change.text} ({change.probability:.0%})" for change in result.changes]
    if first.s_path is None:
        lines.append("  no movement is read: no annotated clip has taught this model how movements look")
    return "\n".join(map(visible, lines)) + "\n"


def _when(movement: "MovementReading") -> str:
    from kgclip.engine.explanation import SEEN

    if movement.seen_from is None:
        return "cannot be told"
    spans = [f"{'' if s.strength >= SEEN else 'faintly '}{s.start_s:.1f}–{s.end_s:.1f} s" for s in movement.spans]
    return f"seen {', '.join(spans)}" if spans else "not seen"


def _sentence(result: "Explanation") -> str:
    first = result.actions[0]
    answer = f"{first.action}, {first.probability:.0%}"
    if result.threshold is not None and result.unknown:
        answer = f"unknown, as {answer}, is below {result.threshold.value:.0%}"
    why = " and ".join(reason.text for reason in result.reasons)
    rival = result.against_runner_up
    return (
        answer
        + (f"; {why}" if why and result.unknown else f", because {why}" if why else "")
        + ("" if rival is None else f"; not {result.actions[1].action}, because {rival.text}")
    )


def _number(value: float | None) -> str:
    return "    –" if value is None else f"{value:5.2f}"
