"""`kgclip export`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json
from kgclip.errors import KgclipError


@dataclass(frozen=True)
class ExportCommand:
    """Write a model as ONNX, with one JSON that says the rest, to run where there is no torch (docs/export.md).

    Examples:

      kgclip export model --onnx exported

      kgclip export model --onnx exported --data figures --int8
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    onnx: Path
    """folder to write"""
    data: Path | None = None
    """data set with clips that the model never saw, to compare what is written with the model on"""
    features: Path | None = None
    """cached features of these clips in place of pixels"""
    keypoints: Path | None = None
    """keypoints.parquet of these clips by `kgclip annotate`, for a model that reads pose"""
    int8: Switch = False
    """write a second, smaller model too, with an image tower of 8 bits; what that costs is measured on --data"""
    workers: int = 2
    """processes that decode"""
    json: Switch = False
    """print what the folder's JSON says of the comparison"""


def export(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(ExportCommand, argv, "export")
    for option in ("features", "keypoints"):
        if command.data is None and getattr(command, option) is not None:
            raise KgclipError(f"--{option} {getattr(command, option)}: is of the clips of --data; give that too")
    from kgclip.engine.checkpoint import Checkpoint
    from kgclip.engine.evaluate import open_evaluation
    from kgclip.engine.export import export as run_export

    checkpoint, evaluation = Checkpoint.load(command.model), None
    if command.data is not None:
        evaluation = open_evaluation(checkpoint, command.data, None, command.features, command.keypoints)
    result = run_export(checkpoint, command.onnx, evaluation, int8=command.int8, workers=command.workers)
    compared = result["compared_with_torch"]
    if command.json:
        print_json({"folder": str(command.onnx), **compared})
        return 0
    inputs = " and ".join(f"{name} {value['shape']}" for name, value in result["inputs"].items()).replace("'", "")
    print(f"{command.onnx}: takes {inputs}, at most {result['frames']['at_most']} frames a clip")
    print(f"differs from torch by {compared['on_noise']:.1g} at most on clips of noise")
    for name, label in (("on_clips", "float32"), ("int8", "int8")):
        if compared[name] is not None:
            print(_sentence(label, compared[name]))
    return 0


def _sentence(label: str, row: dict[str, Any]) -> str:
    return (
        f"{label} on {row['clips']} clips: top-1 {row['top1']:.1%} (torch {row['top1_torch']:.1%}), the same first "
        f"action in {row['same_first_action']:.1%}, differs by {row['largest_difference']:.1g} at most, takes "
        f"{row['time_by_time_of_torch']:.2f} of torch's time"
    )
