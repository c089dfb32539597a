"""`kgclip predict`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from kgclip.cli.output import parse, print_json
from kgclip.errors import KgclipError


@dataclass(frozen=True)
class PredictCommand:
    """Recognize the action in video files or folders of them, and say which movements support it.

    A file that cannot be read is reported and does not stop the rest; the exit code is then 2.

    Examples:

      kgclip predict model clip.mp4

      kgclip predict model clips/ --json > predictions.json
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    files: Positional[tuple[Path, ...]]
    """video files or folders"""
    frames: int | None = None
    """frames a clip; default: as in training"""
    top: int = 5
    """how many actions to list"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    device: Literal["cpu", "cuda"] = "cpu"
    """where the model runs"""
    json: bool = False
    """print one JSON list"""


def predict(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(PredictCommand, argv, "predict")
    if not command.files:
        raise KgclipError("predict: no file given; name at least one video file or folder")
    if min(command.top, command.frames or 1) < 1:
        raise KgclipError("predict: --top and --frames need at least 1")
    from kgclip.engine.encoder import load_encoder
    from kgclip.engine.predict import Recognizer

    encoder = load_encoder(command.encoder, command.encoder_weights) if command.encoder else None
    recognizer = Recognizer.from_pretrained(command.model, encoder=encoder, device=command.device)
    results = []
    for result in recognizer.predict_many(command.files, frames=command.frames, top=command.top):
        results.append(result)
        if not command.json:
            print(describe(result))
    if command.json:
        print_json(results)
    return 2 if any("error" in result for result in results) else 0


def describe(result: dict[str, Any]) -> str:
    """One prediction for a person."""
    if "error" in result:
        return f"{result['file']}\n  error: {result['error']}\n"
    lines = [result["file"]]
    for row in result["actions"]:
        parts = ("    –" if row[part] is None else f"{row[part]:5.2f}" for part in ("s_mm", "s_tri", "s_path"))
        values = "  ".join(f"{name} {value}" for name, value in zip(("S_mm", "S_tri", "S_path"), parts, strict=True))
        lines.append(f"  {row['probability']:6.1%}  {row['action']:<28} {values}")
    if result["triplets"]:
        lines.append(f"  because {result['actions'][0]['action']} consists of, and the clip shows:")
    for row in result["triplets"][:5]:
        lines.append(
            f"    {row['movement']:<34} share of the clip {row['share']:4.2f}, of the action {row['definition']:4.2f}, "
            f"adds {row['contribution']:+.3f}"
        )
    for row in result["movements"][:5]:
        lines.append(f"  sees {row['movement']:<34} {row['share']:4.2f} at {row['time_s'][0]}–{row['time_s'][1]} s")
    return "\n".join(lines) + "\n"
